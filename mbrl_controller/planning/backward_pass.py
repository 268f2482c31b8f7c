# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""iLQR's backward pass: from a local model to changes of the plan and to feedback gains.

Tassa et al., "Control-Limited Differential Dynamic Programming", ICRA 2014: each step's change of the action solves a
quadratic programme within the action's limits, and an action at its limit has no feedback. What is added to the
Hessian (Levenberg-Marquardt) makes the change smaller and turns it towards the gradient.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mbrl_controller.planning.box_qp import solve_box_qp
from mbrl_controller.planning.local_model import LocalModel
from mbrl_controller.tasks.spaces import Array


@dataclass(frozen=True)
class LinearPolicy:
    """du_t = `changes`[t] + `gains`[t] dx_t, and the cost that this should save."""

    changes: Array  # [H, A]
    gains: Array  # [H, A, S]
    expected_gain: float  # of return, by the local model, for the whole change


def backward_pass(local: LocalModel, regularisation: float) -> LinearPolicy:
    """The policy that minimises the local model's cost plus `regularisation`/2 |du|^2 (above 0, reward)."""
    horizon, size = local.actions.shape
    states = local.states.shape[1]
    changes, gains = np.zeros((horizon, size)), np.zeros((horizon, size, states))
    value_gradient, value_hessian = np.zeros(states), np.zeros((states, states))
    gain, damping = 0.0, regularisation * np.eye(size)
    previous: Array = np.zeros(size)
    for t in reversed(range(horizon)):
        # z = (dx_{t+1}, du_t) = onto_x dx_t + onto_u du_t
        onto_x = np.concatenate([local.state_jacobian[t], np.zeros((size, states))])
        onto_u = np.concatenate([local.action_jacobian[t], np.eye(size)])
        p, P = local.cost_gradient[t].copy(), local.cost_hessian[t].copy()
        p[:states] += value_gradient
        P[:states, :states] += value_hessian
        q_u, q_uu, q_ux = onto_u.T @ p, onto_u.T @ P @ onto_u, onto_u.T @ P @ onto_x
        actions = local.actions[t]
        found = solve_box_qp(q_uu + damping, q_u, local.lower[t] - actions, local.upper[t] - actions, previous)
        k, free = found.x, found.free
        previous = k  # neighbouring steps have similar changes
        K = np.zeros((size, states))
        if free.any():
            K[free] = -np.linalg.solve((q_uu + damping)[np.ix_(free, free)], q_ux[free])
        changes[t], gains[t] = k, K
        gain -= float(k @ q_u + 0.5 * k @ q_uu @ k)
        # In this form the value's Hessian stays positive semidefinite whatever the regularisation did to k and K.
        closed = onto_x + onto_u @ K
        value_gradient = closed.T @ (p + P @ (onto_u @ k))
        value_hessian = closed.T @ P @ closed
        value_hessian = 0.5 * (value_hessian + value_hessian.T)
    return LinearPolicy(changes, gains, gain)


def action_gradient(local: LocalModel) -> Array:
    """The derivative [H, A] of the plan's whole cost by its actions, with what they change later (the adjoint)."""
    states = local.states.shape[1]
    gradient, later = np.zeros_like(local.actions), np.zeros(states)
    for t in reversed(range(len(gradient))):
        by_state = local.cost_gradient[t, :states] + later
        gradient[t] = local.cost_gradient[t, states:] + local.action_jacobian[t].T @ by_state
        later = local.state_jacobian[t].T @ by_state
    return gradient


def tracking_gains(local: LocalModel, weight: float, effort: float) -> Array:
    """Gains [H, A, S] that also keep to the plan's states: where the reward has no curvature, iLQR's own are zero.

    Args:
        local: about the plan.
        weight: reward per squared standard deviation of one step's change that a state is off the plan.
        effort: reward per squared unit of normalised action (above 0).
    """
    states = local.states.shape[1]
    hessian = local.cost_hessian.copy()
    hessian[:, np.arange(states), np.arange(states)] += weight / local.scale**2
    return backward_pass(replace(local, cost_hessian=hessian), effort).gains


def followed(local: LocalModel, policy: LinearPolicy, shares: Array) -> Array:
    """Plans [N, H, A] that take `shares` [N] of the changes, the gains acting on the states that follow by the local
    model. Each action stays within its limits."""
    count, states = len(shares), local.states.shape[1]
    deviation, plans = np.zeros((count, states)), np.zeros((count, *local.actions.shape))
    for t, action in enumerate(local.actions):
        change = shares[:, None] * policy.changes[t] + deviation @ policy.gains[t].T
        plans[:, t] = np.clip(action + change, local.lower[t], local.upper[t])
        deviation = deviation @ local.state_jacobian[t].T + (plans[:, t] - action) @ local.action_jacobian[t].T
    return plans
