# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The safety states by themselves: which lead where, what each keeps, and the commands that come of them, by value."""

from __future__ import annotations

import numpy as np
import pytest

from mbrl_controller.control.config import SafetyConfig
from mbrl_controller.control.safety import Safety, SafetyState, Transition

from .conftest import make_contract

STATES = ("inactive", "ready", "running", "holding", "stopped", "handed_over")
CHANGES = {  # what `change` may lead to
    "inactive": "ready stopped",
    "ready": "running holding inactive stopped",
    "running": "holding ready inactive stopped",
    "holding": "running ready inactive stopped",
    "stopped": "",
    "handed_over": "inactive stopped",
}


def in_state(name: str) -> Safety:
    """A safety that has come to the state by ways that exist."""
    safety = Safety(make_contract().action)
    for step in {"ready": ["ready"], "running": ["ready", "running"], "holding": ["ready", "holding"],
                 "stopped": ["ready", "stopped"], "handed_over": ["ready"]}.get(name, []):  # fmt: skip
        assert safety.change(SafetyState(step), f"to {step}")
    if name == "handed_over":
        assert safety.hand_over("operator")
    assert safety.state.value == name
    return safety


@pytest.mark.parametrize("after", STATES)
@pytest.mark.parametrize("before", STATES)
def test_changes_that_exist_are_made_and_kept_with_their_reason(before: str, after: str) -> None:
    safety = in_state(before)
    known, reason = list(safety.transitions), safety.reason
    made = safety.change(SafetyState(after), "because", 7.0)
    exists = after in CHANGES[before].split()
    assert safety.state.value == (after if exists else before)
    if exists:
        kept = Transition(7.0, SafetyState(before), SafetyState(after), "because")
        assert (made, safety.reason) == (True, "because")
        assert list(safety.transitions) == [*known, kept]
    else:
        assert list(safety.transitions) == known
        if before != after:
            assert (made, safety.reason) == (False, reason)


@pytest.mark.parametrize("state", ["inactive", "ready", "running", "holding"])
def test_to_stay_is_to_have_a_new_reason(state: str) -> None:
    safety = in_state(state)
    assert safety.change(SafetyState(state), "still") is True
    assert safety.reason == "still"


def test_it_begins_inactive_with_nothing_sent() -> None:
    safety = Safety(make_contract().action)
    assert safety.state is SafetyState.INACTIVE
    assert safety.last_command is None
    assert not safety.is_handed_over


def test_a_stop_is_cleared_to_ready_with_its_time_and_reason() -> None:
    for state in STATES:
        safety = in_state(state)
        assert safety.clear_stop("by hand", 3.0) is (state == "stopped")
        if state == "stopped":
            assert (safety.state, safety.reason) == (SafetyState.READY, "by hand")
            assert safety.transitions[-1].time == 3.0


def test_a_hand_is_handed_over_wherever_it_was_active() -> None:
    for state in ("ready", "running", "holding", "stopped"):
        safety = in_state(state)
        assert safety.hand_over("another", 3.0) is True
        assert safety.is_handed_over
        if state == "stopped":
            assert safety.state is SafetyState.STOPPED
            assert safety.clear_stop("by hand", 4.0)
        assert (safety.state, safety.reason) == (SafetyState.HANDED_OVER, "another")
        assert safety.transitions[-1].time == (4.0 if state == "stopped" else 3.0)
        safety.hand_over("a third", 5.0)
        assert safety.reason == "another"  # the first reason stays


def test_taking_back_makes_ready_but_leaves_a_stop() -> None:
    safety = in_state("running")
    safety.command(np.zeros(3), np.zeros(3))
    assert not safety.take_back("back")
    assert safety.last_command is not None
    safety.hand_over("operator")
    assert safety.take_back("back", 5.0)
    assert (safety.state, safety.reason, safety.transitions[-1].time) == (SafetyState.READY, "back", 5.0)
    assert safety.last_command is None  # the hand was moved by someone else
    safety.hand_over("operator")
    safety.change(SafetyState.STOPPED, "e-stop")
    assert safety.take_back("back")
    assert safety.state is SafetyState.STOPPED
    assert not safety.is_handed_over
    safety.clear_stop("by hand")
    assert safety.state is SafetyState.READY


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_command_is_made_of_numbers_alone(bad: float) -> None:
    safety, good, holed = Safety(make_contract().action), np.zeros(3), np.array([0.0, bad, 0.0])
    for target, position in ((good, holed), (holed, good)):
        with pytest.raises(ValueError, match="non-finite target or position"):
            safety.command(target, position)
    assert safety.last_command is None
    np.testing.assert_allclose(safety.safe_command(good), good)
    np.testing.assert_allclose(safety.safe_command(holed), good)  # from the last command
    assert Safety(make_contract().action).safe_command(holed) is None


def test_no_command_is_made_where_none_keeps_all_limits() -> None:
    safety = Safety(make_contract().action)
    with pytest.raises(ValueError, match="outside its limits"):
        safety.command(np.zeros(3), np.full(3, 0.6))
    assert safety.safe_command(np.full(3, 0.6)) is None
    assert safety.last_command is None


def test_the_way_to_neutral_begins_at_the_last_command_or_else_at_the_hand() -> None:
    action = make_contract().action
    reach = action.max_rate * action.period
    safety = Safety(action, SafetyConfig(safe_speed=0.25), "neutral")
    begin = np.array([0.8, 0.8, -0.8])
    step = 0.25 * reach * np.array([-1, -1, 1])
    np.testing.assert_allclose(safety.safe_command(begin), begin + step)
    np.testing.assert_allclose(safety.safe_command(None), begin + 2 * step)
    np.testing.assert_allclose(safety.safe_command(begin), begin + 3 * step)


@pytest.mark.parametrize(("ramp", "periods"), [(0.15, 3), (0.05, 1), (0.35, 7), (0.1, 2), (0.12, 2)])
def test_a_ramp_lasts_for_its_whole_periods_whatever_their_sum_comes_to(ramp: float, periods: int) -> None:
    """Under it commands go no further from the last command than the hand may, afterwards from where the hand is. One
    that stays behind its commands shows the difference."""
    action = make_contract().action
    reach = action.max_rate * action.period
    position = np.array([0.0, 0.2, 0.1])
    for step in range(periods - 1, periods + 2):
        safety = Safety(action, SafetyConfig(ramp_s=ramp))
        ahead = position
        for _ in range(step):
            ahead = safety.command(action.upper, position)
        furthest = min(1.0, (step + 1) * 0.05 / ramp) if step < periods else np.inf
        expected = np.maximum(np.maximum(ahead - furthest * reach, position - reach), ahead - 2 * reach)
        np.testing.assert_allclose(safety.command(action.lower, position), expected, atol=1e-12)


def test_the_last_thousand_transitions_are_kept() -> None:
    safety = in_state("ready")
    for k in range(600):
        safety.change(SafetyState.RUNNING, "go", float(k))
        safety.change(SafetyState.HOLDING, "wait", float(k))
    assert len(safety.transitions) == 1000
    assert (safety.transitions[0].time, safety.transitions[-1].time) == (100.0, 599.0)
