# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbrl_controller.base.errors import GoalError
from mbrl_controller.tasks import orientation
from mbrl_controller.tasks.cube import GOAL_AXES, REACHED, TURN, Cube
from mbrl_controller.tasks.markers import as_markers

JOINTS = ("A", "B")
seeds = st.integers(0, 2**32 - 1)


@pytest.fixture(scope="module")
def task() -> Cube:
    return Cube(JOINTS)


def states_of(task: Cube, axes: np.ndarray, height: float | np.ndarray = 0.2) -> np.ndarray:
    states = np.zeros((*np.shape(axes)[:-1], len(task.state)))
    states[..., task.cube.part("orientation")] = axes
    states[..., task.state.index("cube.position.z")] = height
    return states


@given(seed=seeds, turn=st.floats(0, np.pi))
def test_the_reward_is_the_angle_to_the_goal_whatever_the_frame(task: Cube, seed: int, turn: float) -> None:
    rng = np.random.default_rng(seed)
    goal, axis = orientation.random_orientation(rng), rng.standard_normal(3)
    axes = orientation.compose(orientation.about(axis, np.array(turn)), goal)
    reward = task.reward(states_of(task, axes), np.zeros(2), goal)
    assert reward == pytest.approx(-7 * turn, abs=1e-5)
    frame = orientation.random_orientation(rng)
    again = task.reward(states_of(task, orientation.compose(frame, axes)), np.ones(2), orientation.compose(frame, goal))
    assert again == pytest.approx(reward, abs=1e-5)


def test_lost_below_the_palm_and_at_risk_before(task: Cube) -> None:
    heights = np.array([0.3, 0.16, 0.14, 0.07, 0.05])
    states = states_of(task, np.broadcast_to(orientation.IDENTITY, (5, 6)), heights)
    assert task.at_risk(states).tolist() == [False, False, True, True, True]
    assert task.dropped(states).tolist() == [False, False, False, False, True]


@given(seed=seeds, count=st.sampled_from([2, 4, 8]))
def test_goals_are_a_turn_from_the_frame_about_as_many_axes_as_asked(task: Cube, seed: int, count: int) -> None:
    goal = task.sample_goal(np.random.default_rng(seed), goals=count).at(np.array([0.0, 9.0]))
    task.check_goal(goal)
    assert (goal[0] == goal[1]).all()
    assert np.degrees(orientation.angle_between(orientation.IDENTITY, goal[0])) == pytest.approx(TURN)
    along = orientation.rotation_vector(orientation.IDENTITY, goal[0])
    known = np.array(GOAL_AXES[:count], dtype=float)
    known /= np.linalg.norm(known, axis=-1, keepdims=True)
    assert (along / np.linalg.norm(along) @ known.T).max() == pytest.approx(1)


def test_a_turn_about_a_named_axis(task: Cube) -> None:
    rng = np.random.default_rng(0)
    goal = task.sample_goal(rng, axis="x", degrees="-30").at(np.array(0.0))
    assert orientation.rotation_vector(orientation.IDENTITY, goal) == pytest.approx([-np.pi / 6, 0, 0])
    assert task.sample_goal(rng, degrees=10.0).at(np.array(0.0)) == pytest.approx(
        orientation.about(np.array([0, 0, 1.0]), np.radians(10.0))
    )


@pytest.mark.parametrize(
    "options",
    [{"goals": 3}, {"goals": True}, {"axis": "w"}, {"degrees": 200}, {"degrees": "nan"}, {"goals": 2, "axis": "x"},
     {"speed": 1}],
)  # fmt: skip
def test_goals_of_the_wrong_kind_are_refused(task: Cube, options: dict[str, object]) -> None:
    with pytest.raises(GoalError):
        task.sample_goal(np.random.default_rng(0), **options)


def test_a_goal_that_is_no_orientation_is_refused(task: Cube) -> None:
    for value in (np.zeros(6), np.ones(6), np.zeros(3), np.array([1.0, 0, 0, 0, 0.9, 0])):
        with pytest.raises(GoalError):
            task.check_goal(value)


def turning(task: Cube, degrees: np.ndarray, height: float | np.ndarray = 0.2) -> tuple[np.ndarray, ...]:
    """States that turn to `degrees` about z, under the goal of 86 degrees."""
    axes = orientation.about(np.array([0, 0, 1.0]), np.radians(degrees))
    goals = np.tile(orientation.about(np.array([0, 0, 1.0]), np.radians(TURN)), (len(degrees), 1))
    return states_of(task, axes, height), np.zeros((len(degrees) - 1, 2)), goals


def test_the_metrics_of_reaching_a_goal(task: Cube) -> None:
    degrees = np.minimum(np.arange(0, 110, 10.0), TURN)
    metrics = task.metrics(*turning(task, degrees), 0.1)
    assert metrics.goal_reached
    assert not metrics.dropped
    assert metrics.values["final_goal_error"] == pytest.approx(0, abs=1e-4)
    assert metrics.values["time_to_goal"] == pytest.approx(0.8)  # 80 degrees are within 15
    assert metrics.values["goal_error"] == pytest.approx(np.abs(TURN - degrees).mean(), abs=1e-4)
    assert TURN - 80 < REACHED


def test_a_cube_that_falls_after_the_goal_has_not_reached_it(task: Cube) -> None:
    height = np.full(11, 0.2)
    height[9:] = 0.0
    metrics = task.metrics(*turning(task, np.full(11, TURN), height), 0.1)
    assert metrics.dropped
    assert not metrics.goal_reached
    assert metrics.time_kept == pytest.approx(0.9)
    assert metrics.episode_return < -2 * task.drop_cost + 1


def test_a_cube_that_does_not_turn_never_reaches_it(task: Cube) -> None:
    metrics = task.metrics(*turning(task, np.zeros(11)), 0.1)
    assert "time_to_goal" not in metrics.values
    assert not metrics.goal_reached
    assert metrics.values["final_goal_error"] == pytest.approx(TURN)


@pytest.mark.parametrize("options", [{"drop_height": "low"}, {"risk_height": True}, {"drop_height": 1e9}])
def test_task_options_are_checked(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="height"):
        Cube(JOINTS, **options)


def test_the_marker_is_turned_as_the_goal(task: Cube) -> None:
    goal = orientation.about(np.array([0.0, 0.0, 1.0]), np.array(0.7))
    (marker,) = as_markers(task.markers(goal))
    assert marker.shape == "box"
    np.testing.assert_allclose(marker.rotation, orientation.axes_to_matrix(goal))
