# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""From candidates to returns: reward, drops, what comes after the horizon, risk."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbrl_controller.models.disagreement import disagreement
from mbrl_controller.planning.base import finite_returns
from mbrl_controller.planning.objective import RolloutObjective
from mbrl_controller.planning.risk import Risk
from mbrl_controller.planning.terminal_value import PessimisticValue
from mbrl_controller.tasks.baoding import Baoding
from mbrl_controller.tasks.spaces import ActionSpace

JOINTS = ("j0", "j1")
TASK = Baoding(JOINTS, center=(0.0, 0.0))
ACTION = ActionSpace(JOINTS, np.full(2, -1.0), np.full(2, 1.0), np.zeros(2), np.full(2, 3.0), 0.1)
GOAL = np.array([0.03, 0.0, -0.03, 0.0])
H = 5


class Scripted:
    """A model whose every member keeps the balls on their targets, but for what a test does to `states`."""

    def __init__(self, members: int, candidates: int) -> None:
        self.states = np.zeros((members, candidates, H, len(TASK.state)))
        for ball, x in (("ball_a", 0.03), ("ball_b", -0.03)):
            self.put(f"{ball}.position.x", x)
            self.put(f"{ball}.position.z", 0.2)
        self.targets: np.ndarray | None = None

    def put(self, entry: str, value: float, where: tuple = (slice(None),) * 3) -> None:
        self.states[(*where, TASK.state.index(entry))] = value

    def rollout(self, state: np.ndarray, actions: np.ndarray) -> np.ndarray:
        self.targets = actions
        return self.states


def objective(model: Scripted, risk: Risk | None = None, drop_cost: float = 20.0) -> RolloutObjective:
    goals = np.tile(GOAL, (H, 1))
    return RolloutObjective(model, TASK, ACTION, risk or Risk(kind="mean"), drop_cost, np.zeros(len(TASK.state)), goals)


def test_actions_reach_the_model_as_joint_targets() -> None:
    model = Scripted(1, 2)
    candidates = np.array([np.full((H, 2), 1.0), np.full((H, 2), -0.5)])
    objective(model)(candidates)
    assert np.allclose(model.targets, candidates * 0.9)


def test_a_perfect_candidate_returns_nothing_to_pay() -> None:
    assert objective(Scripted(3, 4))(np.zeros((4, H, 2))) == pytest.approx(0.0)


@pytest.mark.parametrize("step", range(H))
def test_a_drop_is_charged_from_its_step_to_the_end_even_if_the_ball_comes_back(step: int) -> None:
    model = Scripted(1, 2)
    model.put("ball_a.position.z", 0.0, (slice(None), 1, step))
    returns = objective(model)(np.zeros((2, H, 2)))
    assert returns[0] == pytest.approx(0.0)
    assert returns[1] == pytest.approx(-20.0 * (H - step))


def test_the_planner_counts_a_ball_off_the_palm_before_the_task_counts_it_dropped() -> None:
    model = Scripted(1, 1)
    model.put("ball_b.position.z", 0.12)
    assert not TASK.dropped(model.states).any()
    assert objective(model)(np.zeros((1, H, 2)))[0] == pytest.approx(-20.0 * H)


@given(st.sampled_from([np.nan, np.inf, -np.inf]))
def test_a_member_that_is_not_a_number_rules_its_candidate_out(bad: float) -> None:
    for risk in (Risk(kind="mean"), Risk(kind="mean_std"), Risk(kind="worst")):
        model = Scripted(3, 2)
        model.put("ball_a.position.x", bad, (1, 1, 2))
        returns = finite_returns(objective(model, risk)(np.zeros((2, H, 2))))
        assert np.isfinite(returns[0])
        assert returns[1] == -np.inf


def test_a_changing_goal_is_judged_step_by_step() -> None:
    model = Scripted(1, 1)
    goals = np.tile(GOAL, (H, 1))
    goals[3:, 0] += 0.01  # 1 cm off in the last two steps, 5 per metre
    judged = RolloutObjective(model, TASK, ACTION, Risk(kind="mean"), 0.0, np.zeros(len(TASK.state)), goals)
    assert judged(np.zeros((1, H, 2)))[0] == pytest.approx(-5 * 0.01 * 2)


returns_of_members = st.integers(1, 5).flatmap(
    lambda e: st.lists(st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=3), min_size=e, max_size=e)
)


@given(returns_of_members, st.floats(0, 10))
def test_caution_never_raises_a_return(values: list[list[float]], k: float) -> None:
    returns = np.array(values)
    mean = Risk(kind="mean").aggregate(returns)
    slack = 1e-6 * (1 + np.abs(returns).max())
    assert (Risk(kind="mean_std", k=k).aggregate(returns) <= mean + slack).all()
    assert (Risk(kind="worst").aggregate(returns) <= mean + slack).all()
    assert Risk(kind="mean_std", k=0).aggregate(returns) == pytest.approx(mean)


@given(returns_of_members)
def test_members_that_agree_leave_nothing_to_be_cautious_about(values: list[list[float]]) -> None:
    same = np.array([values[0]] * 4)
    for risk in (Risk(kind="mean"), Risk(kind="mean_std", k=3), Risk(kind="worst")):
        assert risk.aggregate(same) == pytest.approx(same[0])


