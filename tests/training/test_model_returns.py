# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Discounted returns that a value learns: sums that can be worked out by hand."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbrl_controller.control.task_config import contract_for
from mbrl_controller.training.model_returns import BATCH, discounted_returns, episode_returns, model_returns


@given(
    reward=st.floats(-20, 20),
    steps=st.integers(1, 30),
    discount=st.floats(0.05, 0.98),
)
def test_a_constant_reward_is_worth_the_geometric_sum_however_few_steps_are_seen(reward, steps, discount) -> None:
    found = discounted_returns(np.full((2, steps), reward), np.zeros((2, steps), dtype=bool), discount, 80.0)
    np.testing.assert_allclose(found, reward / (1 - discount), atol=1e-9)


@given(at=st.integers(0, 9))
def test_a_loss_is_final_and_costs_for_ever(at: int) -> None:
    lost = np.zeros((1, 10), dtype=bool)
    lost[0, at] = True  # the prediction may find the ball again: the planner does not believe it either
    found = discounted_returns(np.ones((1, 10)), lost, 0.9, 5.0)[0]
    assert found == pytest.approx((1 - 0.9**at) / 0.1 - 5.0 * 0.9**at / 0.1)


def test_an_episodes_returns_are_those_of_its_windows_and_a_drop_ends_it() -> None:
    task = SimpleNamespace(
        reward=lambda states, commands, goals: states[..., 0], at_risk=lambda states: states[..., 0] < 0
    )
    options = {"steps": 4, "discount": 0.5, "drop_cost": 3.0}
    states = np.arange(8.0)[:, None]
    found = episode_returns(task, states, np.zeros((7, 1)), np.zeros((8, 1)), **options)
    assert len(found) == 4  # the last state that four steps follow
    tail = 0.5**4 / 0.5
    assert found[0] == pytest.approx(1 + 1 + 0.75 + 0.5 + tail * 2.5)  # 1, 2, 3, 4, and their mean from then on
    states[-1] = -1.0
    dropped = episode_returns(task, states, np.zeros((7, 1)), np.zeros((8, 1)), **options)
    assert len(dropped) == 7
    assert dropped[-1] == pytest.approx(-3.0 / 0.5)
    assert not len(episode_returns(task, states[:3], np.zeros((2, 1)), np.zeros((3, 1)), **options))


class _Drift:
    """A model of two members: one stays, one moves the valve by a tenth a step; one of its states gives NaN."""

    size = 2

    def __init__(self, task) -> None:
        self._valve = task.state.index("valve.position")

    def predict(self, state, action):
        after = np.stack([state, state])
        after[1, :, self._valve] += 0.1
        after[:, np.abs(state[:, self._valve]) > 3] = np.nan
        return after


def test_each_state_is_rolled_out_in_one_member_and_a_broken_prediction_is_a_loss() -> None:
    contract = contract_for("valve")
    task, action = contract.task, contract.action
    count = BATCH + 3
    states = np.zeros((count, len(task.state)))
    states[-1, task.state.index("valve.position")] = 3.1
    goals = np.zeros((count, 11, 1))
    rest = SimpleNamespace(
        spec=SimpleNamespace(reach=1), plans=lambda states, goals: np.zeros((len(states), 2, len(action)), np.float32)
    )
    options = {"steps": 10, "discount": 0.9, "drop_cost": 7.0, "seed": 4}
    found = model_returns(_Drift(task), rest, task, action, states, goals, **options)
    assert found[-1] == pytest.approx(-7.0 / 0.1)
    kinds = np.unique(np.round(found[:-1], 6))
    assert len(kinds) == 2  # of those that stay, and of those that drift
    assert kinds[1] == pytest.approx(float(task.reward(states[0], None, goals[0, 0])) / 0.1)
    np.testing.assert_array_equal(found, model_returns(_Drift(task), rest, task, action, states, goals, **options))
