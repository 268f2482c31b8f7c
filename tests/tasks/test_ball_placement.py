# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""One ball to a place: what is asked of each ball, and when it counts as there."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbrl_controller.base.errors import GoalError
from mbrl_controller.tasks.ball_goals import NEAR, PLACES
from mbrl_controller.tasks.baoding import Baoding
from mbrl_controller.tasks.base import ObservingGoal

TASK = Baoding(("a", "b"))


def state_of(a, b, z: float = 0.17) -> np.ndarray:
    """Balls at a and b (x, y), at rest."""
    return np.concatenate([np.zeros(2), a, [z], np.zeros(3), b, [z], np.zeros(3)])


def goal_of(place, seed: int = 0) -> ObservingGoal:
    goal = TASK.sample_goal(np.random.default_rng(seed), place=place)
    assert isinstance(goal, ObservingGoal)
    return goal


@given(st.integers(0, 3), st.lists(st.floats(-0.08, 0.08), min_size=4, max_size=4), st.integers(1, 9))
def test_only_the_first_ball_is_asked_to_move(place, where, steps) -> None:
    goal = goal_of(place)
    state = state_of(where[:2], where[2:])
    goal.observe(state, 0.0)
    asked = goal.at(np.arange(steps) * 0.1)
    assert asked.shape == (steps, 4)
    TASK.check_goal(asked)
    expected = -5 * np.linalg.norm(np.array(where[:2]) - PLACES[place])
    assert TASK.reward(state, np.zeros(2), asked) == pytest.approx(np.full(steps, expected), abs=1e-9)


def test_any_place_follows_from_the_seed() -> None:
    places = [tuple(goal_of("any", seed).at(np.zeros(()))[:2]) for seed in range(40)]
    assert set(places) == set(PLACES)
    assert places == [tuple(goal_of("any", seed).at(np.zeros(()))[:2]) for seed in range(40)]


@pytest.mark.parametrize("options", [{"place": 4}, {"place": "left"}, {"place": True}, {"place": 1, "period": 4.0}])
def test_what_is_no_place_is_refused(options) -> None:
    with pytest.raises(GoalError, match="place"):
        TASK.sample_goal(np.random.default_rng(0), **options)


@pytest.mark.parametrize(
    ("off", "z", "there"), [(NEAR - 1e-3, 0.17, True), (NEAR + 1e-3, 0.17, False), (0.0, 0.01, False)]
)
def test_a_kept_ball_that_ends_near_its_place_has_reached_it(off: float, z: float, there: bool) -> None:
    goal, states, goals = goal_of(2), [], []
    for step in range(20):
        start = 1 - step / 19
        states.append(
            state_of(np.add(PLACES[2], [off + 0.05 * start, 0]), [0.01 * step / 19, 0.05], z if step == 19 else 0.17)
        )
        goal.observe(states[-1], 0.1 * step)
        goals.append(goal.at(np.asarray(0.1 * step)))
    metrics = TASK.metrics(np.array(states), np.zeros((19, 2)), np.array(goals), 0.1)
    assert metrics.goal_reached is there
    if z > 0.1:
        assert metrics.values["final_goal_error"] == pytest.approx(off, abs=1e-9)
