# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A loop at a fixed rate on a thread of its own, by absolute times of the monotonic clock."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable, Sequence

from mbrl_controller.control.pacing import TickScheduler, TickTime
from mbrl_controller.control.realtime import sleep_until
from mbrl_controller.control.timing import LoopStatistics

NEAR = 0.01  # s before a tick from which on stop() no longer ends the sleep
SPIN = 2e-4  # s before a tick from which on the thread watches the clock instead of sleeping
STACK_BYTES = 1 << 20  # the default of 8 MiB makes mlockall expensive


class FixedRateLoop:
    """Calls `tick` at start, start + period, start + 2 period, ...

    A tick that overruns skips the periods it covered, and one that would begin over half a period late is skipped: they
    are counted in `statistics.missed` and never made up for in a bunch. After each tick `in_slack`, if given, is called
    with the time (s) until the next one. An exception in either goes to `on_error`, and the loop ends.
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
        """Begin ticking; the first tick is due at once. Returns when priority and affinity were asked for."""
        if self.running:
            raise RuntimeError(f"{self._name} runs already")
        self._stop.clear()
        ready = threading.Event()
        self._thread = start_thread(self._run, self._name, ready)
        ready.wait()

    def stop(self) -> None:
        """Let the tick in progress end, then join the thread. From within a tick, the loop ends after it."""
        self._stop.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
            self._thread = None

    @property
    def wall_period(self) -> float:
        """How long a period takes, s of time.monotonic."""
        return self.period

    def _run(self, ready: threading.Event) -> None:
        self.denied = apply_scheduling(self._priority, self._cpus)
        ready.set()
        try:
            self._go_round()
        except Exception as error:
            self._on_error(error)

    def _go_round(self) -> None:
        pacer, statistics, previous = TickScheduler(self._now(), self.period), self.statistics, math.nan
        while self._wait_until(pacer.due):
            when = pacer.begin(self._now())
            if when is None:
                continue
            statistics.missed += when.missed
            told = self._told(when)
            self._tick(told)
            ended = time.monotonic()
            pacer.end(self._now())
            statistics.ticks += 1
            statistics.lateness.add(when.lateness)
            statistics.execution.add(ended - told.began)
            if not math.isnan(previous):
                statistics.period.add(when.began - previous)
            previous = when.began
            if self._in_slack is not None:
                self._in_slack(self._wall(pacer.due - self._now()))

    # --- the loop's own clock, which another kind of loop may replace ---------------------------------------------

    def _now(self) -> float:
        """s of the clock that periods are of."""
        return time.monotonic()

    def _told(self, when: TickTime) -> TickTime:
        """`when` in s of time.monotonic."""
        return when

    def _wall(self, seconds: float) -> float:
        """s of time.monotonic that so much of the loop's clock takes."""
        return seconds

    def _wait_until(self, due: float) -> bool:
        """Sleep, then watch the clock; False as soon as the loop is to end."""
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
    """Ask for SCHED_FIFO (0: leave it) and for these CPUs (none: all), for the calling thread; what was denied."""
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
