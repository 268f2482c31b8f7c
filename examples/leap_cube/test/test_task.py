# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The task: rewards, goals, drops, metrics and symmetries."""

from __future__ import annotations

import numpy as np
import pytest
from mbrl_controller.base.errors import GoalError
from mbrl_controller.control.task_config import contract_for
from mbrl_controller.tasks import orientation
from mbrl_controller.tasks.base import ObservingGoal
from mbrl_controller.tasks.markers import as_markers

from leap_cube.goals import TurningGoal
from leap_cube.task import LeapCube

UP = np.array([0.0, 0.0, 1.0])
RNG = np.random.default_rng


@pytest.fixture
def task() -> LeapCube:
    found = contract_for("leap_cube").task
    assert isinstance(found, LeapCube)
    return found


def states(task: LeapCube, axes: np.ndarray, position: tuple[float, float, float] = (0.0, 0.0, 0.035)) -> np.ndarray:
    """States [..., S] with the cube at this orientation [..., 6] and position (m)."""
    found = np.zeros((*axes.shape[:-1], len(task.state)))
    found[..., task.cube.part("orientation")] = axes
    found[..., task.cube.part("position")] = position
    return found


def turning(task: LeapCube, rate: float, seconds: float = 5.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """States, actions and times of a cube that turns about the vertical (rad/s)."""
    times = np.arange(0.0, seconds + 0.05, 0.1)
    return states(task, orientation.about(UP, rate * times)), np.zeros((len(times) - 1, len(task.joints))), times


def test_the_reward_is_best_at_the_goal_and_in_the_middle(task: LeapCube) -> None:
    goal, nothing = orientation.about(UP, 0.7), np.zeros(len(task.joints))
    assert task.reward(states(task, goal), nothing, goal) == pytest.approx(0.0, abs=1e-6)
    assert task.reward(states(task, orientation.about(UP, 0.2)), nothing, goal) == pytest.approx(-5 * 0.5)
    assert task.reward(states(task, goal, (0.03, 0.04, 0.035)), nothing, goal) == pytest.approx(-20 * 0.05)


def test_a_cube_is_at_risk_before_it_is_dropped(task: LeapCube) -> None:
    places = [(0.0, 0.0, 0.035), (0.06, 0.0, 0.035), (0.0, 0.0, 0.01), (0.08, 0.0, -0.03)]
    seen = [states(task, orientation.IDENTITY, place) for place in places]
    assert [bool(task.at_risk(state)) for state in seen] == [False, True, True, True]
    assert [bool(task.dropped(state)) for state in seen] == [False, False, False, True]


@pytest.mark.parametrize(("direction", "sign"), [("counterclockwise", 1.0), ("clockwise", -1.0)])
def test_the_default_goal_turns_about_the_vertical(task: LeapCube, direction: str, sign: float) -> None:
    goal = task.sample_goal(RNG(0), direction=direction, rate=1.5)
    asked = goal.at(np.array([0.0, 0.5]))
    assert orientation.rotation_vector(asked[0], asked[1]) == pytest.approx([0.0, 0.0, 0.75 * sign])
    task.check_goal(asked)


@pytest.mark.parametrize("axis", ["x", "y", "z"])
def test_a_goal_can_be_an_orientation(task: LeapCube, axis: str) -> None:
    goal = task.sample_goal(RNG(0), axis=axis, degrees=-90.0).at(np.array([0.0, 9.0]))
    wanted = -0.5 * np.pi * np.eye(3)["xyz".index(axis)]
    assert orientation.rotation_vector(orientation.IDENTITY, goal[1]) == pytest.approx(wanted)
    drawn = [task.sample_goal(RNG(seed), axis=axis).at(np.zeros(1))[0] for seed in range(20)]
    angles = np.degrees(orientation.angle_between(np.array(drawn), orientation.IDENTITY))
    assert ((angles > 29.9) & (angles < 90.1)).all()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"speed": 1.0}, "known: axis, degrees, direction, lead, rate"),
        ({"direction": "left"}, "counterclockwise, clockwise"),
        ({"rate": 0.0}, "rate must lie in"),
        ({"rate": float("nan")}, "rate must lie in"),
        ({"lead": 4.0}, "lead must lie"),
        ({"axis": "w"}, "axis must be"),
        ({"degrees": 200.0}, "degrees must lie"),
        ({"degrees": 20.0, "rate": 1.0}, "rate cannot be combined"),
    ],
)
def test_what_is_wrong_with_goal_options_is_said(task: LeapCube, options: dict[str, object], said: str) -> None:
    with pytest.raises(GoalError, match=said):
        task.sample_goal(RNG(0), **options)


