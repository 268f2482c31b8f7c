# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A steady clock that runs at the speed of simulated time, and a loop that ticks by it."""

from __future__ import annotations

import math
import threading
import time
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Sequence

from mbrl_controller.control.loop import FixedRateLoop
from mbrl_controller.control.pacing import TickTime

JUMP_S = 1.0  # of simulated time: a longer step of the clock is a jump and counts as no time
WINDOW_S = 2.0  # of wall time, over which the speed of the clock is measured
SHORTEST_S = 0.2  # of wall time: the speed is measured over at least this
PAUSE_S = 0.5  # of wall time without a step: the clock stood still, and its speed is measured anew
SLOWEST, FASTEST = 1e-3, 1e3  # times real time
STILL = 1.2  # of a period without a step, after which the clock stands still; as for a source of states
POLL_S = 0.05  # how long the end of the loop may take


class SimulatedTime:
    """Elapsed simulated time: the sum of the clock's steps without its jumps. It never goes back.

    One thread feeds it with `tell`; another waits for it.
    """

    def __init__(self) -> None:
        self._change = threading.Condition()
        self._stamp: float | None = None  # s, the clock's newest
        self._elapsed = 0.0
        self._told = time.monotonic()
        self._steps: deque[tuple[float, float]] = deque()  # s, time.monotonic, and what had elapsed by then
        self._speed = 1.0

    def tell(self, stamp: float, when: float | None = None) -> None:
        """The clock says `stamp` (s), as was heard at `when` (s, time.monotonic; None: now)."""
        when = time.monotonic() if when is None else when
        with self._change:
            step = 0.0 if self._stamp is None else stamp - self._stamp
            if self._stamp is not None and step == 0.0:
                return  # said again: it stands still
            jumped = self._stamp is None or not 0.0 < step <= JUMP_S
            if jumped or when - self._told > PAUSE_S:
                self._measure()
                self._steps.clear()
            self._stamp, self._told = stamp, when
            self._elapsed += 0.0 if jumped else step
            self._steps.append((when, self._elapsed))
            while when - self._steps[0][0] > WINDOW_S:
                self._steps.popleft()
            self._change.notify_all()

    def now(self) -> float:
        """s elapsed."""
        with self._change:
            return self._elapsed

    def at(self, when: float) -> float:
        """s elapsed at `when` (s, time.monotonic), not long ago."""
        with self._change:
            index = bisect_right(self._steps, (when, math.inf)) - 1
            if index >= 0:
                return self._steps[index][1]
            return self._steps[0][1] if self._steps else self._elapsed

    @property
    def speed(self) -> float:
        """Its speed: 1 is real time, .5 half as fast. The last known value while it cannot be measured."""
        with self._change:
            self._measure()
            return self._speed

    def still_s(self) -> float:
        """s of wall time since the clock's last step."""
        with self._change:
            return time.monotonic() - self._told

    def _measure(self) -> None:
        if self._steps and (wall := self._steps[-1][0] - self._steps[0][0]) >= SHORTEST_S:
            speed = (self._steps[-1][1] - self._steps[0][1]) / wall
            self._speed = min(max(speed, SLOWEST), FASTEST)

    def wait(self, due: float, timeout: float) -> bool:
        """Wait until `due` s have elapsed; False if that takes longer than `timeout` (s, wall time)."""
        with self._change:
            return self._change.wait_for(lambda: self._elapsed >= due, max(timeout, 0.0))


class SimulatedRateLoop(FixedRateLoop):
    """A FixedRateLoop whose periods are counted in simulated time. While that stands still, `stalled` is called about
    once in a period, with the duration of the standstill (s, wall time).

    `statistics` count period and lateness in simulated time, and execution in wall time.
    """

    def __init__(
        self,
        period: float,
        tick: Callable[[TickTime], None],
        *,
        clock: SimulatedTime,
        stalled: Callable[[float], None],
        on_error: Callable[[Exception], None],
        in_slack: Callable[[float], None] | None = None,
        priority: int = 0,
        cpus: Sequence[int] = (),
    ) -> None:
        super().__init__(period, tick, on_error=on_error, in_slack=in_slack, priority=priority, cpus=cpus)
        self._clock, self._stalled = clock, stalled

    @property
    def wall_period(self) -> float:
        return self.period / self._clock.speed

    def _now(self) -> float:
        return self._clock.now()

    def _as_monotonic(self, when: TickTime) -> TickTime:
        began = time.monotonic()
        return TickTime(when.index, began - when.lateness / self._clock.speed, began, when.missed)

    def _wall(self, seconds: float) -> float:
        return seconds / self._clock.speed

    def _wait_until(self, due: float) -> bool:
        reported = 0.0  # s of standstill already passed to `stalled`
        while not self._stop.is_set():
            limit = STILL * self.wall_period
            if self._clock.wait(due, min(limit, POLL_S)):
                return True
            still = self._clock.still_s()
            if still < reported:
                reported = 0.0  # it moved meanwhile
            if still >= limit and still - reported >= self.wall_period:
                reported = still
                self._stalled(still)
        return False
