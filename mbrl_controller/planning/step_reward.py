# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What each step of a candidate is worth where the reward is learnt and not written: r(s, a, s') of a reward head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from mbrl_controller.tasks.spaces import Array


class StepReward(Protocol):
    """Rewards of the steps of candidates, the cost of a drop included."""

    def __call__(self, state: Array, states: Array, targets: Array, goal: Array) -> Array:
        """Rewards [E, N, H] of candidates that begin in `state`.

        Args:
            state: where all begin [S].
            states: after each step, as each member of the model predicts it [E, N, H, S].
            targets: joint targets [N, H, A], rad.
            goal: at the end of each step [H, G].
        """
        ...


class LearnedReward(Protocol):
    """What is needed here of a reward head (models/heads.py)."""

    def rewards(self, states: Array, actions: Array, next_states: Array, goals: Array) -> Array: ...


@dataclass(frozen=True)
class PessimisticReward:
    """The mean over the reward's own members less `pessimism` times their standard deviation: a planner would else look
    for steps of which the reward is wrong."""

    head: LearnedReward
    pessimism: float

    def __call__(self, state: Array, states: Array, targets: Array, goal: Array) -> Array:
        """See StepReward."""
        E, N, H, S = states.shape
        before = np.empty_like(states)
        before[:, :, 0], before[:, :, 1:] = state, states[:, :, :-1]
        actions = np.broadcast_to(targets, (E, *targets.shape)).reshape(E * N * H, -1)
        goals = np.broadcast_to(goal, (E, N, *goal.shape)).reshape(E * N * H, -1)
        found = self.head.rewards(before.reshape(-1, S), actions, states.reshape(-1, S), goals)
        rewards = np.asarray(found)
        aggregated: Array = rewards.mean(0) - self.pessimism * rewards.std(0) if self.pessimism else rewards.mean(0)
        return aggregated.reshape(E, N, H)
