# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Who waits for whom where steps, e-stops, resets and goals come from different threads."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from mbrl_controller.control.safety import SafetyState
from mbrl_controller.control.steps import Step
from mbrl_controller.tasks.base import constant_goal

from .conftest import PlainModel
from .test_session import Bench

SOON = 0.1  # s in which a thread that nothing holds up has long come back
FAR = 60.0  # s


def waits_for(release: threading.Event, call: Any) -> threading.Thread:
    """The thread that makes the call; it must not come back before the release."""
    back = threading.Event()
    thread = threading.Thread(target=lambda: (call(), back.set()))
    thread.start()
    assert not back.wait(SOON)
    return thread


INTERVENTIONS = {
    "stop": lambda session: session.stop("e-stop", 1.2),
    "reset": lambda session: session.reset(1.2),
    "leave": lambda session: session.leave(1.2),
    "enter": lambda session: session.enter(1.2),
    "hold": lambda session: session.hold("no time", 1.2),
    "unheard": lambda session: session.unheard("nobody listens", 1.2),
    "disputed": lambda session: session.disputed("two publishers", 1.2),
    "hand over": lambda session: session.hand_over("operator", 1.2),
    "take back": lambda session: session.take_back("back", 1.2),
    "scene": lambda session: session.scene_was_reset(1.2),
    "goal": lambda session: session.set_goal(constant_goal(np.array([0.1])), 1.2),
    "swap": lambda session: session.swap(PlainModel()),
    "retune": lambda session: session.reconfigure(
        session.core.planner, session.core.config, session.core.safety.config, session.config, 1.2
    ),
    "step": lambda session: session.step(1.2, None, None, session.core.solve),
}


@pytest.mark.parametrize("planned", [True, False])
@pytest.mark.parametrize("name", INTERVENTIONS)
def test_interventions_wait_until_what_a_step_came_to_was_sent(name: str, planned: bool) -> None:
    """Whether the step had a plan, or ended without one."""
    bench = Bench()
    bench.run(1.0, 3)
    sent, waiting = threading.Event(), []

    def send(step: Step) -> None:
        if not waiting:
            waiting.append(None)
            waiting[0] = waits_for(sent, lambda: INTERVENTIONS[name](bench.session))
        bench.sent.append(step)

    bench.session._send = send
    before = len(bench.sent)
    if planned:
        bench.feed(1.15)
    bench.step(1.15 if planned else 2.0)
    waiting[0].join(FAR)
    assert not waiting[0].is_alive()
    assert bench.sent[before].tick.source == ("plan" if planned else "safe")


@pytest.mark.parametrize("first", ["stop", "leave", "hold"])
def test_a_step_waits_until_the_command_of_an_intervention_was_sent(first: str) -> None:
    bench = Bench()
    bench.run(1.0, 3)
    bench.feed(1.15)
    waiting = []

    def send(step: Step) -> None:
        bench.sent.append(step)
        if not waiting:
            waiting.append(None)
            waiting[0] = waits_for(threading.Event(), lambda: bench.step(1.2))

    bench.session._send = send
    INTERVENTIONS[first](bench.session)
    waiting[0].join(FAR)
    assert [step.tick.source for step in bench.sent[3:]] == ["safe", "plan" if first == "hold" else "none"]


@pytest.mark.parametrize("name", INTERVENTIONS)
def test_nothing_waits_for_the_planner(name: str) -> None:
    """An e-stop is heard while a plan is made, however long that takes."""
    bench = Bench()
    bench.run(1.0, 3)

    def solve(request: Any) -> Any:
        solution = bench.core.solve(request)
        other = threading.Thread(target=lambda: INTERVENTIONS[name](bench.session))
        other.start()
        other.join(FAR)
        assert not other.is_alive()
        return solution

    bench.feed(1.15)
    step = bench.step(1.15, solve)
    assert step.tick.state is not SafetyState.STOPPED or name == "stop"
