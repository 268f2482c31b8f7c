# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Whatever happens, what is sent stays within limits and rate, and after a stop nothing is sent."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mbrl_controller.control.config import SafetyConfig
from mbrl_controller.control.core import ControllerCore
from mbrl_controller.control.safety import Safety, SafetyState
from mbrl_controller.control.steps import Observation
from mbrl_controller.tasks.base import constant_goal

from .conftest import PlainModel, make_contract, make_core

SILENT = {SafetyState.INACTIVE, SafetyState.STOPPED, SafetyState.HANDED_OVER}
GOAL = constant_goal(np.array([1.0]))
number = st.one_of(st.floats(-3, 3), st.sampled_from([np.nan, np.inf, -np.inf, 1e300]))
state = st.lists(number, min_size=8, max_size=8).map(np.array)
pose = st.tuples(st.floats(-1, 1), st.floats(-0.5, 1), st.floats(-1, 0.4)).map(np.array)
event = st.one_of(
    st.tuples(st.just("tick"), state),
    st.tuples(st.just("late"), state),
    st.tuples(st.just("nan plan"), state),
    st.tuples(st.just("broken model"), state),
    st.tuples(st.just("disagreeing model"), state),
    st.tuples(st.just("hold"), st.one_of(st.none(), state)),
    st.tuples(st.just("stale request"), state),
    st.tuples(
        st.sampled_from(["reset", "stop", "clear", "leave", "hand over", "take back", "swap", "exploration"]), st.none()
    ),
)


def play(core: ControllerCore, kind: str, value: Any, model: Any) -> Any:
    """Let `kind` happen; the tick it led to, if any."""
    if kind == "reset":
        return core.reset(1)
    if kind == "clear":
        return core.safety.clear_stop("cleared")
    if kind == "hand over":
        return core.safety.hand_over("operator")
    if kind == "take back":
        return core.safety.take_back("back")
    if kind == "swap":
        return core.swap(model())
    if kind == "stop":
        return core.stop("e-stop")
    if kind == "leave":
        return core.leave("deactivated")
    if kind == "hold":
        return core.hold("held", None if value is None else Observation(value, 0.0))
    if kind in ("broken model", "disagreeing model"):
        core.swap(model(spread=9.0, broken=kind == "broken model"))
    observation = Observation(np.zeros(8) if value is None else value, 0.0)
    request = core.prepare(observation, GOAL, 0.0)
    if kind == "late":
        return core.conclude(request, None)
    with np.errstate(all="ignore"):
        solution = core.solve(request)
    if kind == "nan plan":
        solution.targets[:] = np.nan
    if kind == "stale request":
        core.reset(2)
    noise = np.full(3, 5.0) if kind == "exploration" else None
    return core.conclude(request, solution, 0.0, noise)


@settings(deadline=None, max_examples=150)
@given(st.lists(event, max_size=25), st.sampled_from(["hold", "neutral"]))
def test_no_command_leaves_the_limits(events: list[tuple[str, Any]], safe: str) -> None:
    core = make_core(make_contract(safe), PlainModel())
    action, config = core.contract.action, core.safety.config
    reach = action.max_rate * action.period + 1e-9
    for kind, value in events:
        before = core.safety.state
        last = core.safety.last_command
        tick = play(core, kind, value, PlainModel)
        command = getattr(tick, "command", None)
        if before in SILENT and (before is not SafetyState.INACTIVE or kind != "stale request"):
            assert command is None  # (that one resets, which makes ready)
        if before is SafetyState.STOPPED and kind != "clear":
            assert core.safety.state is SafetyState.STOPPED
        if command is None:
            continue
        assert np.isfinite(command).all()
        assert (command >= action.lower).all()
        assert (command <= action.upper).all()
        position = None if value is None else value[:3]
        if kind == "exploration":
            position = np.zeros(3)
        if position is not None and np.isfinite(position).all():
            assert (np.abs(command - position) <= reach).all()
        if last is not None:
            assert (np.abs(command - last) <= config.max_jump * reach).all()


