# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Noise on the planned actions, so that a session explores more than its controller would."""

from __future__ import annotations

import numpy as np

from mbrl_controller.tasks.spaces import Array


class ExplorationNoise:
    """n_t = beta u_t + (1 - beta) n_{t-1}, filtered as the planner's candidates are, so that it moves the fingers
    instead of shaking them. It depends on the episode's seed alone."""

    def __init__(self, joints: int, seed: int = 0) -> None:
        self._joints = joints
        self.reset(seed)

    def reset(self, seed: int) -> None:
        """Start from no noise: an episode of this seed begins."""
        self._rng = np.random.default_rng([seed, 1])  # the planner's numbers come from the seed itself
        self._noise = np.zeros(self._joints)

    def sample(self, deviation: float, beta: float) -> Array | None:
        """The noise [A] of the next step, normalised actions; u has the standard `deviation`. None where that is 0."""
        if not deviation:
            return None
        fresh = deviation * self._rng.standard_normal(self._joints)
        self._noise = beta * fresh + (1 - beta) * self._noise
        return self._noise
