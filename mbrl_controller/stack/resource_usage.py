# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What a running process takes of the machine, and how memory goes over time."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mbrl_controller.base.errors import MbrlError

WARM_UP = 0.2  # share of the samples before memory is judged: caches and pools reach their size
SPREADS = 2.0  # a trend within so many standard deviations of the samples about it is none


@dataclass(frozen=True)
class Footprint:
    """One look at a process."""

    rss_mib: float  # resident, shared pages counted whole
    pss_mib: float  # resident, shared pages divided among those who share them
    threads: int
    files: int  # open descriptors


def footprint(pid: int) -> Footprint:
    """Of process `pid`, from /proc; raises MbrlError where that does not tell."""
    folder = Path("/proc") / str(pid)
    try:
        memory = (folder / "smaps_rollup").read_text()
        status = (folder / "status").read_text()
        files = len(os.listdir(folder / "fd"))
        return Footprint(_entry(memory, "Rss") / 1024, _entry(memory, "Pss") / 1024, _entry(status, "Threads"), files)
    except (OSError, StopIteration, ValueError) as error:
        raise MbrlError(f"what process {pid} takes of the machine cannot be read from {folder}: {error}") from error


def _entry(text: str, name: str) -> int:
    return int(next(line for line in text.splitlines() if line.startswith(f"{name}:")).split()[1])


@dataclass(frozen=True)
class Trend:
    """Where a series goes after its warm-up; NaN with fewer than three samples there."""

    begin: float  # of the fitted line, in the series' unit
    end: float
    slope: float  # unit per hour
    spread: float  # standard deviation about the line, unit

    @property
    def verdict(self) -> str:
        """Whether the line's rise is more than the samples' own scatter about it."""
        if not np.isfinite(self.slope):
            return "too short to tell"
        rise = self.end - self.begin
        if abs(rise) <= SPREADS * self.spread:
            return "steady"
        return "grows" if rise > 0 else "shrinks"


def trend(times: Sequence[float], values: Sequence[float]) -> Trend:
    """The straight line through `values` [n] at `times` [n] (s), fitted after the warm-up."""
    skipped = int(WARM_UP * len(times))
    t, v = np.array(times[skipped:], dtype=float), np.array(values[skipped:], dtype=float)
    if len(t) < 3:
        return Trend(*[float("nan")] * 4)
    slope, offset = np.polyfit(t, v, 1)
    line = offset + slope * t
    return Trend(float(line[0]), float(line[-1]), float(3600 * slope), float(np.std(v - line)))
