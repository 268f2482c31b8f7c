# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Which stretches of an episode teach nothing true, by what its ticks say: nobody took the commands, a state came from
several publishers, or the clock went back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mbrl_controller.control.doubt import CLOCK_WENT_BACK, REASONS, Doubt
from mbrl_controller.episodes.messages import NANO
from mbrl_controller.tasks.spaces import Array

# A logger may hear a publisher so much sooner than the controller is introduced to it, on a busy machine.
DISCOVERY_NS = 3 * NANO
# The doubt outlives its last tick by this: a message of the publisher that left may still be the newest of a state, but
# a command that is heard again is heard.
AFTERWARDS_NS = {Doubt.UNHEARD: 0, Doubt.DISPUTED: NANO}
_SLACK_NS = 1_000_000  # ticks carry their stamp as a float of seconds


@dataclass(frozen=True)
class Stretch:
    """From `begin` to `end` (ns), both included."""

    begin: int
    end: int
    reason: str


def doubtful(ticks: Mapping[str, Array], period: int) -> list[Stretch]:
    """The stretches of an episode whose ticks, in order of arrival, have these columns; `period` in ns.

    Ticks of older logs, which have no `doubt`, only tell of the clock.
    """
    stamps = ticks.get("stamp")
    if stamps is None:
        return []
    known = np.isfinite(stamps) & (np.abs(stamps) < 2**62 / NANO)
    at = np.round(stamps[known] * NANO).astype(np.int64)
    commanded = ticks["source"][known] > 0 if "source" in ticks else np.ones(len(at), dtype=bool)
    found = _overlaps(at, commanded, 2 * period)
    if "doubt" in ticks:
        doubts = ticks["doubt"][known]
        for doubt, reason in REASONS.items():
            found += _merged(at[doubts == doubt], reason, AFTERWARDS_NS[doubt])
    return found


def reason_at(stretches: list[Stretch], begin: int, end: int) -> str:
    """Why what lies between two stamps (ns) must not be learnt from; empty if it may."""
    return next((s.reason for s in stretches if begin <= s.end and end >= s.begin), "")


def _merged(stamps: np.ndarray, reason: str, afterwards: int) -> list[Stretch]:
    found: list[Stretch] = []
    for stamp in np.sort(stamps).tolist():
        begin, end = stamp - DISCOVERY_NS, stamp + afterwards
        if found and begin <= found[-1].end:
            found[-1] = Stretch(found[-1].begin, end, reason)
        else:
            found.append(Stretch(begin, end, reason))
    return found


def _overlaps(stamps: np.ndarray, commanded: np.ndarray, margin: int) -> list[Stretch]:
    """Times (ns) through which the clock went more than once: messages of both passes lie there, mixed. Two ticks that
    both sent a command have different times, unless the clock went back to just where it was."""
    if not len(stamps):
        return []
    back = np.diff(stamps) < np.where(commanded[1:] & commanded[:-1], _SLACK_NS, -_SLACK_NS)
    passes = np.split(stamps, np.flatnonzero(back) + 1)
    spans = [(int(part.min()), int(part.max())) for part in passes]
    found = []
    for i, (begin, end) in enumerate(spans):
        for other_begin, other_end in spans[:i]:
            low, high = max(begin, other_begin) - margin, min(end, other_end) + margin
            if low <= high:
                found.append(Stretch(low, high, CLOCK_WENT_BACK))
    return found
