# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""How long a chunk of candidates takes, from what chunks have taken: the budget of an anytime plan."""

from __future__ import annotations

from collections import deque

import numpy as np

from mbrl_controller.tasks.spaces import Array

WINDOW = 48  # measured chunks looked back on: a few seconds at 10 Hz, so that a change of load is soon believed
SLOW = 0.9  # a chunk is expected to be as late, against the fit, as the latest tenth of those measured


class Pace:
    """Time of a chunk as a + b n over its candidates n, fitted to the chunks of the last ticks, and on top of it the
    delay that one in ten has: the processor is given to others for a while, however long the chunk.

    It is measured where it is used, with the idle gap between ticks in front of it: a processor that has slept is
    slower than one in a tight loop.
    """

    def __init__(self) -> None:
        self._chunks: deque[tuple[float, float]] = deque(maxlen=WINDOW)
        self._fixed = self._each = 0.0
        self._delay = 0.0

    def __bool__(self) -> bool:
        """Whether anything was measured yet."""
        return bool(self._chunks)

    def add(self, count: int, seconds: float) -> None:
        """A chunk of `count` candidates took so long."""
        self._chunks.append((float(count), max(seconds, 1e-7)))
        if len(self._chunks) <= 2:  # the very first plan must know something, too
            self.learn()

    def learn(self) -> None:
        """Fit again; once a plan is enough."""
        if not self._chunks:
            return
        n, t = np.array(self._chunks).T
        # Twice, the second time without the chunks in which the thread was not running.
        self._fit(n, t)
        calm = t <= 2 * self._expected(n)
        self._fit(n[calm], t[calm])
        self._delay = max(0.0, float(np.quantile(t - self._expected(n), SLOW)))

    def seconds(self, count: int) -> float:
        """What a chunk of `count` candidates may take."""
        return self._delay + self._fixed + self._each * count

    def affordable(self, seconds: float) -> int:
        """The largest chunk that should end within `seconds`; 0 if none would."""
        if self._each == 0.0:
            return 0
        return max(0, int((seconds - self._delay - self._fixed) / self._each))

    def _expected(self, n: Array) -> Array:
        return self._fixed + self._each * n

    def _fit(self, n: Array, t: Array) -> None:
        """Least squares with both terms positive; chunks of one size tell nothing of the fixed part."""
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
