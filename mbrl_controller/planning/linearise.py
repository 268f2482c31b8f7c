# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The local model of a rollout objective, by differences through the model that serves: no other framework is needed.

All perturbations of a plan's states and actions, H (S + A) to either side, are one batch of single steps. What is
linearised is the mean of the ensemble's members; risk and the exact cost of a drop are left to the objective itself,
which judges what comes of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from mbrl_controller.planning.finite_differences import jacobians, positive_part, quadratics
from mbrl_controller.planning.local_model import LocalModel
from mbrl_controller.planning.terminal_value import TerminalValue
from mbrl_controller.tasks.base import Task
from mbrl_controller.tasks.spaces import ActionSpace, Array

# To either side, in standard deviations of one step's change, the scale that the model was trained on. Within a tenth
# of it an 8-bit model is a staircase; over half of it and more, both precisions predict alike, and better what a step
# of a plan's size does than the limit of short steps (docs/planning.md has the figures).
STATE_STEP = 1.0
ACTION_STEP = 0.2  # of the normalised range
# Rewards jump and have kinks where goals are: they too are seen over the change of a whole step.
REWARD_STEP = 1.0


@runtime_checkable
class SteppingModel(Protocol):
    """A model that predicts from any states, not from the present one alone."""

    def predict(self, state: Array, action: Array) -> Array:
        """Next states [E, N, S] of states [N, S] under targets [N, A] (rad)."""
        ...


@dataclass(frozen=True)
class Linearisation:
    """What the local model of a plan is made of.

    `lost_cost` [H]: what it costs to be lost from each step on. `terminal`: of the last state; None: nothing follows.
    """

    model: SteppingModel
    task: Task
    action: ActionSpace
    goal: Array  # [H, G]
    scale: Array  # [S], standard deviation of one step's change
    lost_cost: Array
    terminal: TerminalValue | None = None

    def about(self, states: Array, actions: Array) -> LocalModel:
        """The local model about `actions` [H, A] in [-1, 1] that lead through `states` [H+1, S]."""
        size, entries = actions.shape[1], states.shape[1]
        lower, upper = self._reachable(states[:-1])
        actions = np.clip(actions, lower, upper)
        steps = np.concatenate([STATE_STEP * self.scale, np.full(size, ACTION_STEP)])

        def after(points: Array) -> Array:
            targets = self.action.to_target(points[:, entries:])
            return np.asarray(self.model.predict(points[:, :entries], targets).mean(0), dtype=float)

        slopes = jacobians(after, np.concatenate([states[:-1], actions], 1), steps, self.task.state.difference)
        gradient, hessian = self._costs(states[1:], actions)
        return LocalModel(
            states=states,
            actions=actions,
            state_jacobian=slopes[:, :, :entries],
            action_jacobian=slopes[:, :, entries:],
            cost_gradient=gradient,
            cost_hessian=hessian,
            scale=self.scale,
            lower=lower,
            upper=upper,
        )

    def _reachable(self, states: Array) -> tuple[Array, Array]:
        """The lowest and the highest actions [H, A] within the joints' reach: beyond, nothing changes, and no
        difference would lead back."""
        position = states[:, self.task.joint_positions]

        def nearest(end: float) -> Array:
            target = self.action.limit(self.action.to_target(np.full_like(position, end)), position)
            return self.action.to_normalised(target)

        return nearest(-1.0), nearest(1.0)

    def _costs(self, states: Array, actions: Array) -> tuple[Array, Array]:
        """Gradients [H, S+A] and Hessians [H, S+A, S+A] of what each step costs."""
        entries = states.shape[1]
        horizon, size = actions.shape
        discount = 1.0 if self.terminal is None else self.terminal.discount
        discounts = discount ** np.arange(horizon)
        steps = np.concatenate([REWARD_STEP * self.scale, np.full(size, ACTION_STEP)])

        def cost(points: Array) -> Array:
            at, targets = points[..., :entries], self.action.to_target(points[..., entries:])
            rewards = discounts * self.task.reward(at, targets, self.goal)
            return np.asarray(self.lost_cost * self.task.at_risk(at) - rewards, dtype=float)

        gradient, hessian = quadratics(cost, np.concatenate([states, actions], 1), steps)
        if self.terminal is not None:
            slope, curvature = self._behind(self.terminal, states[-1:], steps[:entries])
            gradient[-1, :entries] += slope
            hessian[-1, :entries, :entries] += curvature
        return gradient, positive_part(hessian, steps)

    def _behind(self, terminal: TerminalValue, last: Array, steps: Array) -> tuple[Array, Array]:
        """The same of what follows the `last` state [1, S]. Mixed derivatives would take S^2 values of a network."""
        factor = terminal.discount ** len(self.goal)

        def cost(points: Array) -> Array:
            values = terminal(np.ascontiguousarray(points.reshape(1, -1, points.shape[-1]), dtype=np.float32))
            return np.asarray(-factor * values.reshape(points.shape[:-1]), dtype=float)

        gradient, hessian = quadratics(cost, last, steps, mixed=False)
        return gradient[0], hessian[0]


def lost_costs(drop_cost: float, horizon: int, discount: float | None) -> Array:
    """What it costs [H] to be lost from step h of a plan on: `drop_cost` at each further one, for ever if what follows
    counts, with `discount`."""
    if discount is None:
        return drop_cost * np.arange(horizon, 0, -1.0)
    return np.asarray(drop_cost * discount ** np.arange(horizon) / (1.0 - discount))