def test_caution_takes_off_so_many_deviations_of_the_members() -> None:
    returns = np.array([[0.0, 1.0, 5.0], [4.0, 1.0, -1.0], [2.0, 1.0, 2.0]])
    assert Risk(kind="mean").aggregate(returns) == pytest.approx([2.0, 1.0, 2.0])
    assert Risk(kind="worst").aggregate(returns) == pytest.approx([0.0, 1.0, -1.0])
    assert Risk(kind="mean_std", k=0.5).aggregate(returns[:2]) == pytest.approx([1.0, 1.0, 0.5])
    deviation = np.sqrt([8 / 3, 0.0, 6.0])
    assert Risk(kind="mean_std", k=2.0).aggregate(returns) == pytest.approx([2.0, 1.0, 2.0] - 2 * deviation)


def test_disagreement_is_the_mean_of_the_entries() -> None:
    """Members that differ in one of four entries disagree a quarter as much as those that differ in all."""
    states = np.zeros((2, 2, 4))
    states[1, 0, 2] = states[1, 1] = 2.0  # a deviation of 1
    assert disagreement(states, np.ones(4)) == pytest.approx([0.25, 1.0])
    assert disagreement(states, np.array([1.0, 1.0, 0.1, 1.0])) == pytest.approx([2.5, 13 / 4])


def test_disagreement_is_counted_in_units_of_the_scale() -> None:
    states = np.zeros((2, 3, 4))
    states[0, 1] = 1.0
    assert disagreement(states, np.full(4, 0.5)) == pytest.approx([0.0, 1.0, 0.0])
    assert disagreement(states, np.full(4, 0.25)) == pytest.approx([0.0, 2.0, 0.0])


# --- what comes after the horizon -------------------------------------------------------------------------------------


class Head:
    """Two value networks: `value`, and `value` plus 2, of states whose first entry is told apart."""

    spec = SimpleNamespace(discount=0.5)

    def __init__(self, value: float = 4.0) -> None:
        self.value = value
        self.states: np.ndarray | None = None
        self.goals: np.ndarray | None = None

    def values(self, states: np.ndarray, goals: np.ndarray) -> np.ndarray:
        self.states, self.goals = states.copy(), goals
        return np.stack([np.full(len(states), self.value), np.full(len(states), self.value + 2.0)])


def with_value(model: Scripted, terminal: Any, drop_cost: float = 20.0, risk: Risk | None = None) -> RolloutObjective:
    return replace(objective(model, risk or Risk(kind="mean"), drop_cost), terminal=terminal)


@pytest.mark.parametrize(("pessimism", "value"), [(0.0, 5.0), (1.0, 4.0), (3.0, 2.0)])
def test_the_value_of_the_last_states_counts_discounted_and_less_where_its_members_differ(
    pessimism: float, value: float
) -> None:
    model, goals = Scripted(2, 3), np.ones((2, 4))
    model.states[1, 2, -1, 0] = 7.0
    head = Head()
    returns = with_value(model, PessimisticValue(head, goals, pessimism))(np.zeros((3, H, 2)))
    assert returns == pytest.approx(0.5**H * value)
    np.testing.assert_array_equal(head.states, model.states[:, :, -1].reshape(6, -1))
    assert head.goals is goals


def test_with_a_value_rewards_are_discounted_as_it_was_learnt() -> None:
    model = Scripted(1, 1)
    model.put("ball_a.position.x", 0.04, (slice(None), slice(None), 2))  # 1 cm off in the third step
    returns = with_value(model, PessimisticValue(Head(0.0), GOAL[None], 1.0))(np.zeros((1, H, 2)))
    assert returns == pytest.approx(-5 * 0.01 * 0.5**2)


@pytest.mark.parametrize("step", range(H))
def test_what_is_lost_within_the_horizon_stays_lost_whatever_the_value_says(step: int) -> None:
    model = Scripted(1, 2)
    model.put("ball_a.position.z", 0.0, (slice(None), 1, step))  # and back again
    returns = with_value(model, PessimisticValue(Head(1e6), GOAL[None], 0.0))(np.zeros((2, H, 2)))
    assert returns[0] > 1e4
    assert returns[1] == pytest.approx(-20.0 * 0.5**step / (1 - 0.5))


def test_each_member_of_the_model_has_its_own_end_before_risk_is_taken() -> None:
    model = Scripted(2, 1)
    model.put("ball_a.position.z", 0.0, (1, slice(None), H - 1))  # one member in two loses it at the last step
    terminal = PessimisticValue(Head(0.0), GOAL[None], 1.0)
    lost = -20.0 * 0.5 ** (H - 1) / (1 - 0.5)
    assert with_value(model, terminal)(np.zeros((1, H, 2))) == pytest.approx(lost / 2)
    assert with_value(model, terminal, risk=Risk(kind="worst"))(np.zeros((1, H, 2))) == pytest.approx(lost)


def test_a_value_that_is_not_a_number_rules_its_candidate_out() -> None:
    returns = with_value(Scripted(1, 2), PessimisticValue(Head(np.nan), GOAL[None], 1.0))(np.zeros((2, H, 2)))
    assert (finite_returns(returns) == -np.inf).all()
