# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What was latched or counted is the process's: a new configuration finds it as it was."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mbrl_controller.control.config import ControllerConfig, SafetyConfig, SessionConfig
from mbrl_controller.control.core import ControllerCore
from mbrl_controller.control.safety import Safety, SafetyState
from mbrl_controller.control.session import ControlSession
from mbrl_controller.control.standing import Standing
from mbrl_controller.control.state_input import Rejections, StateInput
from mbrl_controller.control.steps import Step
from mbrl_controller.planning.catalog import make_planner

from .conftest import PlainModel, make_contract
from .test_session import PERIOD, joint_state


class Process:
    """A process whose controller is configured again and again."""

    def __init__(self) -> None:
        self.standing, self.rejections = Standing(), Rejections()
        self.sent: list[Step] = []
        self.configure()

    def configure(self, **config: Any) -> None:
        contract = make_contract()
        safety = Safety(contract.action, SafetyConfig(ramp_s=0.0), "hold", self.standing)
        planner = make_planner("pddm", 3, {"num_samples": 8, "horizon": 4})
        core = ControllerCore(contract, PlainModel(), planner, ControllerConfig(), safety, active=False)
        self.inputs = StateInput(contract, rejections=self.rejections)
        self.resets = 0
        self.session = ControlSession(
            core, self.inputs, SessionConfig(**config), self.sent.append, reset_scene=self._reset_scene
        )

    def _reset_scene(self) -> None:
        self.resets += 1

    @property
    def state(self) -> SafetyState:
        return self.session.core.safety.state

    def run(self, begin: float, steps: int = 3) -> list[np.ndarray]:
        """The commands of some steps."""
        self.sent.clear()
        for i in range(steps):
            now = begin + i * PERIOD
            self.inputs.receive("joint_states", joint_state(["J0", "J1", "J2"], [0.0] * 3, now), now)
            self.inputs.receive("valve/joint_states", joint_state(["valve"], [0.0], now), now)
            self.session.step(now, now, now, self.session.core.solve)
        return [step.tick.command for step in self.sent if step.tick.command is not None]

    def again(self, now: float, leave: bool = True) -> None:
        """Deactivate, clean up, configure, activate."""
        if leave:
            self.session.leave(now)
        self.configure()
        self.session.enter(now)


@pytest.fixture
def process() -> Process:
    made = Process()
    made.session.enter(0.0)
    assert len(made.run(1.0)) == 3
    return made


def test_a_new_process_is_inactive_and_nothing_is_latched() -> None:
    made = Process()
    assert (made.state, made.standing.stop, made.standing.hand_over) == (SafetyState.INACTIVE, None, None)
    assert not made.run(1.0)
    assert not made.standing.transitions


@pytest.mark.parametrize("leave", [True, False])
def test_a_stop_survives_every_configuration_with_its_first_reason(process: Process, leave: bool) -> None:
    process.session.stop("e-stop", 1.5)
    process.again(2.0, leave)
    process.session.stop("another", 2.1)
    process.again(3.0, leave)
    assert process.state is SafetyState.STOPPED
    assert (process.standing.stop.reason, process.standing.stop.time) == ("e-stop", 1.5)
    assert process.session.core.safety.reason == "e-stop"
    assert not process.run(3.0)
    process.session.reset(4.0)
    assert len(process.run(4.0)) == 3


def test_a_stop_before_any_configuration_holds_after_it() -> None:
    made = Process()
    made.session.leave(0.0)
    assert made.standing.latch_stop("e-stop", 0.5)
    assert not made.standing.latch_stop("again", 0.6)
    made.again(1.0, leave=False)
    assert not made.run(1.0)
    assert [(t.before, t.after, t.reason) for t in made.standing.transitions] == [
        (SafetyState.INACTIVE, SafetyState.STOPPED, "e-stop")
    ]
    made.session.leave(2.0)
    assert made.standing.clear_stop("reset", 2.1)
    assert not made.standing.clear_stop("reset", 2.2)
    made.again(3.0)
    assert len(made.run(3.0)) == 3


def test_a_hand_over_survives_every_configuration(process: Process) -> None:
    process.session.hand_over("operator", 1.5)
    process.again(2.0)
    assert process.state is SafetyState.HANDED_OVER
    process.session.reset(2.1)
    assert not process.run(2.2)
    process.session.leave(3.0)
    process.configure()
    assert process.state is SafetyState.INACTIVE
    assert process.session.take_back("back", 3.1)
    assert process.state is SafetyState.INACTIVE
    assert not process.run(3.1)
    process.session.enter(4.0)
    assert len(process.run(4.0)) == 3


def test_no_number_is_given_twice(process: Process) -> None:
    epochs, episodes = set(), set()
    for begin in (2.0, 4.0, 6.0):
        process.run(begin)
        epochs.add(process.sent[-1].tick.epoch)
        episodes.add(process.sent[-1].episode)
        process.again(begin + 1.0)
    assert len(epochs) == 3
    assert episodes == {0, 1, 2}


def test_rejected_messages_are_counted_on(process: Process) -> None:
    for expected in (1, 2):
        process.inputs.receive("valve/joint_states", joint_state(["lid"], [0.0], 2.0), 2.0)
        assert process.inputs.rejected_total == expected
        process.again(3.0)
        assert process.inputs.rejected_total == expected
        assert "valve" in process.inputs.last_rejection


def test_transitions_are_kept(process: Process) -> None:
    process.session.stop("e-stop", 1.5)
    process.again(2.0)
    process.session.reset(2.1)
    told = [(t.before.value, t.after.value, t.reason) for t in process.standing.transitions]
    assert told == [
        ("inactive", "ready", "reset"),
        ("ready", "running", "planning"),
        ("running", "holding", "e-stop"),
        ("holding", "stopped", "e-stop"),
        ("stopped", "ready", "reset"),
    ]
    assert process.standing.count == len(told)


@pytest.mark.parametrize("state", ["handed over", "inactive", "ready"])
def test_a_reset_asks_for_the_scenes_reset_only_where_an_episode_would_follow(state: str) -> None:
    process = Process()
    process.configure(auto_reset=True)
    if state != "inactive":
        process.session.enter(0.0)
    if state == "handed over":
        process.session.hand_over("operator", 0.1)
    process.session.reset(1.0)
    assert process.resets == (state == "ready")


def test_leaving_twice_tells_it_once(process: Process) -> None:
    process.sent.clear()
    assert process.session.leave(2.0).tick.source == "safe"
    assert process.session.leave(2.1).tick.source == "none"
    assert len(process.sent) == 1


def test_why_no_episode_can_begin(process: Process) -> None:
    assert process.session.state_problem(1.1, 1.1) == ""
    assert "nothing received for" in process.session.state_problem(9.0, 1.1)
    process.inputs.receive("valve/joint_states", joint_state(["valve"], [np.nan], 1.1), 1.1)
    assert "non-finite value" in process.session.state_problem(1.1, 1.1)
