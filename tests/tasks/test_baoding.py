# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbrl_controller.base.errors import GoalError
from mbrl_controller.tasks.baoding import Baoding

JOINTS = ("wrist", "finger", "thumb")
PERIOD = 0.1


@pytest.fixture(scope="module")
def task():
    return Baoding(JOINTS, wrist_joint="wrist")


def state_of(task, a, b, joints=(0.0, 0.0, 0.0)):
    """A state [S] with balls at a and b (x, y, z), at rest."""
    return np.concatenate([joints, a, np.zeros(3), b, np.zeros(3)])


def random_states(task, seed, shape):
    rng = np.random.default_rng(seed)
    states = rng.uniform(-0.1, 0.1, (*shape, len(task.state)))
    states[..., task.state.indices(["ball_a.position.z", "ball_b.position.z"])] += 0.15
    return states


def following(task, direction, seconds=6.0, speed=1.0, **options):
    """An episode in which the balls are exactly where the targets are, `speed` times as fast."""
    goal = task.sample_goal(np.random.default_rng(0), direction=direction, **options)
    times = PERIOD * np.arange(round(seconds / PERIOD) + 1)
    goals, where = goal.at(times), goal.at(times * speed)
    states = np.array([state_of(task, [*w[:2], 0.17], [*w[2:], 0.17]) for w in where])
    return states, np.zeros((len(states) - 1, 3)), goals


def test_reward_is_the_distance_of_both_balls(task):
    goal = np.array([0.0, 0.0, 0.05, 0.0])
    state = state_of(task, [0.03, 0.04, 0.17], [0.05, 0.0, 0.3])
    assert task.reward(state, np.zeros(3), goal) == pytest.approx(-5 * 0.05)  # height does not count
    state = state_of(task, [0.0, 0.0, 0.17], [0.05, 0.01, 0.17])
    assert task.reward(state, np.zeros(3), goal) == pytest.approx(-5 * 0.01)


@given(wrist=st.floats(-0.8, 0.8))
def test_only_a_wrist_bent_beyond_its_limit_is_charged(task, wrist):
    goal = np.zeros(4)
    state = state_of(task, [0, 0, 0.17], [0, 0, 0.17], (wrist, 1.0, 1.0))
    assert task.reward(state, np.zeros(3), goal) == (-10.0 if wrist > task.wrist_limit else 0.0)
    assert Baoding(JOINTS).reward(state, np.zeros(3), goal) == 0.0


@given(seed=st.integers(0, 2**32 - 1))
def test_reward_is_never_positive_and_works_on_any_leading_axes(task, seed):
    states, goals = random_states(task, seed, (3, 5, 7)), np.random.default_rng(seed).uniform(-0.05, 0.05, (7, 4))
    rewards = task.reward(states, np.zeros((5, 7, 3)), goals)
    assert rewards.shape == (3, 5, 7)
    assert (rewards <= 0).all()
    assert rewards[1, 2, 3] == pytest.approx(task.reward(states[1, 2, 3], np.zeros(3), goals[3]))
    assert task.dropped(states).shape == (3, 5, 7)


@given(seed=st.integers(0, 2**32 - 1))
def test_swapping_balls_and_their_targets_changes_nothing(task, seed):
    state, goal = random_states(task, seed, (4,)), np.random.default_rng(seed).uniform(-0.05, 0.05, (4, 4))
    (swap,) = task.symmetries
    mirrored = swap.mirror_state(state)
    np.testing.assert_array_equal(swap.mirror_state(mirrored), state)
    np.testing.assert_array_equal(mirrored[:, :3], state[:, :3])  # the hand is not mirrored
    np.testing.assert_allclose(
        task.reward(mirrored, np.zeros(3), goal[:, [2, 3, 0, 1]]), task.reward(state, np.zeros(3), goal)
    )
    np.testing.assert_array_equal(task.dropped(mirrored), task.dropped(state))
    np.testing.assert_array_equal(task.at_risk(mirrored), task.at_risk(state))


@given(height=st.floats(-1, 0.3), other=st.floats(0.16, 0.3), which=st.booleans())
def test_either_ball_below_the_height_is_a_drop_and_any_drop_was_at_risk(task, height, other, which):
    heights = (height, other) if which else (other, height)
    state = state_of(task, [0, 0, heights[0]], [0, 0, heights[1]])
    assert task.dropped(state) == (height < 0.06)
    assert task.at_risk(state) == (height < 0.15)


@pytest.mark.parametrize(("direction", "sign"), [("counterclockwise", 1), ("clockwise", -1)])
def test_targets_go_round_in_the_direction_asked(task, direction, sign):
    goal = task.sample_goal(np.random.default_rng(0), direction=direction, period=4.0)
    targets = goal.at(np.linspace(0, 4, 81)) - np.tile(task.center, 2)
    np.testing.assert_allclose(targets[:, :2], -targets[:, 2:], atol=1e-12)  # opposite each other
    np.testing.assert_allclose(targets[0], targets[-1], atol=1e-12)  # one turn a period
    on_ellipse = (targets[:, 0] / task.radii[0]) ** 2 + (targets[:, 1] / task.radii[1]) ** 2
    np.testing.assert_allclose(on_ellipse, 1.0)
    cross = targets[:-1, 0] * targets[1:, 1] - targets[:-1, 1] * targets[1:, 0]
    assert (np.sign(cross) == sign).all()


