# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Targets that look at the balls: where they begin, and that they wait but never turn back."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbrl_controller.base.errors import ContractError, GoalError
from mbrl_controller.tasks.baoding import Baoding
from mbrl_controller.tasks.base import ObservingGoal
from mbrl_controller.tasks.valve import Valve

TASK = Baoding(("a", "b"), center=(0.004, -0.006))
SIGNS = {"counterclockwise": 1.0, "clockwise": -1.0}


def state_at(angle: float) -> np.ndarray:
    """The balls on the ellipse, ball_a at `angle` (rad)."""
    state = np.zeros(len(TASK.state))
    x, y = TASK.radii[0] * np.cos(angle), TASK.radii[1] * np.sin(angle)
    state[2:4] = TASK.center[0] + x, TASK.center[1] + y
    state[8:10] = TASK.center[0] - x, TASK.center[1] - y
    return state


def goal_of(seed: int = 0, **options) -> ObservingGoal:
    goal = TASK.sample_goal(np.random.default_rng(seed), **options)
    assert isinstance(goal, ObservingGoal)
    return goal


def angle_of(goal: np.ndarray) -> float:
    offset = (goal[:2] - TASK.center) / TASK.radii
    return float(np.arctan2(offset[1], offset[0]))


def apart(a: float, b: float) -> float:
    return float(np.angle(np.exp(1j * (a - b))))


@given(st.floats(-3.1, 3.1), st.floats(0, 20), st.sampled_from(sorted(SIGNS)))
def test_an_observed_phase_begins_where_the_balls_are_and_goes_on_by_the_clock(angle, time, direction) -> None:
    goal = goal_of(phase="observed", direction=direction, period=4.0)
    goal.observe(state_at(angle), time)
    assert apart(angle_of(goal.at(np.asarray(time))), angle) == pytest.approx(0, abs=1e-6)
    np.testing.assert_allclose(goal.at(np.asarray(time)), state_at(angle)[[2, 3, 8, 9]], atol=1e-9)
    goal.observe(state_at(0.3), time + 1)  # where the balls go then does not matter
    turned = apart(angle_of(goal.at(np.asarray(time + 1.0))), angle)
    assert turned == pytest.approx(SIGNS[direction] * np.pi / 2, abs=1e-6)


@given(st.integers(0, 100), st.sampled_from(sorted(SIGNS)))
def test_targets_with_a_lead_wait_for_the_balls_and_never_turn_back(seed, direction) -> None:
    sign, rng = SIGNS[direction], np.random.default_rng(seed)
    goal = goal_of(phase="observed", direction=direction, period=6.0, lead=0.4)
    balls, shown = -1.0, []
    for step in range(200):
        goal.observe(state_at(balls), 0.1 * step)
        ahead = sign * apart(angle_of(goal.at(np.asarray(0.1 * step))), balls)
        shown.append(angle_of(goal.at(np.asarray(0.1 * step))))
        # it is ahead of the lead only where the balls turned back
        assert ahead <= 0.4 + 1e-6 or (len(shown) > 1 and apart(shown[-1], shown[-2]) == pytest.approx(0, abs=1e-6))
        balls += sign * rng.uniform(-0.05, 0.09)
    steps = sign * np.array([apart(b, a) for a, b in itertools.pairwise(shown)])
    assert (steps >= -1e-6).all()
    assert (steps <= 0.1 * 2 * np.pi / 6 + 1e-6).all()  # never faster than the clock


def test_balls_that_keep_up_see_targets_on_the_clock() -> None:
    goal, clock = goal_of(phase=0.2, lead=0.5), TASK.sample_goal(np.random.default_rng(0), phase=0.2)
    for step in range(80):
        at = clock.at(np.asarray(0.1 * step))
        goal.observe(state_at(angle_of(at)), 0.1 * step)
        ahead = 0.1 * step + 0.1 * np.arange(7)
        np.testing.assert_allclose(goal.at(ahead), clock.at(ahead), atol=1e-9)


def test_balls_that_lie_still_hold_the_targets() -> None:
    goal = goal_of(phase="observed", lead=0.5)
    for step in range(100):
        goal.observe(state_at(1.0), 0.1 * step)
    assert apart(angle_of(goal.at(np.asarray(9.9))), 1.5) == pytest.approx(0, abs=1e-6)


def test_only_what_looks_at_the_balls_observes() -> None:
    assert not isinstance(TASK.sample_goal(np.random.default_rng(0)), ObservingGoal)
    assert not isinstance(TASK.sample_goal(np.random.default_rng(0), phase=1.0), ObservingGoal)


@pytest.mark.parametrize("lead", [0.0, -1.0, 4.0])
def test_a_lead_that_cannot_be_kept_is_refused(lead: float) -> None:
    with pytest.raises(GoalError, match="lead"):
        goal_of(lead=lead)


@given(st.floats(-3.1, 3.1), st.floats(-3.1, 3.1))
def test_turned_objects_stay_on_their_ellipse(angle, turn) -> None:
    state = state_at(angle)
    positions = np.stack([state[2:5], state[8:11]]) + np.array([0, 0, 0.2])
    turned = TASK.turn_objects(positions, turn)
    expected = state_at(angle + turn)
    np.testing.assert_allclose(turned[:, :2], [expected[2:4], expected[8:10]], atol=1e-9)
    assert (turned[:, 2] == 0.2).all()
    assert (positions[:, :2] == [state[2:4], state[8:10]]).all()  # the argument is left alone


def test_a_task_without_such_objects_refuses() -> None:
    with pytest.raises(ContractError, match="valve"):
        Valve(("a",)).turn_objects(np.zeros((0, 3)), 1.0)
