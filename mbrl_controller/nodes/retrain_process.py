# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The retrain job as a child process: one at a time, at the lowest priority, its output in a file."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path

from mbrl_controller.base.errors import MbrlError

NICE = 19
PATIENCE_S = 5.0


class RetrainProcess:
    """Starts the job, watches it, and ends it with the node."""

    def __init__(self, command: Sequence[str], log_folder: Path) -> None:
        self._command, self._folder = list(command), log_folder
        self._process: subprocess.Popen[bytes] | None = None
        self.log: Path | None = None
        self.ended = ""  # how the last one ended
        self.failed = False

    @property
    def running(self) -> bool:
        """Whether it runs; notes how it ended once it has."""
        if self._process is None:
            return False
        code = self._process.poll()
        if code is None:
            return True
        self.failed = code != 0
        self.ended = f"{'failed' if self.failed else 'done'} (exit status {code}): {self.last_line()}"
        self._process = None
        return False

    def start(self) -> None:
        """Start it; raises MbrlError saying why not."""
        if self.running:
            raise MbrlError(f"a retraining runs already, see {self.log}")
        log = self._folder / f"retrain_{datetime.now(timezone.utc):%Y%m%dT%H%M%S_%fZ}.log"
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            with log.open("xb") as output:
                self._process = subprocess.Popen(
                    self._command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # a Ctrl-C in the node's terminal is the node's to handle
                )
        except OSError as error:
            raise MbrlError(f"retraining cannot be started: {error}") from error
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, self._process.pid, NICE)
        self.log, self.ended, self.failed = log, "", False

    def stop(self) -> None:
        """End it, with all that it started."""
        process = self._process
        if process is None or not self.running:
            return
        for number in (signal.SIGINT, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                process.wait(PATIENCE_S)
                break
        self.ended, self.failed, self._process = "stopped with the logger", True, None

    def last_line(self) -> str:
        """What it said last."""
        if self.log is None:
            return ""
        try:
            with self.log.open("rb") as file:
                file.seek(max(0, self.log.stat().st_size - 4096))
                lines = file.read().decode(errors="replace").split("\n")
        except OSError:
            return ""
        return next((line.strip()[-300:] for line in reversed(lines) if line.strip()), "")
