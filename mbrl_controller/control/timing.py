# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Streaming statistics of times since the start, in bounded memory."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mbrl_controller.tasks.spaces import Array

# Percentiles come from counts in buckets whose width is a share of their distance from a centre, as in HDR histograms.
SHORTEST, LONGEST = 1e-6, 1e3  # s, distances; what lies outside is counted at the ends
WIDTH = 0.01  # of a bucket, of its distance: a percentile is off by half of it at most
_LOG_RATIO = math.log1p(WIDTH)
_BUCKETS = math.ceil(math.log(LONGEST / SHORTEST) / _LOG_RATIO) + 1  # on either side of the centre


@dataclass(frozen=True)
class Summary:
    """Statistics of a series of times, s; NaN before the first value.

    Percentiles are of all values, exact to .5 % of their distance from the centre, or to 1 µs if that is more.
    """

    count: int
    mean: float
    std: float
    min: float
    max: float
    p50: float
    p99: float
    p999: float
    last: float


class RunningStatistics:
    """Mean, deviation, extremes and percentiles of the times (s) added since the last clear. Thread-safe.

    Percentiles are most exact near `centre` (s).
    """

    def __init__(self, centre: float = 0.0) -> None:
        self._centre = centre
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        """Start again."""
        with self._lock:
            self._counts = np.zeros(2 * _BUCKETS, dtype=np.int64)
            self._count = 0
            self._mean = self._squares = 0.0
            self._min, self._max, self._last = math.inf, -math.inf, math.nan

    @property
    def last(self) -> float:
        """The value added last, NaN before the first."""
        return self._last

    def add(self, value: float) -> None:
        """Add a value, by Welford's recurrence: a sum of squares would lose digits."""
        distance = min(max(abs(value - self._centre), SHORTEST), LONGEST)
        bucket = math.floor(math.log(distance / SHORTEST) / _LOG_RATIO)
        with self._lock:
            self._counts[_BUCKETS + bucket if value >= self._centre else _BUCKETS - 1 - bucket] += 1
            self._count += 1
            delta = value - self._mean
            self._mean += delta / self._count
            self._squares += delta * (value - self._mean)
            self._min, self._max = min(self._min, value), max(self._max, value)
            self._last = value

    def summary(self) -> Summary:
        """Statistics so far. The percentiles are computed on the caller's thread, outside the lock."""
        with self._lock:
            count, mean, squares = self._count, self._mean, self._squares
            low, high, last = self._min, self._max, self._last
            counts = self._counts.copy()
        if not count:
            return Summary(0, *[math.nan] * 8)
        p50, p99, p999 = np.clip(self._centre + _percentiles(counts, [0.5, 0.99, 0.999]), low, high)
        return Summary(count, mean, math.sqrt(squares / count), low, high, float(p50), float(p99), float(p999), last)


def _percentiles(counts: NDArray[np.int64], shares: list[float]) -> Array:
    """Percentiles (s from the centre) at these shares: the middles of their buckets."""
    total = np.cumsum(counts)
    places = np.searchsorted(total, np.ceil(np.array(shares) * total[-1])) - _BUCKETS + 0.5
    middles: Array = np.sign(places) * SHORTEST * np.exp(_LOG_RATIO * np.abs(places))
    return middles


class LoopStatistics:
    """Timing of a loop, s: period from one tick's start to the next (`period`: the intended one), lateness,
    execution."""

    def __init__(self, period: float = 0.0) -> None:
        self.period = RunningStatistics(period)
        self.lateness = RunningStatistics()
        self.execution = RunningStatistics()
        self.ticks = 0
        self.missed = 0

    def clear(self) -> None:
        """Start again."""
        for series in (self.period, self.lateness, self.execution):
            series.clear()
        self.ticks = self.missed = 0
