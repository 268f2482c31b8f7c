# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A loop at a fixed rate on its own thread, by absolute times of the monotonic clock."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable, Sequence

from mbrl_controller.control.pacing import TickScheduler, TickTime
from mbrl_controller.control.realtime import sleep_until
from mbrl_controller.control.timing import LoopStatistics

NEAR = 0.01  # s before a tick; from then on stop() no longer ends the sleep
SPIN = 2e-4  # s before a tick; from then on the thread watches the clock instead of sleeping
STACK_BYTES = 1 << 20  # the default of 8 MiB makes mlockall expensive


class FixedRateLoop:
    """Calls `tick` at start, start + period, start + 2 period, ...

    A tick that overruns skips the periods it covers. A tick that would begin more than half a period late is skipped.
    `statistics.missed` counts both; no burst makes up for them. After each tick `in_slack`, if given, gets the time (s)
    until the next one. An exception in either goes to `on_error`, and the loop ends.
    """

    def __init__(
        self,
        period: float,
        tick: Callable[[TickTime], None],
        *,
        on_error: Callable[[Exception], None],
        in_slack: Callable[[float], None] | None = None,
        priority: int = 0,
        cpus: Sequence[int] = (),
        name: str = "control_loop",
    ) -> None:
        if not (period > 0 and math.isfinite(period)):
            raise ValueError(f"period must be positive, got {period}")
        self.period = period
        self.statistics = LoopStatistics(period)
        self.denied: list[str] = []  # what the system did not grant
        self._tick, self._on_error, self._in_slack = tick, on_error, in_slack
        self._priority, self._cpus, self._name = priority, tuple(cpus), name
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def running(self) -> bool:
        """Whether the thread is alive."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Begin to tick; the first tick is due at once. Returns once priority and affinity were requested."""
        if self.running:
            raise RuntimeError(f"{self._name} runs already")
        self._stop.clear()
        ready = threading.Event()
        self._thread = start_thread(self._run, self._name, ready)
        ready.wait()

    def stop(self) -> None:
        """Finish the tick in progress, then join the thread. Called within a tick, it ends the loop after that tick."""
        self._stop.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
            self._thread = None

    @property
    def wall_period(self) -> float:
        """Duration of a period in s of time.monotonic."""
        return self.period

    def _run(self, ready: threading.Event) -> None:
        self.denied = apply_scheduling(self._priority, self._cpus)
        ready.set()
        try:
            self._run_ticks()
        except Exception as error:
            self._on_error(error)

    def _run_ticks(self) -> None:
        pacer, statistics, previous = TickScheduler(self._now(), self.period), self.statistics, math.nan
        while self._wait_until(pacer.due):
            when = pacer.begin(self._now())
            if when is None:
                continue
            statistics.missed += when.missed
            wall_when = self._as_monotonic(when)
            self._tick(wall_when)
            ended = time.monotonic()
            pacer.end(self._now())
            statistics.ticks += 1
            statistics.lateness.add(when.lateness)
            statistics.execution.add(ended - wall_when.began)
            if not math.isnan(previous):
                statistics.period.add(when.began - previous)
            previous = when.began
            if self._in_slack is not None:
                self._in_slack(self._wall(pacer.due - self._now()))

    # --- the loop's clock, which a subclass may replace -----------------------------------------------------------

    def _now(self) -> float:
        """s, the clock in which periods are counted."""
        return time.monotonic()

    def _as_monotonic(self, when: TickTime) -> TickTime:
        """`when` in s of time.monotonic."""
        return when

    def _wall(self, seconds: float) -> float:
        """`seconds` of the loop's clock in s of time.monotonic."""
        return seconds

    def _wait_until(self, due: float) -> bool:
        """Sleep, then watch the clock; False once the loop must end."""
        while not self._stop.is_set():
            left = due - time.monotonic()
            if left <= 0:
                return True
            if left > NEAR:
                self._stop.wait(left - NEAR)
            elif left > SPIN:
                sleep_until(due - SPIN)
        return False


def start_thread(run: Callable[..., None], name: str, *args: object) -> threading.Thread:
    """A daemon thread with a small stack."""
    before = threading.stack_size(STACK_BYTES)
    try:
        thread = threading.Thread(target=run, args=args, name=name, daemon=True)
        thread.start()
    finally:
        threading.stack_size(before)
    return thread


def apply_scheduling(priority: int, cpus: Sequence[int]) -> list[str]:
    """Request SCHED_FIFO (0: leave it) and these CPUs (none: all) for the calling thread; returns what was denied."""
    denied = []
    if priority:
        try:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
        except OSError as error:
            denied.append(f"SCHED_FIFO priority {priority}: {error.strerror}")
    if cpus:
        try:
            os.sched_setaffinity(0, cpus)
        except OSError as error:
            denied.append(f"CPUs {list(cpus)}: {error.strerror}")
    return denied
