# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Inverse models propose commands towards the goal, through the planner's own door for proposals."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mbrl_controller.control import solver
from mbrl_controller.control.steps import Observation
from mbrl_controller.models.onnx_window import WindowAnswer
from mbrl_controller.tasks.valve import AIM, Valve

from .conftest import PlainModel
from .heads import FakePolicy, Headed
from .test_policy import GOAL, make_core


class FakeInverse:
    """Two answers for two steps: all joints to `target`, or against it; the second is likelier."""

    steps = 2

    def __init__(self, target: float = 0.3) -> None:
        self.target, self.spec = target, SimpleNamespace(members=1)
        self.asked: list[tuple[np.ndarray, np.ndarray]] = []

    def answer(self, first: np.ndarray, last: np.ndarray) -> WindowAnswer:
        self.asked.append((first, last))
        mean = np.array([self.target, -self.target])[None, :, None, None] * np.ones((1, 2, 2, 3))
        return WindowAnswer(np.array([[0.2, 0.8]]), mean, np.ones_like(mean))


def seen(model: Any, monkeypatch: pytest.MonkeyPatch, aims: bool = True, **planner: Any) -> Any:
    """The proposals that the planner gets in a tick."""
    got = []
    made = solver.plan_objective

    def objective(*parts: Any, **given: Any) -> Any:
        got.append(given["proposals"])
        return made(*parts, **given)

    monkeypatch.setattr(solver, "plan_objective", objective)
    core = make_core(model, planner=planner)
    if not aims:
        monkeypatch.setattr(type(core.task), "aimed", lambda self, state, goal: None)
    core.solve(core.prepare(Observation(np.zeros(8), 0.0), GOAL, 0.0))
    return got[0]


def with_inverse(**options: Any) -> Any:
    model = Headed(**options)
    model.proposers = (FakeInverse(),)
    return model


def test_its_answers_are_proposals_likeliest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    model = with_inverse()
    proposals = seen(model, monkeypatch, proposal_fraction=0.5)
    assert proposals.shape == (2, 4, 3)  # two answers, held to the planner's horizon
    assert (proposals[0] < 0).all()
    assert (proposals[1] > 0).all()
    first, last = model.proposers[0].asked[0]
    assert (last - first)[0, 6] == pytest.approx(AIM)  # the goal is a whole radian away


def test_they_stand_beside_the_policys_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    proposals = seen(with_inverse(policy=FakePolicy(0.5)), monkeypatch, proposal_fraction=0.5)
    assert proposals.shape == (3, 4, 3)
    assert proposals[0, 0].tolist() == [0.5] * 3


@pytest.mark.parametrize("aims", [True, False])
def test_without_a_share_or_an_aim_nothing_is_proposed(monkeypatch: pytest.MonkeyPatch, aims: bool) -> None:
    planner = {} if aims else {"proposal_fraction": 0.5}
    assert seen(with_inverse(), monkeypatch, aims, **planner) is None
    assert seen(PlainModel(), monkeypatch, proposal_fraction=0.5) is None


def test_a_valve_is_aimed_at_the_goal_by_a_turn_that_a_claw_can_do() -> None:
    task = Valve(("F1J1", "F2J1", "F3J1"))
    state = np.arange(8) / 10
    for goal, turned in ((0.7, 0.1), (3.0, AIM), (-2.0, -AIM), (0.6 + 2 * np.pi - 0.2, -0.2)):
        change = task.aimed(state, np.array([goal])) - state
        assert change[6] == pytest.approx(turned)
        assert not np.delete(change, 6).any()
