# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Predicts how long a chunk of candidates takes, from measured chunks: the time budget of an anytime plan."""

from __future__ import annotations

from collections import deque

import numpy as np

from mbrl_controller.tasks.spaces import Array

WINDOW = 48  # measured chunks to fit: a few seconds at 10 Hz, so that the fit follows a change of load
SLOW = 0.9  # quantile of the measured delays against the fit that a chunk is expected to have


class ThroughputEstimator:
    """Time of a chunk: a + b n for n candidates, fitted to the chunks of the last ticks, plus a delay.

    The delay is what one chunk in ten exceeds: other threads take the processor for a while, whatever the chunk's size.
    Chunks are measured in the control loop, after the idle gap between ticks: a processor that has slept is slower than
    one in a tight loop.
    """

    def __init__(self) -> None:
        self._chunks: deque[tuple[float, float]] = deque(maxlen=WINDOW)
        self._fixed = self._each = 0.0
        self._delay = 0.0

    def __bool__(self) -> bool:
        """Whether anything was measured yet."""
        return bool(self._chunks)

    def add(self, count: int, seconds: float) -> None:
        """Record a chunk of `count` candidates."""
        self._chunks.append((float(count), max(seconds, 1e-7)))
        if len(self._chunks) <= 2:  # so that the very first plan has an estimate
            self.learn()

    def learn(self) -> None:
        """Fit again; call it once per plan."""
        if not self._chunks:
            return
        n, t = np.array(self._chunks).T
        # Twice; the second fit leaves out chunks during which the thread did not run.
        self._fit(n, t)
        undisturbed = t <= 2 * self._expected(n)
        self._fit(n[undisturbed], t[undisturbed])
        self._delay = max(0.0, float(np.quantile(t - self._expected(n), SLOW)))

    def seconds(self, count: int) -> float:
        """Predicted time (s) of a chunk of `count` candidates."""
        return self._delay + self._fixed + self._each * count

    def affordable(self, seconds: float) -> int:
        """The largest chunk that should end within `seconds`; 0 if there is none."""
        if self._each == 0.0:
            return 0
        return max(0, int((seconds - self._delay - self._fixed) / self._each))

    def _expected(self, n: Array) -> Array:
        return self._fixed + self._each * n

    def _fit(self, n: Array, t: Array) -> None:
        """Least squares with both terms positive; chunks of one size do not determine the fixed part."""
        if not len(n):
            return
        deviation = n - n.mean()
        spread = float((deviation**2).sum())
        each = float((deviation * t).sum()) / spread if spread > 0 else 0.0
        fixed = float(t.mean()) - each * float(n.mean())
        if each > 0 and fixed >= 0:
            self._fixed, self._each = fixed, each
        else:
            self._fixed, self._each = 0.0, float(t.sum() / n.sum())
