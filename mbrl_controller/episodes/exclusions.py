# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Intervals of an episode that must not be trained on, found from its ticks, and from the logger's marks.

Reasons: nobody took the commands, several publishers sent one state, or the clock jumped backwards.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mbrl_controller.control.doubt import CLOCK_WENT_BACK, REASONS, Doubt
from mbrl_controller.episodes.ros_messages import NANO, is_stamp, to_ns
from mbrl_controller.tasks.spaces import Array

DOUBT = "doubt"  # event of a person's episode: the log of this moment may not be what happened
# On a busy machine the logger may discover a publisher this much earlier than the controller does.
DISCOVERY_NS = 3 * NANO
# How long the doubt outlives its last tick: the last message of a publisher that left may still be the newest of its
# state, but a command that is heard again is heard.
AFTERWARDS_NS = {Doubt.UNHEARD: 0, Doubt.DISPUTED: NANO, Doubt.CORRECTED: 0}
_SLACK_NS = 1_000_000  # ticks carry their stamp as a float of seconds


@dataclass(frozen=True)
class Exclusion:
    """From `begin` to `end` (ns), both included."""

    begin: int
    end: int
    reason: str


def find_exclusions(ticks: Mapping[str, Array], period: int) -> list[Exclusion]:
    """Intervals to leave out of an episode with these tick columns, in order of arrival; `period` in ns.

    Older logs have no `doubt` column: only clock jumps are found in them.
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


def marked_exclusions(events: Iterable[Mapping[str, Any]]) -> list[Exclusion]:
    """Intervals to leave out by an episode's events DOUBT, which have a stamp (s) and the name of a Doubt as `why`."""
    marks = [event for event in events if event.get("event") == DOUBT and is_stamp(event.get("stamp"))]
    found = []
    for doubt, reason in REASONS.items():
        stamps = np.array([to_ns(mark["stamp"]) for mark in marks if mark.get("why") == doubt.name], dtype=np.int64)
        found += _merged(stamps, reason, AFTERWARDS_NS[doubt])
    return found


def exclusion_reason(exclusions: list[Exclusion], begin: int, end: int) -> str:
    """Why the interval between two stamps (ns) must not be trained on; empty if it may."""
    return next((e.reason for e in exclusions if begin <= e.end and end >= e.begin), "")


def _merged(stamps: np.ndarray, reason: str, afterwards: int) -> list[Exclusion]:
    found: list[Exclusion] = []
    for stamp in np.sort(stamps).tolist():
        begin, end = stamp - DISCOVERY_NS, stamp + afterwards
        if found and begin <= found[-1].end:
            found[-1] = Exclusion(found[-1].begin, end, reason)
        else:
            found.append(Exclusion(begin, end, reason))
    return found


def _overlaps(stamps: np.ndarray, commanded: np.ndarray, margin: int) -> list[Exclusion]:
    """Times (ns) that the clock passed more than once: there the messages of both passes are mixed.

    Two ticks that both sent a command have different times, unless the clock jumped back to exactly the same time.
    """
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
                found.append(Exclusion(low, high, CLOCK_WENT_BACK))
    return found
