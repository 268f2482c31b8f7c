# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What of the inputs is taken in, and why there is none to plan on: ages, silence, the future, bad messages."""

from __future__ import annotations

import numpy as np
import pytest

from mbrl_controller.base.errors import MessageError
from mbrl_controller.control.state_input import StateInput

from .conftest import make_contract
from .test_session import joint_state
from .test_state_input_threads import JOINTS, filled


def joints(inputs: StateInput, stamp: float, now: float | None = None, position: float = 0.0) -> None:
    inputs.receive("joint_states", joint_state(JOINTS, [position] * 3, stamp), stamp if now is None else now)


def valve(inputs: StateInput, stamp: float, now: float | None = None, angle: float = 0.0) -> None:
    inputs.receive("valve/joint_states", joint_state(["valve"], [angle], stamp), stamp if now is None else now)


def why(inputs: StateInput, now: float | None, clock: float | None) -> str:
    try:
        inputs.observation(now, clock)
    except MessageError as error:
        return str(error)
    return ""


def test_a_bad_message_counts_against_its_source_until_a_good_one_comes() -> None:
    inputs = filled()
    assert (inputs.rejected_total, inputs.last_rejection) == (0, "")
    for n, name in enumerate(("J0", "elbow"), 1):
        inputs.receive("joint_states", joint_state([name], [0.0], 1.1), 1.1)
        assert (inputs.rejected["joint_states"], inputs.rejected_total) == (n, n)
    assert "elbow" in inputs.last_rejection
    assert why(inputs, None, None) == inputs.last_rejection
    valve(inputs, 1.1)  # another source's says nothing of this one
    assert why(inputs, None, None) == inputs.last_rejection
    joints(inputs, 1.1)
    assert why(inputs, None, None) == ""
    assert inputs.rejected_total == 2
    assert "elbow" in inputs.last_rejection


def test_a_reset_forgets_all_but_the_counts() -> None:
    inputs = filled()
    inputs.receive("joint_states", joint_state(["J0"], [0.0], 1.1), 1.1)
    inputs.reset()
    assert why(inputs, None, None) == "no message yet on joint_states, valve/joint_states"
    assert inputs.newest_stamp is None
    assert inputs.rejected_total == 1
    joints(inputs, 0.5)  # older than what was known before
    assert why(inputs, None, None) == "no message yet on valve/joint_states"
    valve(inputs, 0.4, now=0.5)
    assert why(inputs, 0.5, 0.5) == ""


def test_what_was_received_before_a_moment_is_not_taken_in_after_it() -> None:
    inputs = filled()
    inputs.reset(5.0)
    inputs.reset(3.0)  # an earlier one changes nothing
    joints(inputs, 9.0, now=4.99)
    assert "joint_states" in why(inputs, None, None)
    joints(inputs, 9.0, now=5.0)
    assert why(inputs, None, None) == "no message yet on valve/joint_states"


def test_a_reset_begins_a_new_full_set() -> None:
    told: list[None] = []
    inputs = StateInput(make_contract(), lambda: told.append(None))
    joints(inputs, 1.0)
    inputs.reset()
    valve(inputs, 1.0)
    assert not told
    joints(inputs, 1.0)
    assert len(told) == 1
    inputs.receive("joint_states", joint_state(["J0"], [0.0], 1.1), 1.1)  # a bad one is an answer, too
    valve(inputs, 1.1)
    assert len(told) == 2


def test_silence_counts_from_the_newest_measurement_and_not_from_repeated_ones() -> None:
    """Of a period of 0.05 s: 0.06 s."""
    inputs = filled()
    valve(inputs, 1.05)
    assert why(inputs, 1.0599, 1.05) == ""
    assert why(inputs, 1.0601, 1.05) == "joint_states: nothing received for 0.06 s"
    joints(inputs, 1.0, now=1.1)  # the same again
    joints(inputs, 0.9, now=1.1)
    valve(inputs, 1.1)
    assert why(inputs, 1.12, 1.1) == "joint_states: nothing newer received for 0.12 s, only repeated or older stamps"
    assert why(inputs, 1.17, 1.1) == "joint_states: nothing received for 0.17 s"
    assert why(inputs, None, 1.1) == ""
    joints(inputs, 1.15)
    valve(inputs, 1.15)
    assert why(inputs, 1.16, 1.15) == ""


def test_age_counts_from_the_stamp_whenever_it_was_received() -> None:
    inputs = filled()
    for clock, old in ((1.19, False), (1.21, True), (5.0, True)):
        assert bool(why(inputs, None, clock)) is old
    assert why(inputs, None, 1.21) == "joint_states: measured 0.21 s ago, more than 0.2 s"
    joints(inputs, 1.2)
    assert why(inputs, None, 1.21) == "valve/joint_states: measured 0.21 s ago, more than 0.2 s"
    assert why(inputs, 1.0, None) == ""


def test_a_measurement_from_the_future_is_forgotten_for_those_that_follow() -> None:
    inputs = filled()
    joints(inputs, 1.19)
    assert why(inputs, None, 1.0) == ""  # no more ahead than one may be old
    joints(inputs, 1.3)
    valve(inputs, 1.5)
    assert why(inputs, None, 1.0) == ("joint_states: stamped 0.30 s in the future; are the clocks in step?")
    assert why(inputs, None, 1.0) == "no message yet on joint_states, valve/joint_states"
    joints(inputs, 1.0)
    valve(inputs, 1.0)
    assert why(inputs, None, 1.0) == ""


def test_an_older_measurement_does_not_take_the_place_of_the_newest() -> None:
    inputs = filled()
    joints(inputs, 1.1, position=0.5)
    joints(inputs, 1.05, position=0.2)
    observation = inputs.observation(None, None)
    np.testing.assert_allclose(observation.state[:3], 0.5)
    assert inputs.newest_stamp == pytest.approx(1.1)
    assert observation.stamp == 1.0  # of the oldest source
    np.testing.assert_allclose(observation.newer, [0.1] * 6 + [0.0] * 2, atol=1e-9)


def test_what_is_just_old_enough_counts() -> None:
    """At 0.2 s of age or ahead, and at 0.06 s of silence, to the last digit."""
    inputs = StateInput(make_contract())
    joints(inputs, 0.0)
    valve(inputs, 0.0)
    limit = inputs.contract.max_silence(inputs.contract.sources[0])
    assert why(inputs, limit, 0.2) == ""
    joints(inputs, 0.2, now=0.0)
    assert why(inputs, 0.0, 0.0) == ""
    joints(inputs, 0.1, now=limit)  # older: the source is heard, but says nothing newer
    valve(inputs, 0.05, now=2 * limit)
    assert "nothing newer received" in why(inputs, 2 * limit, 0.05)