def test_targets_can_stand_still(task):
    goal = task.sample_goal(np.random.default_rng(0), period=float("inf"), phase=0.0)
    np.testing.assert_array_equal(goal.at(np.array([0.0, 5.0]))[0], goal.at(np.array([0.0, 5.0]))[1])


@given(seed=st.integers(0, 2**32 - 1))
def test_every_drawn_goal_can_be_asked(task, seed):
    goal = task.sample_goal(np.random.default_rng(seed))
    task.check_goal(goal.at(np.linspace(0, 10, 50)))


def test_goals_of_the_wrong_kind_are_refused(task):
    rng = np.random.default_rng(0)
    for options in ({"direction": "left"}, {"period": 0.1}, {"speed": 1}):
        with pytest.raises(GoalError):
            task.sample_goal(rng, **options)
    for goal in (np.zeros(3), np.array([0, 0, 0, np.nan]), np.array([0.0, 0, 0, 0.5]), np.array(0.0)):
        with pytest.raises(GoalError):
            task.check_goal(goal)


@pytest.mark.parametrize("direction", ["counterclockwise", "clockwise"])
def test_following_the_targets_for_a_turn_turns_360_degrees(task, direction):
    metrics = task.metrics(*following(task, direction), PERIOD)
    assert metrics.values["degrees_turned"] == pytest.approx(360)
    assert metrics.values["goal_error"] == pytest.approx(0)
    assert metrics.episode_return == pytest.approx(0)
    assert metrics.goal_reached
    assert not metrics.dropped
    assert metrics.time_kept == pytest.approx(6.0)


@pytest.mark.parametrize("direction", ["counterclockwise", "clockwise"])
@pytest.mark.parametrize(
    ("degrees", "reached"), [(85, False), (120, False), (179, False), (181, True), (240, True), (300, True)]
)
def test_the_goal_is_reached_when_the_balls_have_turned_by_half_a_turn(task, direction, degrees, reached):
    _, actions, goals = following(task, direction)
    angles = np.radians(np.linspace(0, degrees, len(goals)) * (1 if direction == "counterclockwise" else -1))
    balls = [[0.03 * np.cos(a), 0.03 * np.sin(a), 0.17] for a in angles]
    states = np.array([state_of(task, [x, y, z], [-x, -y, z]) for x, y, z in balls])
    metrics = task.metrics(states, actions, goals, PERIOD)
    assert metrics.values["degrees_turned"] == pytest.approx(degrees)
    assert metrics.goal_reached == reached


@pytest.mark.parametrize("direction", ["counterclockwise", "clockwise"])
def test_turning_against_the_targets_counts_negative(task, direction):
    metrics = task.metrics(*following(task, direction, speed=-1.0), PERIOD)
    assert metrics.values["degrees_turned"] == pytest.approx(-360)
    assert not metrics.goal_reached


def test_lying_still_turns_nothing(task):
    states, actions, goals = following(task, "clockwise")
    metrics = task.metrics(np.tile(states[:1], (len(states), 1)), actions, goals, PERIOD)
    assert metrics.values["degrees_turned"] == pytest.approx(0)
    assert metrics.values["goal_error"] > 0.03
    assert not metrics.goal_reached


def test_a_drop_ends_the_turning_and_is_charged_for_every_step_after(task):
    states, actions, goals = following(task, "counterclockwise")
    states[40:, task.state.index("ball_a.position.z")] = 0.03
    metrics = task.metrics(states, actions, goals, PERIOD)
    assert metrics.dropped
    assert metrics.time_kept == pytest.approx(4.0)
    assert metrics.values["degrees_turned"] == pytest.approx(
        360 * 4 / 6, abs=15
    )  # equal times are not equal angles on an ellipse
    assert metrics.episode_return == pytest.approx(-500 * 21)
    assert not metrics.goal_reached


def test_the_flight_of_a_lost_ball_is_not_turning(task):
    states, actions, goals = following(task, "counterclockwise")
    before = task.metrics(states[:31], actions[:30], goals[:31], PERIOD).values["degrees_turned"]
    ball = task.state.indices([f"ball_a.position.{axis}" for axis in "xyz"])
    other = task.state.indices(["ball_b.position.x", "ball_b.position.y"])
    states[31:, ball] = [*(2 * states[30, other] - states[30, ball[:2]]), 0.1]  # jumps to the other side, falling
    states[32:, ball[2]] = 0.03
    metrics = task.metrics(states, actions, goals, PERIOD)
    assert metrics.dropped
    assert metrics.values["degrees_turned"] == pytest.approx(before)


def test_a_ball_that_comes_back_was_dropped_all_the_same(task):
    states, actions, goals = following(task, "counterclockwise")
    states[40, task.state.index("ball_b.position.z")] = 0.03
    assert task.total_return(states, actions, goals) == pytest.approx(-500 * 21)


def test_a_wrist_joint_the_hand_lacks_is_refused():
    with pytest.raises(ValueError, match="elbow"):
        Baoding(JOINTS, wrist_joint="elbow")


@pytest.mark.parametrize(
    "options",
    [
        {"period": "abc"},
        {"lead": [1]},
        {"phase": "late"},
        {"period": 10**400},
        {"place": [0]},
        {"direction": {}},
        {"self": 1},
    ],
)
def test_a_goal_option_that_is_none_is_refused_by_name(task, options):
    with pytest.raises(GoalError, match=next(iter(options))):
        task.sample_goal(np.random.default_rng(0), **options)
