# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What share of the ticks of late was missed, and of their plans too late."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TickCounts:
    """Counts since the loop's start, all taken between two ticks: a late plan is counted before its tick has ended, so
    counts read in between would not belong together."""

    ticks: int = 0
    missed: int = 0
    late: int = 0


class TickShares:
    """Of one activation: shares of the ticks since the report before. Where less than half of `window` ticks came since
    then, since the one before that: of a tick or two, a share says nothing."""

    def __init__(self) -> None:
        self._base = self._previous = TickCounts()

    def add(self, now: TickCounts, window: float) -> tuple[float, float] | None:
        """Shares of missed ticks (of those due) and of late plans (of those made); None where no tick came since.

        `window`: ticks due between two reports, as they come when nothing special is to be told.
        """
        if now.ticks == self._base.ticks:
            return None
        whole = _due(now) - _due(self._base) >= window / 2
        since = self._base if whole else self._previous
        ticks, missed, late = now.ticks - since.ticks, now.missed - since.missed, now.late - since.late
        if whole:
            self._previous, self._base = self._base, now
        return missed / (ticks + missed), late / ticks


def _due(counts: TickCounts) -> int:
    return counts.ticks + counts.missed
