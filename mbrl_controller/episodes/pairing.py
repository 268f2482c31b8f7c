# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""From when to when each command of an episode was in force, by stamps."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PERIOD_TOLERANCE = 0.2  # of a period: two commands this much nearer or further apart are not consecutive ticks
STAMP_SLACK = 1_000  # ns; stamps may have passed through float seconds, which today resolve 240 ns
_EVENT_SLACK = 1_000_000  # ns; events carry their stamp as a float of seconds
_INT64 = np.iinfo(np.int64)

Stamps = NDArray[np.int64]


@dataclass(frozen=True)
class Spans:
    """Commands that were in force for a period: number `command[i]` of the log, from `begin[i]` to `end[i]` (ns)."""

    command: NDArray[np.int64]  # [M]
    begin: Stamps  # [M]
    end: Stamps  # [M]
    zero: int  # stamp of the episode's first command; 0 if there is none
    skipped: Counter[str]  # reason -> commands that were not

    @property
    def moments(self) -> Stamps:
        """Stamps at which a state is asked for, ascending: the newest measurement at or before it counts."""
        return np.unique(np.concatenate([self.begin, self.end])) + STAMP_SLACK


def spans(stamps: Stamps, begin_ns: int | None, end_ns: int | None, period: float) -> Spans:
    """Of the commands at strictly increasing `stamps` [K] in an episode from `begin_ns` to `end_ns`; `period` in ns."""
    skipped: Counter[str] = Counter()
    first = _INT64.min if begin_ns is None else max(begin_ns - _EVENT_SLACK, _INT64.min)
    last = _INT64.max if end_ns is None else min(end_ns + _EVENT_SLACK, _INT64.max)
    command = np.flatnonzero((stamps >= first) & (stamps < last))
    _count(skipped, "outside the episode", len(stamps) - len(command))
    begin = stamps[command]
    followed = command + 1 < len(stamps)
    end = stamps[np.minimum(command + 1, len(stamps) - 1)] if len(stamps) else begin.copy()
    followed &= end < last
    if end_ns is None:
        _count(skipped, "end of the episode", int((~followed).sum()))
        usable = followed
    else:
        # The last command counts if it was in force for a whole period.
        whole = begin + round(period)
        end = np.where(followed, end, np.where(whole <= last, whole, end_ns))
        usable = np.ones(len(command), dtype=bool)
    apart = usable & (np.abs((end - begin) - period) > PERIOD_TOLERANCE * period)
    _count(skipped, "end of the episode", int((apart & ~followed).sum()))
    _count(skipped, "commands not one period apart", int((apart & followed).sum()))
    usable &= ~apart
    zero = int(begin[0]) if len(begin) else 0
    return Spans(command[usable], begin[usable], end[usable], zero, skipped)


def _count(skipped: Counter[str], reason: str, number: int) -> None:
    if number:
        skipped[reason] += number
