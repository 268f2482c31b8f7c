"""Streaming statistics of times. Memory is bounded: counts and moments since the start, percentiles of a window."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass

import numpy as np

WINDOW = 4096  # ticks the percentiles look back on: 7 min at 10 Hz, 8 s at 500 Hz


@dataclass(frozen=True)
class Summary:
    """What a series came to; NaN where nothing was added yet. Same unit as the values added."""

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
    """Mean, deviation and extremes since the last clear, percentiles over the last `window` values. Thread-safe."""

    def __init__(self, window: int = WINDOW) -> None:
        self._values = np.empty(window)
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        """Start again."""
        with self._lock:
            self._count = 0
            self._mean = self._squares = 0.0
            self._min, self._max, self._last = math.inf, -math.inf, math.nan

    @property
    def last(self) -> float:
        """The value added last, NaN before the first."""
        return self._last

    def add(self, value: float) -> None:
        """Take in a value (Welford's recurrence: no sum of squares that loses its digits)."""
        with self._lock:
            self._values[self._count % len(self._values)] = value
            self._count += 1
            delta = value - self._mean
            self._mean += delta / self._count
            self._squares += delta * (value - self._mean)
            self._min, self._max = min(self._min, value), max(self._max, value)
            self._last = value

    def summary(self) -> Summary:
        """Where the series stands. The percentiles are sorted on the caller's thread, outside the lock."""
        with self._lock:
            count, mean, squares = self._count, self._mean, self._squares
            low, high, last = self._min, self._max, self._last
            window = self._values[: min(count, len(self._values))].copy()
        if not count:
            return Summary(0, *[math.nan] * 8)
        p50, p99, p999 = np.percentile(window, [50, 99, 99.9])
        return Summary(count, mean, math.sqrt(squares / count), low, high, float(p50), float(p99), float(p999), last)


class LoopStatistics:
    """Timing of a fixed-rate loop, in s: period between ticks' starts, lateness of the start, execution."""

    def __init__(self, window: int = WINDOW) -> None:
        self.period = RunningStatistics(window)
        self.lateness = RunningStatistics(window)
        self.execution = RunningStatistics(window)
        self.ticks = 0
        self.missed = 0

    def clear(self) -> None:
        """Start again."""
        for series in (self.period, self.lateness, self.execution):
            series.clear()
        self.ticks = self.missed = 0
