# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What iLQR asks of an objective: the dynamics and the reward about a nominal plan, linear and quadratic.

An objective that can has a method `linearised(actions)`. With x_0 ... x_H the states that the actions u_0 ... u_{H-1}
pass through, deviations obey dx_{t+1} = A_t dx_t + B_t du_t, and step t costs (minus its reward)
g_t'z + 1/2 z'M_t z for z = (dx_{t+1}, du_t): a reward is of the state that the action led to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from mbrl_controller.tasks.spaces import Array


@dataclass(frozen=True)
class LocalModel:
    """The expansion about one plan. Actions are normalised to [-1, 1]."""

    states: Array  # [H+1, S], the first is where the plan begins
    actions: Array  # [H, A], as the model limits them
    state_jacobian: Array  # [H, S, S], A_t
    action_jacobian: Array  # [H, S, A], B_t
    cost_gradient: Array  # [H, S+A], g_t
    cost_hessian: Array  # [H, S+A, S+A], M_t, positive semidefinite
    scale: Array  # [S], standard deviation of one step's change
    lower: Array  # [H, A], of the actions that the hand can reach within the step
    upper: Array  # [H, A]


@runtime_checkable
class Linearisable(Protocol):
    """An objective about which the plan can be improved by its local model."""

    def linearised(self, actions: Array) -> LocalModel:
        """The local model about actions [H, A] in [-1, 1]."""
        ...
