# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""From candidate action sequences to returns: prediction, reward, drop rule, what comes after the horizon, and risk."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.models.differentiable import DifferentiableModel, Differentiated
from mbrl_controller.planning.linearise import Linearisation, SteppingModel, lost_costs
from mbrl_controller.planning.local_model import LocalModel
from mbrl_controller.planning.proposals import Candidates
from mbrl_controller.planning.risk import Risk
from mbrl_controller.planning.step_reward import StepReward
from mbrl_controller.planning.terminal_value import TerminalValue
from mbrl_controller.tasks.arrays import constant, from_then_on, namespace
from mbrl_controller.tasks.base import Task
from mbrl_controller.tasks.spaces import ActionSpace, Array, Mask


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

    With a `terminal` value, the return goes on after the horizon: sum_h gamma^h r_h + gamma^H V(s_H), gamma being the
    discount V was learnt with. Without one it is the plain sum of rewards. A candidate that is lost within the horizon
    stays lost: instead of V, which knows states that can be met, it has the cost of a drop at each further step,
    -drop_cost / (1 - gamma) in all.

    With a learned `reward` neither the task's reward nor its drop rule is asked: what a drop costs is in the labels.
    """

    model: RolloutModel
    task: Task
    action: ActionSpace
    risk: Risk
    drop_cost: float
    state: Array  # [S]
    goal: Array  # [H, G]
    terminal: TerminalValue | None = None  # of the states after the last step
    scale: Array | None = None  # [S], standard deviation of one step's change, if the model says it
    reward: StepReward | None = None  # in place of the task's, drops included
    proposals: Candidates | None = None  # [K, H, A] in [-1, 1]: where to search, if the planner is asked to

    def __call__(self, candidates: Array) -> Array:
        """Returns [N] of candidates [N, H, A] in [-1, 1]."""
        targets = self.action.to_target(candidates)
        states = self.model.rollout(self.state, targets)
        with np.errstate(invalid="ignore", over="ignore"):
            goal = constant(self.goal, states)  # of their kind: else numpy would compute every reward in double
            if self.reward is not None:
                return self.risk.aggregate(self.reward(self.state, states, targets, goal).sum(-1))
            rewards = self.task.reward(states, targets, goal)
            lost = from_then_on(self.task.at_risk(states))
            rewards = rewards - self.drop_cost * lost
            if self.terminal is None:
                return self.risk.aggregate(namespace(rewards).sum(rewards, axis=-1))
            return self.risk.aggregate(self._discounted(self.terminal, rewards, states, lost[..., -1]))

    def gradient(self, candidates: Array) -> Differentiated:
        """Returns [N] of candidates [N, H, A], drops included, and their gradients [N, H, A].

        The cost of a drop is a step, which has none: a gradient leads neither away from a drop nor into one, and the
        return tells. Raises MbrlError if the model cannot be differentiated (control/gradients.py says so earlier).
        """
        model: DifferentiableModel | None = getattr(self.model, "gradients", None)
        if model is None:
            raise MbrlError("the model has no gradients: plan with a planner that samples, such as pddm")
        terminal = None
        if self.terminal is not None:
            terminal = self.terminal.on(model.value)
        return model.differentiate(replace(self, model=model, terminal=terminal), candidates)

    def linearised(self, actions: Array) -> LocalModel:
        """The local model about a plan [H, A] in [-1, 1]; raises MbrlError for a model that cannot be linearised."""
        if not isinstance(self.model, SteppingModel) or self.scale is None:
            raise MbrlError("the model predicts from the present state alone: it cannot be linearised")
        after = self.model.rollout(self.state, self.action.to_target(actions)[None])[:, 0].mean(0)
        linearisation = Linearisation(
            model=self.model,
            task=self.task,
            action=self.action,
            goal=self.goal,
            scale=self.scale,
            lost_cost=lost_costs(
                self.drop_cost, len(actions), None if self.terminal is None else self.terminal.discount
            ),
            terminal=self.terminal,
        )
        return linearisation.about(np.concatenate([self.state[None], after]).astype(float), actions)

    def _discounted(self, terminal: TerminalValue, rewards: Array, states: Array, lost: Mask) -> Array:
        """Returns [E, N] of rewards [E, N, H] and what follows `states` [E, N, H, S], where not `lost` [E, N]."""
        discounts = constant(terminal.discount ** np.arange(rewards.shape[-1] + 1), rewards)
        cost = self.drop_cost / (1.0 - terminal.discount)
        after = namespace(states).where(lost, -cost, terminal(states[:, :, -1]))
        total: Array = rewards @ discounts[:-1] + discounts[-1] * after
        return total
