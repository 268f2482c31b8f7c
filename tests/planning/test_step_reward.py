# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A learned reward in the objective: what it is asked, and what its members' doubt costs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mbrl_controller.planning.risk import Risk
from mbrl_controller.planning.step_reward import PessimisticReward

from .test_objective import GOAL, TASK, H, Scripted, objective


class FakeReward:
    """Two members, `spread` apart: the change of the first joint, the first target and the goal's first entry."""

    def __init__(self, spread: float = 0.0) -> None:
        self.spread = spread

    def rewards(
        self, states: np.ndarray, actions: np.ndarray, next_states: np.ndarray, goals: np.ndarray
    ) -> np.ndarray:
        mean = (next_states - states)[:, 0] + 10 * actions[:, 0] + 100 * goals[:, 0]
        return np.stack([mean - self.spread, mean + self.spread])


def test_each_step_is_asked_from_the_state_before_to_the_state_after_under_its_own_goal() -> None:
    rng = np.random.default_rng(0)
    E, N = 3, 4
    state, states = rng.normal(size=len(TASK.state)), rng.normal(size=(E, N, H, len(TASK.state)))
    targets, goal = rng.normal(size=(N, H, 2)), rng.normal(size=(H, 4))
    found = PessimisticReward(FakeReward(), 1.0)(state, states, targets, goal)
    before = np.concatenate([np.broadcast_to(state, (E, N, 1, len(state))), states[:, :, :-1]], axis=2)
    expected = (states - before)[..., 0] + 10 * targets[None, ..., 0] + 100 * goal[None, None, :, 0]
    np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize(("pessimism", "value"), [(0.0, 5.0), (1.0, 3.0), (2.0, 1.0)])
def test_doubt_of_the_members_costs_deviations(pessimism: float, value: float) -> None:
    zeros = np.zeros((1, 1, 1, 3))
    zeros[..., 0] = 5.0
    reward = PessimisticReward(FakeReward(spread=2.0), pessimism)
    assert reward(np.zeros(3), zeros, np.zeros((1, 1, 2)), np.zeros((1, 4))) == pytest.approx(value)


def test_neither_the_tasks_reward_nor_its_drop_rule_is_asked() -> None:
    model = Scripted(2, 3)
    model.put("ball_a.position.z", -1.0, (slice(None), 1, slice(None)))  # lost, to the task
    learned = replace(objective(model, drop_cost=1e6), reward=PessimisticReward(FakeReward(), 0.0))
    candidates = np.zeros((3, H, 2))
    returns = learned(candidates)
    assert returns == pytest.approx(np.full(3, H * 100 * GOAL[0]))


def test_a_prediction_that_diverged_stays_no_number() -> None:
    model = Scripted(2, 3)
    model.put("j0.position", np.nan, (0, 1, 2))
    learned = replace(objective(model, Risk(kind="worst")), reward=PessimisticReward(FakeReward(), 1.0))
    assert np.isfinite(learned(np.zeros((3, H, 2)))).tolist() == [True, False, True]