def test_the_goal_is_shown_over_the_cube(task: LeapCube) -> None:
    goal = orientation.about(UP, np.array(0.5))
    (marker,) = as_markers(task.markers(goal))
    assert marker.axes == pytest.approx(goal)
    assert marker.position[2] > 0.1


def test_a_goal_that_is_no_orientation_is_refused(task: LeapCube) -> None:
    with pytest.raises(GoalError, match="unit vectors"):
        task.check_goal(np.array([1.0, 0.0, 0.0, 1.0, 0.0, 0.0]))


def test_a_goal_with_a_lead_waits_for_the_cube_and_never_turns_back(task: LeapCube) -> None:
    goal = task.sample_goal(RNG(0), rate=1.0, lead=0.5)
    assert isinstance(goal, ObservingGoal)
    shown = []
    for step in range(80):
        cube = 0.0 if step < 40 else -0.3  # stands, then turns back
        goal.observe(states(task, orientation.about(UP, np.array(cube))), 0.1 * step)
        shown.append(orientation.rotation_vector(orientation.IDENTITY, goal.at(np.array(0.1 * step)))[2])
    assert shown[:5] == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])
    assert max(shown) == pytest.approx(0.5)
    assert (np.diff(shown) > -1e-9).all()


def test_a_goal_without_a_lead_does_not_wait(task: LeapCube) -> None:
    assert isinstance(task.sample_goal(RNG(0)), TurningGoal)
    still = task.sample_goal(RNG(0), axis="z")
    assert task.waiting(still, 0.5) is still


@pytest.mark.parametrize("rate", [0.5, 2.0])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_turned_degrees_count_in_the_goals_direction(task: LeapCube, rate: float, sign: float) -> None:
    seen, actions, times = turning(task, rate)
    metrics = task.metrics(seen, actions, TurningGoal(sign * 0.5).at(times), 0.1)
    assert metrics.values["degrees_turned"] == pytest.approx(sign * np.degrees(5.0 * rate))
    assert metrics.goal_reached == (sign > 0)
    assert set(metrics.values) == {metric.name for metric in task.metric_specs}


def test_an_orientation_has_errors_and_no_turn(task: LeapCube) -> None:
    seen, actions, times = turning(task, 0.5, seconds=2.0)
    goals = np.broadcast_to(orientation.about(UP, np.array(1.2)), (len(times), 6))
    metrics = task.metrics(seen, actions, goals, 0.1)
    assert "degrees_turned" not in metrics.values
    assert metrics.values["final_goal_error"] == pytest.approx(np.degrees(0.2))
    assert metrics.goal_reached


def test_a_cube_that_falls_off_does_not_count_as_turned(task: LeapCube) -> None:
    seen, actions, times = turning(task, 1.0)
    seen[30:40, task.cube.part("position")] = (0.06, 0.0, 0.03)
    seen[40:, task.cube.part("position")] = (0.08, 0.0, -0.05)
    metrics = task.metrics(seen, actions, TurningGoal(0.5).at(times), 0.1)
    assert metrics.dropped
    assert not metrics.goal_reached
    assert metrics.time_kept == pytest.approx(4.0)
    assert metrics.values["degrees_turned"] == pytest.approx(np.degrees(2.9))


def test_a_cube_with_other_names_for_its_axes_is_the_same_cube(task: LeapCube) -> None:
    axes = np.array([orientation.random_orientation(RNG(seed)) for seed in range(20)])
    seen = states(task, axes)
    others = np.ones(len(task.state), dtype=bool)
    others[task.cube.part("orientation")] = False
    for quarters, symmetry in enumerate(task.symmetries, start=1):
        turn = orientation.about(UP, np.array(quarters * np.pi / 2))  # about the cube's own z axis
        mirrored = symmetry.mirror_state(seen)
        wanted = np.array([orientation.compose(one, turn) for one in axes])
        assert task.cube.axes(mirrored) == pytest.approx(wanted, abs=1e-9)
        assert (mirrored[..., others] == seen[..., others]).all()
    assert len(task.symmetries) == 3


@pytest.mark.parametrize("rate", [0.0, -1.0, 10.0])
def test_a_rate_out_of_range_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="rate"):
        LeapCube(("a",), rate=rate)
