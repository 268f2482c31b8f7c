# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Bridges gaps of the sensors in a log: states that were not measured, from those before and after and the commands."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from mbrl_controller.episodes.command_intervals import Stamps
from mbrl_controller.tasks.spaces import Array, Mask


class Bridge(Protocol):
    """Knows what lies between two states; a version's model of kind `between` does (`models/head_loading.py`)."""

    @property
    def steps(self) -> int:
        """Control periods of a window (n)."""
        ...

    def between(self, first: Array, last: Array, actions: Array) -> Array:
        """States [N, n-1, S] of windows from states [N, S] to states [N, S] under joint targets [N, n, A] (rad)."""
        ...


@dataclass(frozen=True)
class Periods:
    """K control periods of a log, ascending, and the states at their begins and ends where they were measured."""

    begin: Stamps  # [K] ns
    end: Stamps  # [K] ns; the next one's begin where nothing lies between
    action: Array  # [K, A] joint targets (rad)
    before: Array  # [K, S] at `begin`; anything where not known
    after: Array  # [K, S] at `end`; anything where not known
    known_before: Mask  # [K]
    known_after: Mask  # [K]
    usable: Mask  # [K] whether a window may lead through it


def bridged(bridge: Bridge, log: Periods) -> tuple[Periods, int]:
    """The periods with gaps filled in, and how many states that were.

    A state is filled where a window of n periods in a row, that begins and ends with known states, lies over it: gaps
    of n - 1 states at most. Of several such windows the one counts in whose middle the state is most nearly.
    """
    n, count = bridge.steps, len(log.begin)
    first = np.arange(max(count - n + 1, 0))
    broken = np.concatenate([[0], np.cumsum(log.begin[1:] != log.end[:-1])]) if count else np.zeros(0)
    refused = np.concatenate([[0], np.cumsum(~log.usable)])
    whole = (broken[first] == broken[first + n - 1]) & (refused[first] == refused[first + n])
    first = first[whole & log.known_before[first] & log.known_after[first + n - 1]]
    missing = ~log.known_before[first[:, None] + np.arange(1, n)]
    first, missing = first[missing.any(1)], missing[missing.any(1)]
    if not len(first):
        return log, 0
    windows = first[:, None] + np.arange(n)
    found = bridge.between(log.before[first], log.after[first + n - 1], log.action[windows])
    before, new, off = log.before.copy(), np.zeros(count, dtype=bool), np.full(count, np.inf)
    for window, at in zip(*np.nonzero(missing), strict=True):
        row, distance = first[window] + 1 + at, abs(at + 1 - n / 2)
        if distance < off[row] and np.isfinite(found[window, at]).all():
            before[row], off[row], new[row] = found[window, at], distance, True
    after, ends = log.after.copy(), np.append(new[1:], False)  # a state is the end of the period before
    after[ends] = before[1:][new[1:]]
    known_before, known_after = log.known_before | new, log.known_after | ends
    return replace(log, before=before, after=after, known_before=known_before, known_after=known_after), int(new.sum())
