# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.planning.catalog import make_planner
from mbrl_controller.planning.random_motion import FASTEST, RETURN_RANGE, SLOWEST, RandomMotion


def motion(seed, steps=60, scale=1.0, size=24):
    policy = RandomMotion(size, seed, scale)
    return np.array([policy() for _ in range(steps)])


@given(seed=st.integers(0, 2**32 - 1), scale=st.floats(0.05, 1.0))
def test_actions_stay_within_the_scale_and_move_at_the_speeds_given(seed, scale):
    actions = motion(seed, scale=scale)
    assert np.abs(actions).max() <= scale
    speed = np.abs(np.diff(actions, axis=0)) / scale
    inside = (np.abs(actions[1:]) < scale) & (np.abs(actions[:-1]) < scale)
    assert speed.max() <= 0.15 + 1e-9
    assert speed[inside].min() >= 0.05 - 1e-9


@given(seed=st.integers(0, 2**32 - 1))
def test_velocity_is_held_for_two_steps_and_turns_inwards_at_the_limits(seed):
    actions = motion(seed)
    velocity = np.diff(actions, axis=0)[:58]
    free = np.abs(actions).max(0) < 1
    np.testing.assert_allclose(velocity[0::2, free], velocity[1::2, free], atol=1e-12)
    at_limit = np.abs(actions[:58]) >= 1
    assert (np.sign(velocity[at_limit]) == -np.sign(actions[:58][at_limit])).all()


def test_seeds_repeat_and_differ():
    np.testing.assert_array_equal(motion(1), motion(1))
    assert not np.array_equal(motion(1), motion(2))
    policy = RandomMotion(24, 2)
    policy()
    policy.reset(1)
    np.testing.assert_array_equal(policy(), motion(1)[0])


def test_motion_does_not_pile_up_at_the_limits():
    actions = np.concatenate([motion(seed, 100) for seed in range(20)])
    assert (np.abs(actions) >= 1).mean() < 0.15
    assert abs(actions.mean()) < 0.05


def test_scale_must_be_positive_and_at_most_one():
    for bad in (0.0, -1.0, 1.5):
        with pytest.raises(ValueError, match="scale"):
            RandomMotion(3, 0, bad)


# --- the planner ----------------------------------------------------------------------------------------------------


def never(candidates):
    raise AssertionError("a random motion asks no objective")


def walk(planner, state, steps):
    """Actions [steps, A] executed as planned."""
    actions = []
    for _ in range(steps):
        plan, state = planner.plan(never, state)
        actions.append(plan.actions[0])
    return np.array(actions)


def planner_of(share=1.0, horizon=7):
    return make_planner("random", 3, {"exploration_range": share, "horizon": horizon})


@given(seed=st.integers(0, 2**63 - 1), share=st.floats(0.0, 1.0), start=st.floats(-1, 1))
def test_the_planner_stays_in_the_exploration_range_and_returns_to_it_slowly(seed, share, start):
    planner = planner_of(share)
    actions = walk(planner, planner.initial_state(seed, np.full(3, start)), 100)
    outside = np.maximum(np.abs(np.concatenate([np.full((1, 3), start), actions])) - share, 0)
    steps = np.diff(outside, axis=0)
    fastest = FASTEST * max(share, RETURN_RANGE)
    assert (steps <= 1e-9).all()
    assert (steps >= -fastest - 1e-9).all()
    assert (outside[round((1 - share) / fastest) + 2 :] == 0).all()
    assert (np.abs(np.diff([np.full(3, start), *actions], axis=0)) <= fastest + 1e-9).all()


def test_a_joint_that_has_returned_moves_though_its_angle_was_rounded():
    planner = planner_of(0.3)
    state = planner.initial_state(0, np.full(3, 0.3 + 1e-9))
    plan, _ = planner.plan(never, state)
    assert (np.abs(plan.actions[0]) < 0.3).all()


@given(seed=st.integers(0, 2**63 - 1), share=st.floats(0.01, 1.0))
def test_the_planner_moves_smoothly_from_where_the_hand_is(seed, share):
    planner = planner_of(share)
    start = share * np.array([-1.0, 0.0, 0.7])
    moves = np.abs(np.diff([start, *walk(planner, planner.initial_state(seed, start), 40)], axis=0))
    assert moves.max() <= share * FASTEST + 1e-9
    assert (moves.max(1) >= share * SLOWEST - 1e-9).all()


@pytest.mark.parametrize("share", [1.0, 0.4])
@pytest.mark.parametrize("seed", range(20))
def test_a_plan_is_what_the_next_steps_do(seed, share):
    planner = planner_of(share)
    state = planner.initial_state(seed, np.array([0.99, -0.99, 0.0]))  # where limits turn it
    if share < 1:
        state = planner.initial_state(seed, np.array([share + 0.02, -0.99, 0.0]))  # where it returns
    plan, _ = planner.plan(never, state)
    np.testing.assert_array_equal(walk(planner, state, 7), plan.actions)


def test_the_motion_goes_on_from_what_was_executed():
    planner = planner_of()
    _, state = planner.plan(never, planner.initial_state(0))
    plan, _ = planner.plan(never, state.executed(np.full(3, 0.5)))
    assert np.abs(plan.actions[0] - 0.5).max() <= FASTEST


def test_seeds_of_the_planner_repeat_and_differ():
    planner = planner_of()
    first, again, other = (walk(planner, planner.initial_state(seed), 10) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_planner_reaches_most_of_the_range():
    planner = planner_of()
    actions = np.concatenate([walk(planner, planner.initial_state(seed), 200) for seed in range(10)])
    assert (np.abs(actions) >= 1).mean() < 0.15
    assert np.quantile(np.abs(actions), 0.9) > 0.8


def test_a_plan_says_that_nothing_was_evaluated():
    planner = planner_of()
    plan, _ = planner.plan(never, planner.initial_state(0), deadline=0.0)
    assert plan.valid
    assert np.isnan(plan.predicted_return)
    assert (plan.iterations, plan.evaluated) == (0, 0)


def test_a_range_beyond_the_limits_is_refused():
    for bad in (-0.1, 1.1):
        with pytest.raises(MbrlError, match="exploration_range"):
            planner_of(bad)
