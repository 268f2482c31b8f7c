# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""When each tick is due: arithmetic only, so that tests need not wait."""

from __future__ import annotations

import math
from dataclasses import dataclass

MAX_LATENESS = 0.5  # of a period; a later tick is skipped: its command and the next would come in a bunch


@dataclass(frozen=True)
class TickTime:
    """When a tick was due and when it began (s, time.monotonic)."""

    index: int  # of the period since the start; skipped ones are counted
    due: float
    began: float
    missed: int  # whole periods skipped just before this tick

    @property
    def lateness(self) -> float:
        """s from due to begun."""
        return self.began - self.due


class TickScheduler:
    """Schedules ticks at start, start + period, start + 2 period, ... (s). Report each begin and each end.

    Due times are computed from the index and never summed, so rounding does not grow with time. Periods that pass
    while a tick runs, or half pass before it begins, are skipped and counted; nothing makes up for them.
    """

    def __init__(self, start: float, period: float) -> None:
        self._start, self._period = start, period
        self._index = self._skipped = 0

    @property
    def due(self) -> float:
        """When the next tick is to begin (s)."""
        return self._due(self._index)

    def begin(self, now: float) -> TickTime | None:
        """The tick that begins at `now` (s), which is not before `due`: the newest one due by then. None if that was
        due more than half a period ago; wait for the next one."""
        newest = max(self._index, self._newest(now))
        if now - self._due(newest) > MAX_LATENESS * self._period:
            self._skipped, self._index = self._skipped + newest + 1 - self._index, newest + 1
            return None
        missed = self._skipped + newest - self._index
        self._index, self._skipped = newest, 0
        return TickTime(newest, self._due(newest), now, missed)

    def end(self, now: float) -> None:
        """The current tick ended at `now` (s). The next one is the first that is not yet due then."""
        newest = self._newest(now)
        following = max(self._index + 1, newest if self._due(newest) >= now else newest + 1)
        self._skipped, self._index = following - self._index - 1, following

    def _due(self, index: int) -> float:
        return self._start + index * self._period

    def _newest(self, now: float) -> int:
        """The last index due at or before `now`; the quotient alone can be off by one, at the due times themselves."""
        index = math.floor((now - self._start) / self._period)
        while self._due(index) > now:
            index -= 1
        while self._due(index + 1) <= now:
            index += 1
        return index
