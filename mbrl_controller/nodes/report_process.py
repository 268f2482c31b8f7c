# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The page on a session, made by a process of its own once the session is over: logging never waits for it."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from mbrl_controller.nodes.retrain_process import NICE

LOG_FILE = "report.log"
OVER = "deactivate"  # why the last episode of a controller's session ends


class ReportProcess:
    """Notes the sessions that were logged, and reports on each that is over.

    A session is over when its controller is deactivated, when another one is logged, or when the logger stops. A report
    that runs then outlives the logger. One that fails is told, and changes nothing of the log.
    """

    def __init__(self, command: Callable[[Path], Sequence[str]]) -> None:
        """`command`: what makes the report on a session's folder."""
        self._command = command
        self._lock = threading.Lock()
        self._open: Path | None = None  # the session that goes on
        self._due: list[Path] = []
        self._running: tuple[Path, subprocess.Popen[bytes]] | None = None
        self.last = ""  # what came of the last one

    def closed(self, file: Path, reason: str) -> None:
        """An episode's file was closed, and why. Only notes it: it is called on the recorder's thread."""
        with self._lock:
            folder = file.parent
            if self._open is not None and self._open != folder:
                self._add(self._open)
            self._open = folder
            if reason == OVER:
                self._add(folder)
                self._open = None

    def poll(self) -> None:
        """Start what is due, one at a time, and note how the one before ended."""
        with self._lock:
            if self._running is not None:
                folder, process = self._running
                if process.poll() is None:
                    return
                done = f"written to {folder}" if process.returncode == 0 else f"failed, see {folder / LOG_FILE}"
                self._running, self.last = None, done
            if self._due:
                self._start(self._due.pop(0))

    def finish(self) -> None:
        """The logger stops: start all that is due, the session that went on among it."""
        with self._lock:
            if self._open is not None:
                self._add(self._open)
            self._open = None
            while self._due:
                self._start(self._due.pop(0))

    def _add(self, folder: Path) -> None:
        if folder not in self._due:
            self._due.append(folder)

    def _start(self, folder: Path) -> None:
        try:
            with (folder / LOG_FILE).open("wb") as output:
                process = subprocess.Popen(
                    list(self._command(folder)),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # it outlives the node, and its terminal's Ctrl-C
                )
        except OSError as error:
            self.last = f"cannot be started: {error}"
            return
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, process.pid, NICE)
        self._running, self.last = (folder, process), f"being made of {folder}"
