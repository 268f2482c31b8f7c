# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""One ball to a place, the other where it is: PDDM's second task for the model that learnt to turn two balls."""

from __future__ import annotations

import numpy as np

from mbrl_controller.tasks.spaces import Array

# m, in the world, where the palm is at PDDM's place: the four that google-research/pddm draws from (baoding_env.py,
# create_goal_trajectory). There the second ball is not in the hand; here it is, and must be kept.
PLACES = ((0.01, 0.04), (0.0, -0.06), (-0.02, -0.02), (0.03, -0.02))
NEAR = 0.02  # m from the place, at the end: there


class PlacedBall:
    """ball_a's target is `place` (m); ball_b's is where ball_b is seen (an ObservingGoal), so that it is free to yield.

    `other`: x and y of ball_b in the state.
    """

    def __init__(self, place: tuple[float, float], other: slice) -> None:
        self.place = place
        self._other = other
        self._seen: Array = np.array(place, dtype=float)  # until it is seen: nothing is asked of it

    def at(self, times: Array) -> Array:
        """Goals [..., 4] at `times` [...] (s)."""
        goal = np.concatenate([self.place, self._seen])
        return np.broadcast_to(goal, (*np.shape(times), 4)).copy()

    def observe(self, state: Array, time: float) -> None:
        """The state [S] at `time` (s)."""
        self._seen = np.array(state[self._other], dtype=float)
