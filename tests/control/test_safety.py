"""Whatever happens, what is sent stays within limits and rate, and after a stop nothing is sent."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mbrl_controller.control.core import ControllerCore, Observation
from mbrl_controller.control.safety import ALLOWED, Safety, SafetyConfig, SafetyState
from mbrl_controller.tasks.base import constant_goal

from .conftest import PlainModel, make_contract, make_core

GOAL = constant_goal(np.array([1.0]))
number = st.one_of(st.floats(-3, 3), st.sampled_from([np.nan, np.inf, -np.inf, 1e300]))
state = st.lists(number, min_size=8, max_size=8).map(np.array)
event = st.one_of(
    st.tuples(st.just("tick"), state),
    st.tuples(st.just("late"), state),
    st.tuples(st.just("nan plan"), state),
    st.tuples(st.just("broken model"), state),
    st.tuples(st.just("disagreeing model"), state),
    st.tuples(st.just("hold"), st.one_of(st.none(), state)),
    st.tuples(st.just("stale request"), state),
    st.tuples(st.sampled_from(["reset", "stop", "clear", "leave", "forget", "swap", "exploration"]), st.none()),
)


def play(core: ControllerCore, kind: str, value: Any, model: Any) -> Any:
    """Let `kind` happen; the tick it led to, if any."""
    if kind == "reset":
        return core.reset(1)
    if kind == "clear":
        return core.safety.clear_stop("cleared")
    if kind == "forget":
        return core.safety.forget_command()
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
    disturb = np.full(3, 5.0) if kind == "exploration" else None
    return core.conclude(request, solution, 0.0, disturb)


@settings(deadline=None, max_examples=150)
@given(st.lists(event, max_size=25), st.sampled_from(["hold", "neutral"]))
def test_no_command_leaves_the_limits(events: list[tuple[str, Any]], safe: str) -> None:
    core = make_core(make_contract(safe), PlainModel())
    action = core.contract.action
    reach = action.max_rate * action.period + 1e-9
    for kind, value in events:
        before = core.safety.state
        last = core.safety.last_command
        tick = play(core, kind, value, PlainModel)
        command = getattr(tick, "command", None)
        if before is SafetyState.STOPPED or (before is SafetyState.INACTIVE and kind != "stale request"):
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
        # Rate: from where the joints are measured, else from the command before; a joint that stands outside its
        # limits is brought back to them at once.
        start = position if position is not None and np.isfinite(position).all() else last
        if start is not None:
            inside = np.clip(start, action.lower, action.upper)
            assert (np.abs(command - inside) <= reach).all()


def test_first_reason_for_a_stop_stays(core: ControllerCore) -> None:
    core.stop("e-stop", Observation(np.zeros(8), 0.0))
    core.stop("another")
    assert core.safety.reason == "e-stop"
    assert [t.after for t in core.safety.transitions][-1] is SafetyState.STOPPED


def test_only_clear_stop_leaves_stopped(core: ControllerCore) -> None:
    tick = core.stop("e-stop", Observation(np.zeros(8), 0.0))
    assert tick.source == "safe"
    assert tick.command is not None
    assert ALLOWED[SafetyState.STOPPED] == set()
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
    assert safety.count == 0


def test_disagreement_holds_after_some_plans_unless_switched_off() -> None:
    model = PlainModel(spread=9.0)
    for checked, expected in ((True, SafetyState.HOLDING), (False, SafetyState.RUNNING)):
        core = make_core(model=model, safety=SafetyConfig(check_disagreement=checked))
        for _ in range(3):
            tick = core.tick(Observation(np.zeros(8), 0.0), GOAL, 0.0)
        assert tick.state is expected
        assert ("the ensemble disagrees" in tick.reason) is checked


def test_neutral_is_approached_at_the_rate_limit() -> None:
    core = make_core(make_contract("neutral"))
    position = np.array([0.9, 0.9, -0.9])
    action = core.contract.action
    for _ in range(40):
        command = core.hold("test", Observation(np.concatenate([position, np.zeros(5)]), 0.0)).command
        assert (np.abs(command - position) <= action.max_rate * action.period + 1e-12).all()
        position = command
    np.testing.assert_allclose(position, action.neutral)
