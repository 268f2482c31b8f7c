# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""iLQR's backward pass, against problems whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest

from mbrl_controller.planning.backward_pass import action_gradient, backward_pass, followed, tracking_gains
from mbrl_controller.planning.local_model import LocalModel

H, S, A = 6, 4, 2
FREE = 1e3  # a bound that nothing reaches


def local_model(seed: int = 0, bound: float = FREE, curved: bool = True) -> LocalModel:
    """A random linear system with a random convex cost, about the plan of zeros."""
    rng = np.random.default_rng(seed)
    half = rng.normal(size=(H, S + A, S + A)) * curved
    return LocalModel(
        states=np.zeros((H + 1, S)),
        actions=np.zeros((H, A)),
        state_jacobian=rng.normal(size=(H, S, S)) * 0.4,
        action_jacobian=rng.normal(size=(H, S, A)),
        cost_gradient=rng.normal(size=(H, S + A)),
        cost_hessian=half @ half.transpose(0, 2, 1),
        scale=np.ones(S),
        lower=np.full((H, A), -bound),
        upper=np.full((H, A), bound),
    )


def cost(local: LocalModel, changes: np.ndarray, start: np.ndarray | None = None) -> float:
    """Of changes [H, A] from a deviation at the start, step by step."""
    deviation, total = np.zeros(S) if start is None else start, 0.0
    for t, change in enumerate(changes):
        deviation = local.state_jacobian[t] @ deviation + local.action_jacobian[t] @ change
        z = np.concatenate([deviation, change])
        total += float(z @ local.cost_gradient[t] + 0.5 * z @ local.cost_hessian[t] @ z)
    return total


def numerical_gradient(local: LocalModel, at: np.ndarray, start: np.ndarray | None = None) -> np.ndarray:
    gradient = np.zeros_like(at)
    for index in np.ndindex(at.shape):
        step = np.zeros_like(at)
        step[index] = 1e-5
        gradient[index] = (cost(local, at + step, start) - cost(local, at - step, start)) / 2e-5
    return gradient


@pytest.mark.parametrize("seed", range(4))
def test_the_whole_change_is_the_minimum_of_a_linear_quadratic_problem(seed: int) -> None:
    local = local_model(seed)
    policy = backward_pass(local, 1e-9)
    (plan,) = followed(local, policy, np.ones(1))
    assert np.abs(numerical_gradient(local, plan)).max() < 1e-4
    assert policy.expected_gain == pytest.approx(-cost(local, plan), rel=1e-4)


@pytest.mark.parametrize("seed", range(4))
def test_the_gains_give_the_best_answer_to_a_deviation_at_the_start(seed: int) -> None:
    """The optimal policy is linear: with it, another start also has its minimum."""
    local = local_model(seed)
    policy = backward_pass(local, 1e-9)
    start = np.random.default_rng(seed + 100).normal(size=S)
    deviation, plan = start, np.zeros((H, A))
    for t in range(H):
        plan[t] = policy.changes[t] + policy.gains[t] @ deviation
        deviation = local.state_jacobian[t] @ deviation + local.action_jacobian[t] @ plan[t]
    assert np.abs(numerical_gradient(local, plan, start)).max() < 1e-4


@pytest.mark.parametrize("seed", range(4))
def test_within_limits_no_allowed_change_is_better(seed: int) -> None:
    local = local_model(seed, bound=0.1)
    policy = backward_pass(local, 1e-9)
    (plan,) = followed(local, policy, np.ones(1))
    assert np.abs(plan).max() <= 0.1
    held = np.abs(policy.changes) >= 0.1
    assert held.any()
    assert not policy.gains[held].any()  # an action at its limit has no feedback
    assert cost(local, plan) < 0


@pytest.mark.parametrize("seed", range(4))
def test_a_small_share_of_a_regularised_change_always_gains(seed: int) -> None:
    for curved in (True, False):
        local = local_model(seed, bound=1.0, curved=curved)
        plans = followed(local, backward_pass(local, 10.0), np.array([0.01]))
        assert cost(local, plans[0]) < 0


def test_more_regularisation_means_smaller_changes() -> None:
    local = local_model(1)
    sizes = [np.abs(backward_pass(local, value).changes).max() for value in (0.1, 10.0, 1e3, 1e5)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] < 1e-3


def test_the_gradient_by_the_actions_is_that_of_the_cost() -> None:
    local = local_model(2)
    assert action_gradient(local) == pytest.approx(numerical_gradient(local, np.zeros((H, A))), abs=1e-6)


def test_a_reward_without_curvature_has_gains_only_where_the_plan_is_tracked() -> None:
    local = local_model(0, curved=False)
    assert not backward_pass(local, 1.0).gains.any()
    gains = tracking_gains(local, 10.0, 1.0)
    assert gains.any()
    deviation = np.array([0.5, -0.5, 0.2, 0.1])
    for t in range(H):  # each correction leaves the next state nearer to the plan
        alone = local.state_jacobian[t] @ deviation
        corrected = alone + local.action_jacobian[t] @ gains[t] @ deviation
        assert np.linalg.norm(corrected) <= np.linalg.norm(alone) * (1.0 if t == H - 1 else 1.5)
