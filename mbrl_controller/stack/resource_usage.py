# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Memory, threads and open files of a running process, and the trend of its memory."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mbrl_controller.base.errors import MbrlError

WARM_UP = 0.2  # share of the samples to ignore: caches and pools still fill
SPREADS = 2.0  # a rise below this many standard deviations of the samples about the line counts as none


@dataclass(frozen=True)
class ResourceUsage:
    """What one process uses at one moment."""

    rss_mib: float  # resident memory, shared pages counted in full
    pss_mib: float  # resident memory, shared pages divided among the processes that share them
    threads: int
    files: int  # open descriptors


def resource_usage(pid: int) -> ResourceUsage:
    """Of process `pid`, from /proc; raises MbrlError where that cannot be read."""
    folder = Path("/proc") / str(pid)
    try:
        memory = (folder / "smaps_rollup").read_text()
        status = (folder / "status").read_text()
        files = len(os.listdir(folder / "fd"))
        return ResourceUsage(
            rss_mib=_entry(memory, "Rss") / 1024,
            pss_mib=_entry(memory, "Pss") / 1024,
            threads=_entry(status, "Threads"),
            files=files,
        )
    except (OSError, StopIteration, ValueError) as error:
        raise MbrlError(f"resource usage of process {pid} cannot be read from {folder}: {error}") from error


def _entry(text: str, name: str) -> int:
    return int(next(line for line in text.splitlines() if line.startswith(f"{name}:")).split()[1])


@dataclass(frozen=True)
class Trend:
    """Straight line through a series after its warm-up; NaN with fewer than three samples there."""

    begin: float  # of the fitted line, in the series' unit
    end: float
    slope: float  # unit per hour
    spread: float  # standard deviation about the line, unit

    @property
    def verdict(self) -> str:
        """Whether the line rises or falls by more than the samples scatter about it."""
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
