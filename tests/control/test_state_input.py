# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What is said of a state that cannot be planned on because of its stamps."""

from __future__ import annotations

import pytest

from mbrl_controller.base.errors import MessageError
from mbrl_controller.base.resources import share_dir
from mbrl_controller.contract.contract import load_contract
from mbrl_controller.control.state_input import StateInput
from mbrl_controller.episodes.source_messages import source_message

TODAY = 1.76e9  # s, as the clock of a robot says


@pytest.fixture
def inputs() -> StateInput:
    return StateInput(load_contract(share_dir() / "config" / "claw_valve.yaml"))


def feed(inputs: StateInput, stamp: float, now: float) -> None:
    """A state of zeros of every source, stamped and received then (s)."""
    for source in inputs.contract.sources:
        message = source_message(source, [0.0] * len(source.entries()), round(1e9 * stamp))
        inputs.receive(source.topic, message, now)


def said(inputs: StateInput, now: float, clock: float) -> str:
    with pytest.raises(MessageError) as caught:
        inputs.observation(now, clock)
    return str(caught.value)


def test_a_state_without_a_stamp_is_called_so_from_the_first_message_on(inputs: StateInput) -> None:
    for k in range(30):  # long enough for what repeats a stamp to be silent
        now = 5.0 + 0.1 * k
        feed(inputs, 0.0, now)
        text = said(inputs, now, TODAY + now)
        assert "unstamped" in text
        assert "header.stamp is 0" in text
        assert "s ago" not in text


def test_the_first_state_of_simulated_time_may_be_stamped_zero(inputs: StateInput) -> None:
    feed(inputs, 0.0, 5.0)
    assert inputs.observation(5.0, 0.1).stamp == 0.0


@pytest.mark.parametrize(("age", "hint"), [(0.5, False), (1e4, True), (TODAY - 35.0, True)])
def test_an_age_that_is_no_delay_is_put_down_to_the_clocks(inputs: StateInput, age: float, hint: bool) -> None:
    feed(inputs, TODAY - age, 5.0)
    text = said(inputs, 5.0, TODAY)
    assert "ago" in text
    assert ("clocks" in text) is hint