def test_first_reason_for_a_stop_stays(core: ControllerCore) -> None:
    core.stop("e-stop", Observation(np.zeros(8), 0.0))
    core.stop("another")
    assert core.safety.reason == "e-stop"
    assert [t.after for t in core.safety.transitions][-1] is SafetyState.STOPPED


def test_only_clear_stop_leaves_stopped(core: ControllerCore) -> None:
    tick = core.stop("e-stop", Observation(np.zeros(8), 0.0))
    assert tick.source == "safe"
    assert tick.command is not None
    assert core.leave("deactivated").command is None
    core.reset(0)
    assert core.safety.state is SafetyState.STOPPED
    assert core.tick(Observation(np.zeros(8), 0.0), GOAL, 0.0).command is None
    assert core.safety.clear_stop("by hand")
    assert not core.safety.clear_stop("again")
    assert core.safety.state is SafetyState.READY


def test_transitions_that_do_not_exist_change_nothing() -> None:
    safety = Safety(make_contract().action)
    assert not safety.change(SafetyState.RUNNING, "too early")
    assert safety.state is SafetyState.INACTIVE
    assert not safety.transitions


def test_disagreement_holds_after_some_plans_unless_switched_off() -> None:
    model = PlainModel(spread=9.0)
    for checked, expected in ((True, SafetyState.HOLDING), (False, SafetyState.RUNNING)):
        core = make_core(model=model, safety=SafetyConfig(check_disagreement=checked))
        for _ in range(3):
            tick = core.tick(Observation(np.zeros(8), 0.0), GOAL, 0.0)
        assert tick.state is expected
        assert ("the ensemble disagrees" in tick.reason) is checked


@given(pose, pose, st.floats(0.1, 1.0))
def test_neutral_is_approached_at_the_safe_speed(start: np.ndarray, hand: np.ndarray, speed: float) -> None:
    """Also with a hand that stays behind, and without knowing where it is: only the rate limit may make it faster."""
    action = make_contract().action
    reach = action.max_rate * action.period
    safety = Safety(action, SafetyConfig(safe_speed=speed), "neutral")
    command = safety.safe_command(start)
    for position in (hand, None, None):
        before, command = command, safety.safe_command(position)
        if command is None:
            assert position is not None
            assert (np.abs(before - position) > reach).any()
            return
        forced = 0.0 if position is None else np.maximum(np.abs(before - position) - reach, 0)
        assert (np.abs(command - before) <= np.maximum(speed * reach, forced) + 1e-9).all()
    for _ in range(400):
        command = safety.safe_command(None)
    np.testing.assert_allclose(command, action.neutral)


@given(pose, pose, st.floats(0.06, 1.0))
def test_commands_gain_speed_from_where_the_hand_is(start: np.ndarray, target: np.ndarray, ramp: float) -> None:
    """In even steps: the k-th of n goes k/n as far as the hand may, the n-th and all after it all the way."""
    action = make_contract().action
    reach = action.max_rate * action.period
    safety = Safety(action, SafetyConfig(ramp_s=ramp))
    position = start  # of a hand that follows
    for round_ in range(2):
        for step in range(1, 25):
            furthest = min(1.0, step * action.period / ramp) * reach
            expected = np.clip(target, position - furthest, position + furthest)
            position = safety.command(target, position)
            np.testing.assert_allclose(position, expected, atol=1e-9)
        if not round_:
            position = safety.safe_command(position)  # a hold begins it anew


def test_without_a_ramp_commands_are_as_fast_as_the_hand_from_the_first() -> None:
    action = make_contract().action
    reach = action.max_rate * action.period
    command = Safety(action, SafetyConfig(ramp_s=0.0)).command(action.upper, action.neutral)
    np.testing.assert_allclose(command, np.minimum(action.neutral + reach, action.upper))


