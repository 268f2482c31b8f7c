# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Random motion of a position-controlled hand, as PDDM collects its first data."""

from __future__ import annotations

import numpy as np

from mbrl_controller.tasks.spaces import Array

SLOWEST, FASTEST, HOLD = 0.05, 0.15, 2  # of google-research/pddm's configuration files; per step, per step, steps


class RandomPolicy:
    """a_t = a_{t-1} + v in normalised actions [-1, 1]; |v| uniform in .05 to .15 with a random sign, redrawn every
    2 steps, turned inwards at the limits. The first action is uniform.

    `scale` below 1 is calmer: the same motion shrunk towards the neutral pose, so that objects stay longer.
    """

    def __init__(self, size: int, seed: int, scale: float = 1.0) -> None:
        if not 0 < scale <= 1:
            raise ValueError(f"scale must lie in (0, 1], got {scale}")
        self.size, self.scale = size, scale
        self.reset(seed)

    def reset(self, seed: int) -> None:
        """Start anew: the same seed gives the same motion."""
        self._rng = np.random.default_rng(seed)
        self._action = self._rng.uniform(-1, 1, self.size)
        self._velocity = np.zeros(self.size)
        self._step = 0

    def __call__(self) -> Array:
        """The next action [A] in [-scale, scale]."""
        if self._step > 0:
            if (self._step - 1) % HOLD == 0:
                speed = self._rng.uniform(SLOWEST, FASTEST, self.size)
                self._velocity = speed * self._rng.choice([-1.0, 1.0], self.size)
            inward = np.where(np.abs(self._action) >= 1, -np.sign(self._action), np.sign(self._velocity))
            self._velocity = np.abs(self._velocity) * inward
            self._action = np.clip(self._action + self._velocity, -1.0, 1.0)
        self._step += 1
        return self._action * self.scale
