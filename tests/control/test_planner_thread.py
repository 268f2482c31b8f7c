# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A planner that takes its time, without clocks: what is late is decided by events."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
import pytest

from mbrl_controller.control.core import ControllerCore
from mbrl_controller.control.planner_thread import PlannerThread
from mbrl_controller.control.safety import SafetyState
from mbrl_controller.control.steps import Observation
from mbrl_controller.tasks.base import constant_goal

FAR = 60.0  # s
OBSERVATION = Observation(np.zeros(8), 0.0)
GOAL = constant_goal(np.array([1.0]))


class Gate:
    """Solves with the core, but only when let through."""

    def __init__(self, core: ControllerCore) -> None:
        self.core, self.open, self.made = core, threading.Event(), threading.Semaphore(0)
        self.asked: list[Any] = []  # the requests it was given

    def __call__(self, request: Any, deadline: float | None) -> Any:
        self.asked.append(request)
        assert self.open.wait(FAR)
        solution = self.core.solve(request, deadline)
        self.made.release()
        return solution


def test_in_time_it_is_the_same_plan(core: ControllerCore) -> None:
    planner = PlannerThread(core.solve)
    request = core.prepare(OBSERVATION, GOAL, 0.0)
    solution = planner.plan(request, time.monotonic() + FAR)
    assert solution is not None
    np.testing.assert_array_equal(solution.targets, core.solve(request).targets)
    assert planner.close()


def test_a_late_plan_is_thrown_away_and_the_next_one_is_made(core: ControllerCore) -> None:
    gate = Gate(core)
    planner = PlannerThread(gate)
    first = core.prepare(OBSERVATION, GOAL, 0.0)
    assert planner.plan(first, time.monotonic() + 0.01) is None
    # Still at it: a second request is neither put beside the first nor kept for later.
    assert planner.plan(core.prepare(OBSERVATION, GOAL, 1.0), time.monotonic() + 0.01) is None
    assert planner.late == 2
    gate.open.set()
    assert gate.made.acquire(timeout=FAR)
    core.reset(7)
    second = core.prepare(OBSERVATION, GOAL, 0.0)
    solution = planner.plan(second, time.monotonic() + FAR)
    np.testing.assert_array_equal(solution.targets, core.solve(second).targets)
    assert [id(request) for request in gate.asked] == [id(first), id(second)]
    assert planner.close()


def test_late_plans_are_bridged_then_held(core: ControllerCore) -> None:
    core.conclude(request := core.prepare(OBSERVATION, GOAL, 0.0), core.solve(request))
    plan = core._source.targets
    sources = []
    for late in range(1, 5):
        tick = core.conclude(core.prepare(OBSERVATION, GOAL, 0.0), None)
        sources.append(tick.source)
        if tick.source == "previous_plan":
            np.testing.assert_array_equal(tick.command, core.contract.action.limit(plan[late], OBSERVATION.state[:3]))
    assert sources == ["previous_plan", "previous_plan", "safe", "safe"]
    assert core.safety.state is SafetyState.HOLDING
    assert "late 4 times" in core.safety.reason
    request = core.prepare(OBSERVATION, GOAL, 0.0)
    assert core.conclude(request, core.solve(request)).state is SafetyState.RUNNING


def test_errors_are_raised_in_the_tick_they_belong_to(core: ControllerCore) -> None:
    def solve(request: Any, deadline: float | None) -> Any:
        raise ValueError("broken")

    planner = PlannerThread(solve)
    with pytest.raises(ValueError, match="broken"):
        planner.plan(core.prepare(OBSERVATION, GOAL, 0.0), time.monotonic() + FAR)
    assert planner.close()


def test_closing_ends_a_wait(core: ControllerCore) -> None:
    gate = Gate(core)
    planner = PlannerThread(gate)
    request = core.prepare(OBSERVATION, GOAL, 0.0)
    answers: list[Any] = []
    waiter = threading.Thread(target=lambda: answers.append(planner.plan(request, time.monotonic() + FAR)))
    waiter.start()
    while not gate.asked:
        time.sleep(0.001)
    assert not planner.close(timeout=0.01)
    waiter.join(FAR)
    assert answers == [None]
    gate.open.set()
    assert planner.close()


def test_the_planner_is_given_its_own_deadline(core: ControllerCore) -> None:
    asked: list[float | None] = []
    planner = PlannerThread(lambda request, until: asked.append(until) or core.solve(request))
    request = core.prepare(OBSERVATION, GOAL, 0.0)
    planner.plan(request, time.monotonic() + FAR, 12.5)
    planner.plan(request, time.monotonic() + FAR)
    assert asked == [12.5, None]
    assert planner.late == 0
    assert planner.close()


def test_after_an_error_and_after_a_late_one_plans_are_made_again(core: ControllerCore) -> None:
    ways = ["fails", "late", "good", "late and fails", "good"]
    opened, taken = threading.Event(), threading.Semaphore(0)

    def solve(request: Any, deadline: float | None) -> Any:
        way = ways[len(ways) - 5 + solve.count]  # type: ignore[attr-defined]
        solve.count += 1  # type: ignore[attr-defined]
        if "late" in way:
            assert opened.wait(FAR)
        taken.release()
        if "fails" in way:
            raise ValueError(way)
        return core.solve(request)

    solve.count = 0  # type: ignore[attr-defined]
    planner = PlannerThread(solve)
    request = core.prepare(OBSERVATION, GOAL, 0.0)
    with pytest.raises(ValueError, match="fails"):
        planner.plan(request, time.monotonic() + FAR)
    for late in (1, 2):
        opened.clear()
        assert planner.plan(request, time.monotonic() + 0.01) is None
        assert planner.late == late
        opened.set()
        assert planner.plan(request, time.monotonic() + FAR) is not None  # waits for the one before, and is not it
    assert solve.count == 5  # type: ignore[attr-defined]
    assert planner.close()


def test_a_deadline_that_is_over_asks_for_nothing_but_the_answer_that_is_there(core: ControllerCore) -> None:
    gate = Gate(core)
    planner = PlannerThread(gate)
    assert planner.plan(core.prepare(OBSERVATION, GOAL, 0.0), time.monotonic() - 1.0) is None
    assert planner.late == 1
    gate.open.set()
    assert planner.close()


def test_after_closing_no_plan_is_made(core: ControllerCore) -> None:
    planner = PlannerThread(core.solve)
    assert planner.close()
    assert planner.plan(core.prepare(OBSERVATION, GOAL, 0.0), time.monotonic() + FAR) is None
    assert planner.close()


def test_what_the_system_refuses_its_thread_is_told(core: ControllerCore) -> None:
    planner = PlannerThread(core.solve, cpus=[100_000])
    planner.plan(core.prepare(OBSERVATION, GOAL, 0.0), time.monotonic() + FAR)
    assert [text.split(":")[0] for text in planner.denied] == ["CPUs [100000]"]
    assert planner.close()
