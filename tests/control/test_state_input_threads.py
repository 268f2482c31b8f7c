# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What arrives on one thread and is read on another belongs together."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mbrl_controller.base.errors import MessageError
from mbrl_controller.control.state_input import StateInput

from .conftest import make_contract
from .test_session import joint_state

SOON = 0.1  # s in which a thread that nothing holds up has long come back
FAR = 60.0  # s
JOINTS = ["J0", "J1", "J2"]


def filled(on_complete: Callable[[], None] | None = None) -> StateInput:
    inputs = StateInput(make_contract(), on_complete)
    inputs.receive("joint_states", joint_state(JOINTS, [0.1] * 3, 1.0), 1.0)
    inputs.receive("valve/joint_states", joint_state(["valve"], [0.1], 1.0), 1.0)
    return inputs


class During:
    """Starts a call on another thread in the midst of something, and says whether it came back meanwhile."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self.back, self.came_back = threading.Event(), False
        self.thread = threading.Thread(target=lambda: (call(), self.back.set()))

    def happens(self) -> None:
        if self.thread.ident is None:
            self.thread.start()
            self.came_back = self.back.wait(SOON)

    def waited(self) -> bool:
        self.thread.join(FAR)
        return self.back.is_set() and not self.came_back


class Message(SimpleNamespace):
    """Lets something happen as its velocities are read, when a part of it was taken in."""

    @property
    def velocity(self) -> list[float]:
        self.during.happens()
        return [0.0] * len(self.name)


class Watched(float):
    """A time that lets something happen as an age is counted from it, when a part of the ages is known."""

    during: During

    def __sub__(self, other: float) -> float:
        self.during.happens()
        return float(self) - other


READERS: dict[str, Callable[[StateInput], Any]] = {
    "observation": lambda inputs: inputs.observation(None, None),
    "newest stamp": lambda inputs: inputs.newest_stamp,
    "reset": lambda inputs: inputs.reset(),
    "receive": lambda inputs: inputs.receive("joint_states", joint_state(JOINTS, [0.3] * 3, 1.1), 1.1),
}


@pytest.mark.parametrize("name", READERS)
def test_nothing_reads_or_changes_the_inputs_while_a_message_is_taken_in(name: str) -> None:
    inputs = filled()
    during = During(lambda: READERS[name](inputs))
    header = joint_state(JOINTS, [0.2] * 3, 1.05).header
    message = Message(header=header, name=JOINTS, position=[0.2] * 3, during=during)
    inputs.receive("joint_states", message, 1.05)
    assert during.waited()


@pytest.mark.parametrize("name", READERS)
def test_no_message_is_taken_in_while_an_observation_is_made(name: str) -> None:
    inputs = filled()
    now = Watched(1.02)
    now.during = During(lambda: READERS[name](inputs))
    observation = inputs.observation(now, 1.02)
    np.testing.assert_allclose(observation.state[:3], 0.1)
    assert observation.stamp == 1.0
    assert not np.any(observation.newer)
    assert now.during.waited()


def test_state_stamp_and_ages_belong_together_while_messages_arrive() -> None:
    """The n-th measurement of each source was made at n ms and says n; the valve's comes after the joints'."""
    inputs, ended = filled(), threading.Event()
    inputs.reset()

    def receive() -> None:
        for n in range(1, 3000):
            stamp = 1e-3 * n
            inputs.receive("joint_states", joint_state(JOINTS, [stamp] * 3, stamp), stamp)
            inputs.receive("valve/joint_states", joint_state(["valve"], [stamp], stamp), stamp)
        ended.set()

    thread = threading.Thread(target=receive)
    thread.start()
    seen = 0
    while not ended.is_set():
        try:
            observation = inputs.observation(None, None)
        except MessageError:
            continue  # before the first
        joints, valve = observation.state[0], observation.state[6]
        assert observation.stamp == pytest.approx(min(joints, valve), abs=1e-9)
        np.testing.assert_allclose(
            observation.newer, [joints - observation.stamp] * 6 + [valve - observation.stamp] * 2, atol=1e-9
        )
        seen += 1
    thread.join(FAR)
    assert seen


def test_a_full_set_of_states_is_told_once_and_may_be_read_at_once() -> None:
    seen: list[float] = []

    def complete() -> None:
        reader = threading.Thread(target=lambda: seen.append(inputs.observation(None, None).stamp))
        reader.start()
        reader.join(FAR)

    inputs = StateInput(make_contract(), complete)
    for stamp in (1.0, 2.0):
        inputs.receive("joint_states", joint_state(JOINTS, [0.0] * 3, stamp), stamp)
        inputs.receive("joint_states", joint_state(JOINTS, [0.0] * 3, stamp + 0.1), stamp + 0.1)
        assert len(seen) == stamp - 1
        inputs.receive("valve/joint_states", joint_state(["valve"], [0.0], stamp), stamp)
    assert seen == [1.0, 2.0]
