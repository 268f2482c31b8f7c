# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbrl_controller.base.errors import ContractError, GoalError
from mbrl_controller.tasks.catalog import make_task
from mbrl_controller.tasks.reach import Reach
from mbrl_controller.tasks.spaces import ActionSpace

JOINTS = ("a", "b", "c")
SPACE = ActionSpace(
    JOINTS, np.array([-1.0, 0.0, -0.2]), np.array([1.0, 2.0, 0.3]), np.array([0.0, 0.5, 0.3]), np.ones(3), 0.1
)


@pytest.fixture(scope="module")
def task() -> Reach:
    return Reach(JOINTS, SPACE)


def test_entries_come_in_the_order_positions_velocities_sensors() -> None:
    full = Reach(JOINTS, SPACE, velocity=True, sensors={"thumb_tip": "N"})
    assert full.state.names == (
        *("a.position", "b.position", "c.position"),
        *("a.velocity", "b.velocity", "c.velocity"),
        "thumb_tip.value",
    )
    assert full.state.units == ("rad",) * 3 + ("rad/s",) * 3 + ("N",)
    assert full.goal.names == ("a.target", "b.target", "c.target")


@given(seed=st.integers(0, 2**32 - 1), spread=st.floats(0, 1))
def test_drawn_goals_are_poses_the_hand_can_take_and_a_spread_of_nothing_is_neutral(
    task: Reach, seed: int, spread: float
) -> None:
    goal = task.sample_goal(np.random.default_rng(seed), spread=spread).at(np.array([0.0, 9.0]))
    assert (goal[0] == goal[1]).all()
    task.check_goal(goal)
    still = task.sample_goal(np.random.default_rng(seed), spread=0).at(np.array(0.0))
    assert still == pytest.approx(SPACE.neutral)


def test_a_joint_can_be_given_and_the_others_are_drawn(task: Reach) -> None:
    goals = [task.sample_goal(np.random.default_rng(i), b="1.5").at(np.array(0.0)) for i in (1, 2)]
    assert [goal[1] for goal in goals] == [1.5, 1.5]
    assert goals[0][0] != goals[1][0]


@pytest.mark.parametrize("options", [{"d": 0.0}, {"spread": 1.5}, {"a": 1.01}, {"a": "far"}, {"b": float("nan")}])
def test_goals_that_the_hand_cannot_take_are_refused(task: Reach, options: dict[str, object]) -> None:
    with pytest.raises(GoalError):
        task.sample_goal(np.random.default_rng(0), **options)


@given(pose=st.lists(st.floats(-3, 3), min_size=3, max_size=3), step=st.floats(0.01, 1.0))
def test_one_joint_nearer_to_its_target_is_always_better(task: Reach, pose: list[float], step: float) -> None:
    goal = np.array([0.1, 0.2, 0.3])
    near, far = np.array(pose), np.array(pose)
    far[1] = near[1] + step if near[1] >= goal[1] else near[1] - step
    rewards = task.reward(np.stack([near, far]), np.zeros((2, 3)), goal)
    assert rewards[0] > rewards[1]


def test_the_goal_is_reached_when_every_joint_is_near(task: Reach) -> None:
    goals = np.zeros((3, 3))
    states = np.array([[0.5, 0.5, 0.5], [0.0, 0.09, 0.2], [0.0, 0.09, -0.09]])
    first, whole = (task.metrics(states[:n], np.zeros((n - 1, 3)), goals[:n], 0.1) for n in (2, 3))
    assert (first.goal_reached, whole.goal_reached) == (False, True)
    assert whole.values["final_goal_error"] == pytest.approx(0.06)
    assert not task.dropped(states).any()


@pytest.mark.parametrize(
    "options", [{"reached": 0.0}, {"reached": "near"}, {"sensors": ["tip"]}, {"space": 1}, {"no_option": 1}]
)
def test_options_that_make_no_task_are_a_contracts_fault(options: dict[str, object]) -> None:
    with pytest.raises(ContractError, match="task reach"):
        make_task("reach", JOINTS, options, SPACE)
