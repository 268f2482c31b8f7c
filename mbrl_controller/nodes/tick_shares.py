# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Shares of missed ticks and of late plans in the last second or so."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TickCounts:
    """Counts since the loop's start, all taken between two ticks. Within a tick they would not belong together: a late
    plan is counted before its tick has ended."""

    ticks: int = 0
    missed: int = 0
    late: int = 0


class TickShares:
    """Shares of the ticks since the last report of this activation. If fewer than half of `window` ticks came since,
    they count from the report before that: a share of one or two ticks says nothing."""

    def __init__(self) -> None:
        self._base = self._previous = TickCounts()

    def add(self, now: TickCounts, window: float) -> tuple[float, float] | None:
        """Shares of missed ticks (of those due) and of late plans (of those made); None if no tick came since.

        `window`: ticks due between two regular reports.
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
