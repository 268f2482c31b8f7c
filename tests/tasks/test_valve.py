# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbrl_controller.base.errors import GoalError
from mbrl_controller.tasks.spaces import wrap_angle
from mbrl_controller.tasks.valve import Valve

JOINTS = tuple(f"F{i}J{j}" for i in (1, 2, 3) for j in (1, 2, 3))
ANGLE = 18
PERIOD = 0.1
TURN = 2 * np.pi


@pytest.fixture(scope="module")
def task():
    return Valve(JOINTS, fold=3, mirrored=("F1J1", "F2J1", "F3J1"))


def with_angles(angles):
    states = np.zeros((*np.shape(angles), 20))
    states[..., ANGLE] = angles
    return states


@given(angle=st.floats(-20, 20), goal=st.floats(-6, 6), turns=st.integers(-3, 3))
def test_only_the_angle_counts_and_whole_turns_do_not(task, angle, goal, turns):
    reward = task.reward(with_angles(angle), np.zeros(9), np.array([goal]))
    again = task.reward(with_angles(angle + turns * TURN), np.ones(9), np.array([goal]))
    error = abs(wrap_angle(np.array(angle - goal)))
    assert error <= np.pi + 1e-9
    if min(abs(error - 0.25), abs(error - 0.1)) > 1e-6:
        assert again == pytest.approx(reward, abs=1e-6)
        assert reward == pytest.approx(-10 * error + (error < 0.25) + 10 * (error < 0.1))


def test_nearer_is_never_worse(task):
    rewards = task.reward(with_angles(np.linspace(0, np.pi, 200)), np.zeros((200, 9)), np.zeros((200, 1)))
    assert (np.diff(rewards) < 0).all()
    assert rewards[0] == 11


def test_nothing_is_ever_dropped(task):
    assert task.dropped(with_angles(np.zeros((2, 3)))).tolist() == [[False] * 3] * 2


@given(seed=st.integers(0, 2**32 - 1))
def test_drawn_goals_are_a_quarter_to_half_a_turn_away_either_way(task, seed):
    rng = np.random.default_rng(seed)
    goals = task.sample_goal(rng).at(np.array([0.0, 3.0]))
    assert np.pi / 2 <= abs(goals[0, 0]) <= np.pi
    assert goals[0, 0] == goals[1, 0]
    task.check_goal(goals)
    assert task.sample_goal(rng, direction="counterclockwise").at(np.array(0.0))[0] > 0
    assert task.sample_goal(rng, direction="clockwise").at(np.array(0.0))[0] < 0
    assert task.sample_goal(rng, angle=0.3).at(np.array(1.0)) == [0.3]


def test_goals_of_the_wrong_kind_are_refused(task):
    rng = np.random.default_rng(0)
    for options in ({"direction": "left"}, {"angle": 9.0}, {"angle": float("nan")}, {"speed": 1}):
        with pytest.raises(GoalError):
            task.sample_goal(rng, **options)
    with pytest.raises(GoalError):
        task.check_goal(np.zeros(2))


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("wrapped", [False, True])
def test_turning_to_the_goal_in_either_direction(task, sign, wrapped):
    angles = sign * np.minimum(np.linspace(0, 4, 41), 3.0)
    angles = wrap_angle(angles) if wrapped else angles
    metrics = task.metrics(with_angles(angles), np.zeros((40, 9)), np.full((41, 1), sign * 3.0), PERIOD)
    assert metrics.values["degrees_turned"] == pytest.approx(np.degrees(3.0))
    assert metrics.values["final_goal_error"] == pytest.approx(0, abs=1e-9)
    assert metrics.goal_reached
    assert metrics.values["final_goal_error"] < 0.1
    assert metrics.time_kept == pytest.approx(4.0)


def test_turning_away_counts_negative_and_passing_by_is_not_holding(task):
    goals = np.full((41, 1), 1.0)
    away = task.metrics(with_angles(np.linspace(0, -0.5, 41)), np.zeros((40, 9)), goals, PERIOD)
    assert away.values["degrees_turned"] == pytest.approx(-np.degrees(0.5))
    assert not away.goal_reached
    past = task.metrics(with_angles(np.linspace(0, 2, 41)), np.zeros((40, 9)), goals, PERIOD)
    assert past.goal_reached
    assert past.values["final_goal_error"] > 0.1


@given(seed=st.integers(0, 2**32 - 1))
def test_symmetries_turn_and_mirror_valve_and_goal_alike(task, seed):
    rng = np.random.default_rng(seed)
    state, goal = rng.uniform(-1, 1, (5, 20)), rng.uniform(-3, 3, (5, 1))
    assert len(task.symmetries) == 5
    for symmetry in task.symmetries:
        mirrored_goal = symmetry.state_sign[ANGLE] * goal + symmetry.state_offset[ANGLE]
        np.testing.assert_allclose(
            task.reward(symmetry.mirror_state(state), np.zeros((5, 9)), mirrored_goal),
            task.reward(state, np.zeros((5, 9)), goal),
            atol=1e-9,
        )


def test_layouts_that_cannot_be_symmetric_are_refused():
    with pytest.raises(ValueError, match="fold"):
        Valve(JOINTS, fold=2)
    with pytest.raises(ValueError, match="elbow"):
        Valve(JOINTS, fold=3, mirrored=("elbow",))


@pytest.mark.parametrize(
    "options", [{"angle": "abc"}, {"angle": None}, {"angle": 10**400}, {"direction": [1]}, {"rng": 1}]
)
def test_a_goal_option_that_is_none_is_refused_by_name(task, options):
    with pytest.raises(GoalError, match=next(iter(options))):
        task.sample_goal(np.random.default_rng(0), **options)