def test_a_hand_that_is_not_where_its_command_is_gets_none_until_it_is_back_or_a_person_resets() -> None:
    core = make_core()
    near, far = (Observation(np.concatenate([[angle] * 3, np.zeros(5)]), 0.0) for angle in (0.0, 0.4))
    assert core.tick(near, GOAL, 0.0).command is not None
    last = core.safety.last_command
    lost = core.tick(far, GOAL, 0.0)
    assert (lost.command, lost.state) == (None, SafetyState.HOLDING)
    assert "J2 is measured at 0.4 rad, too far from its command" in lost.reason
    assert core.safety.last_command is last
    assert core.tick(near, GOAL, 0.0).command is not None
    core.safety.forget_command()
    assert core.tick(far, GOAL, 0.0).command is not None


def test_a_joint_far_outside_its_limits_gets_no_command() -> None:
    core = make_core()
    state = np.zeros(8)
    state[2] = 0.44  # its limit is 0.4, and it may move by 0.05 in a period
    assert core.tick(Observation(state, 0.0), GOAL, 0.0).command[2] <= 0.4
    core.safety.forget_command()
    state[2] = 0.46
    tick = core.tick(Observation(state, 0.0), GOAL, 0.0)
    assert tick.command is None
    assert "J2 is measured at 0.46 rad, 0.06 outside its limits" in tick.reason


def test_a_hold_gives_its_own_reason_and_why_nothing_is_sent() -> None:
    core = make_core()
    core.tick(Observation(np.zeros(8), 0.0), GOAL, 0.0)
    reason = core.hold("late", Observation(np.full(8, 0.4), 0.0)).reason
    assert reason.startswith("late; J2 is measured")
    assert core.tick(Observation(np.full(8, 0.4), 0.0), GOAL, 0.0).reason.count("J2") == 1


def test_a_hand_over_survives_a_stop_and_ends_with_taking_back_alone(core: ControllerCore) -> None:
    observation = Observation(np.zeros(8), 0.0)
    core.tick(observation, GOAL, 0.0)
    assert core.safety.hand_over("operator")
    assert core.tick(observation, GOAL, 0.0).command is None
    assert core.hold("late", observation).command is None
    core.reset(0)
    assert core.safety.state is SafetyState.HANDED_OVER
    assert core.stop("e-stop", observation).command is None
    assert core.safety.clear_stop("by hand")
    assert (core.safety.state, core.safety.reason) == (SafetyState.HANDED_OVER, "operator")
    assert core.safety.take_back("back")
    assert core.safety.last_command is None
    assert core.tick(observation, GOAL, 0.0).command is not None
    assert not core.safety.take_back("again")


def test_a_hand_over_survives_deactivation_and_activation(core: ControllerCore) -> None:
    observation = Observation(np.zeros(8), 0.0)
    core.safety.hand_over("operator")
    assert core.leave("deactivated").command is None
    assert core.safety.state is SafetyState.INACTIVE
    core.reset(0)
    assert (core.safety.state, core.safety.reason) == (SafetyState.HANDED_OVER, "operator")
    assert core.tick(observation, GOAL, 0.0).command is None
    assert core.safety.take_back("back")
    assert core.tick(observation, GOAL, 0.0).command is not None


def test_a_hand_can_be_handed_over_before_activation_and_taken_back(core: ControllerCore) -> None:
    core.leave("deactivated")
    assert core.safety.hand_over("operator")
    assert not core.safety.hand_over("another")
    core.reset(0)
    assert (core.safety.state, core.safety.reason) == (SafetyState.HANDED_OVER, "operator")
    core.leave("deactivated")
    assert core.safety.take_back("back")
    assert core.safety.state is SafetyState.INACTIVE


def test_a_stop_cleared_while_inactive_leaves_it_inactive(core: ControllerCore) -> None:
    core.stop("e-stop")
    core.leave("deactivated")
    assert core.safety.clear_stop("by hand")
    assert core.safety.state is SafetyState.INACTIVE
    assert core.tick(Observation(np.zeros(8), 0.0), GOAL, 0.0).command is None
