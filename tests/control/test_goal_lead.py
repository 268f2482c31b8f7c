# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What the planner sees of targets that have left the balls behind: they wait; who judges sees the clock."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from mbrl_controller.base.deprecated import RenamedWarning
from mbrl_controller.control.config import ControllerConfig
from mbrl_controller.control.core import ControllerCore
from mbrl_controller.control.steps import Observation
from mbrl_controller.control.task_config import contract_for
from mbrl_controller.planning.catalog import make_planner

from .conftest import PlainModel, make_core

CONTRACT = contract_for("baoding")
TASK = CONTRACT.task
HORIZON, PERIOD = 4, CONTRACT.action.period


def core_with(goal_lead: float) -> ControllerCore:
    planner = make_planner("pddm", len(CONTRACT.action), {"num_samples": 4, "horizon": HORIZON})
    return ControllerCore(CONTRACT, PlainModel(), planner, ControllerConfig(max_goal_lead=goal_lead))  # type: ignore[arg-type]


def test_the_old_name_is_taken_with_a_warning_but_not_beside_the_new() -> None:
    with pytest.warns(RenamedWarning, match="max_goal_lead"):
        assert ControllerConfig(goal_lead=0.5).max_goal_lead == 0.5  # type: ignore[call-arg]
    with pytest.raises(ValidationError, match="max_goal_lead"):
        ControllerConfig(goal_lead=0.5, max_goal_lead=0.5)  # type: ignore[call-arg]


def at_rest() -> np.ndarray:
    """Balls on the ellipse at ball_a's angle 0."""
    state = np.zeros(len(TASK.state))
    n = len(CONTRACT.action)
    for ball, side in ((0, 1.0), (1, -1.0)):
        state[n + 6 * ball] = TASK.center[0] + side * TASK.radii[0]
        state[n + 6 * ball + 1] = TASK.center[1]
        state[n + 6 * ball + 2] = 0.2
    return state


def angles(goals: np.ndarray) -> np.ndarray:
    """Of ball_a's target, unwrapped (rad)."""
    return np.unwrap(np.arctan2(*((goals[:, :2] - TASK.center) / TASK.radii).T[::-1]))


def clock(**options: object):
    return TASK.sample_goal(np.random.default_rng(0), phase=0.0, period=6.0, **options)


def seen(core: ControllerCore, goal: object, step: int, state: np.ndarray) -> np.ndarray:
    return core.prepare(Observation(state, PERIOD * step), goal, PERIOD * step).goals  # type: ignore[arg-type]


def test_targets_wait_for_balls_that_lie_still() -> None:
    core, goal = core_with(0.6), clock()
    for step in range(40):
        goals = seen(core, goal, step, at_rest())
        turned = 2 * np.pi / 6.0 * PERIOD * (step + np.arange(1, HORIZON + 1))
        waits = np.minimum(turned, 0.6 + 2 * np.pi / 6.0 * PERIOD * np.arange(1, HORIZON + 1))
        assert angles(goals) == pytest.approx(waits, abs=1e-6)
        assert angles(goal.at(PERIOD * np.arange(step + 1)))[-1] == pytest.approx(turned[0] - 2 * np.pi * PERIOD / 6.0)


def test_without_it_the_planner_sees_the_clock() -> None:
    core, goal = core_with(0.0), clock()
    times = PERIOD * (30 + np.arange(1, HORIZON + 1))
    np.testing.assert_allclose(seen(core, goal, 30, at_rest()), goal.at(times), atol=1e-12)


def test_another_goal_and_a_reset_begin_anew() -> None:
    core, goal = core_with(0.6), clock()
    for step in range(40):
        seen(core, goal, step, at_rest())
    waiting = angles(seen(core, goal, 40, at_rest()))[0]
    other = clock()
    assert angles(seen(core, other, 2, at_rest()))[0] < waiting - 0.1
    core.reset(1)
    assert angles(seen(core, goal, 2, at_rest()))[0] < waiting - 0.1


def test_a_state_without_numbers_leaves_the_targets_as_they_were() -> None:
    core, goal = core_with(0.6), clock()
    for step in range(40):
        before = seen(core, goal, step, at_rest())
    lost = np.full(len(TASK.state), np.nan)
    assert angles(seen(core, goal, 39, lost)) == pytest.approx(angles(before))


def test_a_goal_that_waits_by_itself_and_one_that_stands_still_stay_what_they_are() -> None:
    for goal in (clock(lead=0.3), TASK.sample_goal(np.random.default_rng(0), place=1)):
        assert TASK.waiting(goal, 0.6) is goal
    valve = make_core(max_goal_lead=0.6)
    goal = valve.task.sample_goal(np.random.default_rng(0))
    assert valve.task.waiting(goal, 0.6) is goal


def test_only_what_waits_for_the_planner_is_told_of_the_balls_here() -> None:
    """A goal that waits by itself is told once a step, by who asks for it."""
    core, told = core_with(0.6), []
    goal = clock(lead=0.3)
    goal.observe = lambda state, time: told.append(time)
    seen(core, goal, 0, at_rest())
    assert told == []
