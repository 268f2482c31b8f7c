# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Ticks on events instead of by time: in lockstep each complete set of states gets its command."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from mbrl_controller.control.loop import start_thread
from mbrl_controller.control.timing import LoopStatistics

POLL = 0.02  # s between looks at `ready`


class EventTriggeredLoop:
    """Calls `tick` once for each `trigger`, on its own thread, as soon as `ready` returns true."""

    def __init__(
        self,
        tick: Callable[[], None],
        *,
        on_error: Callable[[Exception], None],
        ready: Callable[[], bool] = lambda: True,
        name: str = "lockstep_loop",
    ) -> None:
        self.statistics = LoopStatistics()
        self.denied: list[str] = []
        self._tick, self._on_error, self._ready, self._name = tick, on_error, ready, name
        self._wanted = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def running(self) -> bool:
        """Whether the thread is alive."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Begin waiting for triggers."""
        self._stop.clear()
        self._thread = start_thread(self._run, self._name)

    def trigger(self) -> None:
        """Request a tick. Several requests before it is made count as one."""
        self._wanted.set()

    def stop(self) -> None:
        """Finish the tick in progress, then join the thread."""
        self._stop.set()
        self._wanted.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        previous = None
        while True:
            self._wanted.wait()
            while not self._stop.is_set() and not self._ready():
                self._stop.wait(POLL)
            if self._stop.is_set():
                return
            self._wanted.clear()
            began = time.monotonic()
            try:
                self._tick()
            except Exception as error:
                self._on_error(error)
                return
            self.statistics.ticks += 1
            self.statistics.execution.add(time.monotonic() - began)
            self.statistics.lateness.add(0.0)
            if previous is not None:
                self.statistics.period.add(began - previous)
            previous = began
