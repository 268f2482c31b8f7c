# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""From candidate action sequences to returns: the model's prediction, the task's reward, the drop rule and the risk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from mbrl_controller.planning.risk import Risk
from mbrl_controller.tasks.base import Task
from mbrl_controller.tasks.spaces import ActionSpace, Array


class RolloutModel(Protocol):
    """A model that predicts: the learned ensemble, or the simulator as an oracle."""

    def rollout(self, state: Array, actions: Array) -> Array:
        """States [E, N, H, S] after each of `actions` [N, H, A] (joint targets, rad) from `state` [S].

        The next call may overwrite them.
        """
        ...


@dataclass(frozen=True)
class RolloutObjective:
    """The objective of one control step.

    From the first step on at which a candidate is predicted to risk a drop, every step costs `drop_cost`.
    """

    model: RolloutModel
    task: Task
    action: ActionSpace
    risk: Risk
    drop_cost: float
    state: Array  # [S]
    goal: Array  # [H, G]

    def __call__(self, candidates: Array) -> Array:
        """Returns [N] of candidates [N, H, A] in [-1, 1]."""
        targets = self.action.to_target(candidates)
        states = self.model.rollout(self.state, targets)
        with np.errstate(invalid="ignore", over="ignore"):
            goal = self.goal.astype(states.dtype, copy=False)  # else numpy would compute every reward in double
            rewards = self.task.reward(states, targets, goal)
            lost = np.maximum.accumulate(self.task.at_risk(states), axis=-1)
            returns = (rewards - self.drop_cost * lost).sum(-1)
            return self.risk.aggregate(returns)
