# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""When each command of an episode was in force, by stamps."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PERIOD_TOLERANCE = 0.2  # of a period: beyond it two commands are not consecutive ticks
STAMP_SLACK = 1_000  # ns; stamps may have passed through float seconds, which today resolve 240 ns
_EVENT_SLACK = 1_000_000  # ns; events carry their stamp as a float of seconds
_INT64 = np.iinfo(np.int64)

Stamps = NDArray[np.int64]


@dataclass(frozen=True)
class CommandIntervals:
    """Commands that were in force for one period: command `index[i]` of the log, from `begin[i]` to `end[i]` (ns)."""

    index: NDArray[np.int64]  # [M]
    begin: Stamps  # [M]
    end: Stamps  # [M]
    zero: int  # stamp of the episode's first command; 0 without one
    skipped: Counter[str]  # reason -> commands left out

    @property
    def query_stamps(self) -> Stamps:
        """Stamps, ascending, whose newest measurement at or before is needed."""
        return np.unique(np.concatenate([self.begin, self.end])) + STAMP_SLACK


def command_intervals(stamps: Stamps, begin_ns: int | None, end_ns: int | None, period: float) -> CommandIntervals:
    """Find the commands that were in force for a whole period.

    Args:
        stamps: Strictly increasing stamps [K] of the commands, ns.
        begin_ns: Begin of the episode; None if unknown.
        end_ns: End of the episode; None if unknown.
        period: Control period, ns.
    """
    skipped: Counter[str] = Counter()
    first = _INT64.min if begin_ns is None else max(begin_ns - _EVENT_SLACK, _INT64.min)
    last = _INT64.max if end_ns is None else min(end_ns + _EVENT_SLACK, _INT64.max)
    index = np.flatnonzero((stamps >= first) & (stamps < last))
    _count(skipped, "outside the episode", len(stamps) - len(index))
    begin = stamps[index]
    followed = index + 1 < len(stamps)
    end = stamps[np.minimum(index + 1, len(stamps) - 1)] if len(stamps) else begin.copy()
    followed &= end < last
    if end_ns is None:
        _count(skipped, "end of the episode", int((~followed).sum()))
        usable = followed
    else:
        # The last command counts if it was in force for a whole period.
        whole = begin + round(period)
        end = np.where(followed, end, np.where(whole <= last, whole, end_ns))
        usable = np.ones(len(index), dtype=bool)
    apart = usable & (np.abs((end - begin) - period) > PERIOD_TOLERANCE * period)
    _count(skipped, "end of the episode", int((apart & ~followed).sum()))
    _count(skipped, "commands not one period apart", int((apart & followed).sum()))
    usable &= ~apart
    zero = int(begin[0]) if len(begin) else 0
    return CommandIntervals(index[usable], begin[usable], end[usable], zero, skipped)


def _count(skipped: Counter[str], reason: str, number: int) -> None:
    if number:
        skipped[reason] += number
