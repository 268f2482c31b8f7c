# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbrl_controller.base.errors import GoalError
from mbrl_controller.tasks import orientation
from mbrl_controller.tasks.handwriting import LIFTED, Handwriting
from mbrl_controller.tasks.markers import as_markers

JOINTS = ("A", "B")
CENTER = (0.01, 0.3)


@pytest.fixture(scope="module")
def task() -> Handwriting:
    return Handwriting(JOINTS, center=CENTER)


def writing(task: Handwriting, tips: np.ndarray, tilt: float | np.ndarray = 0.0) -> np.ndarray:
    """States [..., S] with the tip at `tips` [..., 3] (m), the pencil leaning by `tilt` (rad)."""
    tips = np.asarray(tips, dtype=float)
    axes = np.broadcast_to(orientation.about(np.array([1.0, 0, 0]), np.asarray(tilt)), (*tips.shape[:-1], 6))
    states = np.zeros((*tips.shape[:-1], len(task.state)))
    states[..., task.pencil.part("orientation")] = axes
    states[..., task.pencil.part("position")] = tips + 0.08 * task.pencil.third_axis(states)
    return states


@given(x=st.floats(-0.02, 0.02), y=st.floats(0.28, 0.32), z=st.floats(-0.01, 0.01), tilt=st.floats(-1.0, 1.0))
def test_only_the_tip_and_the_tilt_count(task: Handwriting, x: float, y: float, z: float, tilt: float) -> None:
    state = writing(task, np.array([x, y, z]), tilt)
    assert task.tip(state) == pytest.approx([x, y, z], abs=1e-12)
    reward = task.reward(state, np.zeros(2), np.array(CENTER))
    error = np.hypot(x - CENTER[0], y - CENTER[1])
    if abs(abs(tilt) - task.tilt) > 1e-6:
        assert reward == pytest.approx(-100 * error - 100 * abs(z) - 10 * (abs(tilt) > task.tilt), abs=1e-6)


def test_a_lifted_or_lying_pencil_is_lost(task: Handwriting) -> None:
    tips = np.array([[0, 0.3, 0.0], [0, 0.3, LIFTED + 0.001], [0, 0.3, -LIFTED - 0.001], [0, 0.3, 0.0]])
    states = writing(task, tips, np.array([0.0, 0.0, 0.0, 1.2]))
    assert task.dropped(states).tolist() == [False, True, True, True]


@given(seed=st.integers(0, 2**32 - 1), kind=st.sampled_from(["random", "circle", "digit"]))
def test_each_path_begins_where_the_tip_starts_and_is_a_valid_goal(task: Handwriting, seed: int, kind: str) -> None:
    path = task.sample_goal(np.random.default_rng(seed), path=kind).at(np.linspace(0, 12, 121))
    assert path[0] == pytest.approx(CENTER)
    assert path[100] == pytest.approx(path[120])  # the path ends with the episode
    task.check_goal(path)


def test_a_path_of_a_given_size_and_time(task: Handwriting) -> None:
    rng = np.random.default_rng(0)
    circle = task.sample_goal(rng, path="circle", size=0.01, seconds=4).at(np.array([0.0, 2.0, 4.0]))
    assert circle[1] == pytest.approx([CENTER[0] - 0.01, CENTER[1]], abs=1e-6)
    assert circle[2] == pytest.approx(circle[0])
    one = task.sample_goal(rng, digit=1, size=0.02).at(np.array([0.0, 10.0]))
    assert one[1] - one[0] == pytest.approx([0.005, -0.015])


@pytest.mark.parametrize(
    "options",
    [{"path": "spiral"}, {"digit": 11}, {"digit": True}, {"path": "circle", "digit": 3}, {"size": 1.0}, {"size": 0},
     {"seconds": -1}, {"seconds": "inf"}, {"speed": 2}],
)  # fmt: skip
def test_goals_of_the_wrong_kind_are_refused(task: Handwriting, options: dict[str, object]) -> None:
    with pytest.raises(GoalError):
        task.sample_goal(np.random.default_rng(0), **options)


def test_a_target_off_the_paper_is_refused(task: Handwriting) -> None:
    with pytest.raises(GoalError):
        task.check_goal(np.array([CENTER[0] + 0.1, CENTER[1]]))


def test_the_metrics_of_a_path_that_is_followed_beside(task: Handwriting) -> None:
    goals = task.sample_goal(np.random.default_rng(0), path="circle").at(0.1 * np.arange(11))
    tips = np.column_stack([goals + np.array([0.002, 0.0]), np.full(11, 0.001)])
    metrics = task.metrics(writing(task, tips), np.zeros((10, 2)), goals, 0.1)
    assert metrics.values["goal_error"] == pytest.approx(2.0)
    assert metrics.values["height_error"] == pytest.approx(1.0)
    assert metrics.goal_reached
    tips[:, 0] += 0.002
    assert not task.metrics(writing(task, tips), np.zeros((10, 2)), goals, 0.1).goal_reached


def test_a_pencil_that_is_lost_has_written_nothing(task: Handwriting) -> None:
    goals = np.tile(CENTER, (11, 1))
    tips = np.column_stack([goals, np.where(np.arange(11) > 5, 0.1, 0.0)])
    metrics = task.metrics(writing(task, tips), np.zeros((10, 2)), goals, 0.1)
    assert metrics.dropped
    assert not metrics.goal_reached
    assert metrics.time_kept == pytest.approx(0.6)
    assert metrics.values["height_error"] == pytest.approx(100 / 7)


@pytest.mark.parametrize(
    "options", [{"center": 3}, {"length": 0}, {"tilt": 1.2}, {"reach": "far"}, {"center": (0.0, True)}]
)
def test_task_options_are_checked(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"center|length|tilt|reach"):
        Handwriting(JOINTS, **options)


def test_the_marker_is_the_target_on_the_paper(task: Handwriting) -> None:
    (marker,) = as_markers(task.markers(np.array([0.01, -0.02])))
    assert marker.position.tolist() == [0.01, -0.02, 0.0]
