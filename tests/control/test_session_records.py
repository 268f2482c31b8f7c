# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What is recorded of an intervention: every field of its step; when the safety state changed, from what, and why."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from mbrl_controller.control.doubt import Doubt
from mbrl_controller.control.safety import SafetyState
from mbrl_controller.control.steps import Step

from .test_session import PERIOD, Bench

S = SafetyState
BEGIN = 5.0  # s, of the first step
NOW = 9.25  # s, of what follows


def running(**config: Any) -> Bench:
    """A session in its first episode, whose stamps, numbers and epochs all differ from 0 and from one another."""
    bench = Bench(**config)
    bench.run(BEGIN - 1.0, 2)
    bench.session.reset(BEGIN - 0.5)
    bench.run(BEGIN, 4)
    bench.sent.clear()
    return bench


def changes(bench: Bench) -> list[tuple[float, SafetyState, SafetyState, str]]:
    """The changes of the safety state after `running`."""
    return [(t.time, t.before, t.after, t.reason) for t in bench.core.safety.transitions if t.time > BEGIN + 3 * PERIOD]


def ends(step: Step) -> list[tuple[str, int, float, str, str]]:
    return [(e.event, e.episode, e.stamp, e.reason, e.model_version) for e in step.events]


def check(step: Step, *, reason: str, state: SafetyState, time: float, observed: bool, stamp: float = NOW) -> None:
    assert step.stamp == stamp
    assert step.episode == 1
    assert step.episode_time == pytest.approx(time, nan_ok=True)
    assert (step.tick.reason, step.tick.state) == (reason, state)
    assert (step.observation is not None) == observed
    if step.observation is not None:
        assert step.observation.stamp == BEGIN + 3 * PERIOD


def test_a_stop() -> None:
    bench = running()
    bench.session.stop("a person", NOW)
    (step,) = bench.sent
    check(step, reason="a person", state=S.STOPPED, time=math.nan, observed=True)
    assert ends(step) == [("end", 1, NOW, "stop", "plain")]
    assert step.tick.command is not None
    stopped = [(NOW, S.RUNNING, S.HOLDING, "a person"), (NOW, S.HOLDING, S.STOPPED, "a person")]
    assert changes(bench) == stopped
    bench.session.stop("another", NOW + 1)
    assert bench.core.safety.reason == "a person"
    assert changes(bench) == stopped
    assert ends(bench.sent[-1]) == []


def test_leaving() -> None:
    bench = running()
    bench.session.leave(NOW)
    (step,) = bench.sent
    check(step, reason="deactivated", state=S.INACTIVE, time=math.nan, observed=True)
    assert ends(step) == [("end", 1, NOW, "deactivate", "plain")]
    assert step.tick.command is not None
    assert changes(bench)[-1][0] == NOW
    assert changes(bench)[-1][2:] == (S.INACTIVE, "deactivated")
    again = bench.session.leave(NOW + 1)
    check(again, reason="deactivated", state=S.INACTIVE, time=math.nan, observed=False, stamp=NOW + 1)
    assert again.tick.command is None
    assert len(bench.sent) == 1


def test_a_hand_over_and_the_way_back() -> None:
    bench = running()
    assert bench.session.hand_over("a script", NOW)
    (step,) = bench.sent
    check(step, reason="a script", state=S.HANDED_OVER, time=math.nan, observed=False)
    assert step.tick.command is None
    assert ends(step) == [("end", 1, NOW, "hand-over", "plain")]
    assert not bench.session.hand_over("another", NOW + 1)
    epoch = bench.core.epoch
    assert bench.session.take_back("mine again", NOW + 2)
    assert not bench.session.take_back("once more", NOW + 3)
    assert bench.core.epoch == epoch + 1
    assert changes(bench) == [
        (NOW, S.RUNNING, S.HANDED_OVER, "a script"),
        (NOW + 2, S.HANDED_OVER, S.READY, "mine again"),
    ]
    assert bench.core.safety.last_command is None


def test_a_reset_of_a_stop_within_a_hand_over_leads_back_to_it_and_says_whose_the_hand_is() -> None:
    bench = running()
    bench.session.hand_over("a script", NOW)
    bench.session.stop("a person", NOW + 1)
    assert bench.core.safety.reason == "a person"
    bench.session.reset(NOW + 2)
    assert bench.core.safety.reason == "a script"
    bench.session.stop("a person again", NOW + 3)
    bench.session.take_back("mine", NOW + 4)
    bench.session.reset(NOW + 5)
    assert changes(bench) == [
        (NOW, S.RUNNING, S.HANDED_OVER, "a script"),
        (NOW + 1, S.HANDED_OVER, S.STOPPED, "a person"),
        (NOW + 2, S.STOPPED, S.HANDED_OVER, "a script"),
        (NOW + 3, S.HANDED_OVER, S.STOPPED, "a person again"),
        (NOW + 5, S.STOPPED, S.READY, "reset"),
    ]


def test_a_reset_of_a_stop() -> None:
    bench = running()
    bench.session.stop("a person", NOW)
    events = bench.session.reset(NOW + 1)
    assert events == ()
    assert changes(bench)[-1] == (NOW + 1, S.STOPPED, S.READY, "reset")
    running_again = running()
    (event,) = running_again.session.reset(NOW)
    assert (event.event, event.episode, event.stamp, event.reason) == ("end", 1, NOW, "reset")


@pytest.mark.parametrize("lockstep", [False, True])
def test_a_state_of_several_publishers(lockstep: bool) -> None:
    bench = running(lockstep=lockstep)
    step = bench.session.disputed("two publishers", NOW)
    stamp = BEGIN + 3 * PERIOD if lockstep else NOW  # in lockstep time stands still without measurements
    time = 3 * PERIOD if lockstep else NOW - BEGIN
    check(step, reason="two publishers", state=S.HOLDING, time=time, observed=False, stamp=stamp)
    assert (step.tick.command is None) == lockstep
    assert step.doubt is Doubt.DISPUTED
    assert ends(step) == []
    if not lockstep:
        assert changes(bench) == [(NOW, S.RUNNING, S.HOLDING, "two publishers")]
    assert bench.session.state_problem(NOW, NOW).startswith("no message yet")


def test_nobody_takes_the_commands_within_an_episode() -> None:
    bench = running()
    step = bench.session.unheard("nobody", NOW)
    check(step, reason="nobody", state=S.HOLDING, time=NOW - BEGIN, observed=False)
    assert step.tick.command is None
    assert step.doubt is Doubt.UNHEARD
    assert changes(bench) == [(NOW, S.RUNNING, S.HOLDING, "nobody")]
    assert bench.core.safety.last_command is None


def test_nobody_takes_the_commands_before_an_episode() -> None:
    bench = Bench()
    step = bench.session.unheard("nobody", NOW)
    assert (step.tick.command, step.tick.state, step.tick.reason) == (None, S.READY, "nobody")
    assert math.isnan(step.episode_time)
    assert bench.core.safety.reason == "nobody"


@pytest.mark.parametrize("lockstep", [False, True])
def test_a_clock_that_goes_back(lockstep: bool) -> None:
    bench = running(lockstep=lockstep)
    if lockstep:
        bench.inputs.reset()
        bench.feed(BEGIN - 3.0)
    step = bench.session.hold("something", BEGIN - 3.0)
    assert step.tick.reason == "episode over: the clock went back"
    assert (step.tick.command is None) == lockstep
    assert step.stamp == BEGIN - 3.0
    assert ends(step) == [("end", 1, BEGIN + 3 * PERIOD, "the clock went back", "plain")]
    assert bench.session.last_sent is step


def test_a_hold() -> None:
    bench = running()
    step = bench.session.hold("something", NOW)
    check(step, reason="something", state=S.HOLDING, time=NOW - BEGIN, observed=False)
    assert step.tick.command is not None
    assert changes(bench) == [(NOW, S.RUNNING, S.HOLDING, "something")]


def test_the_safe_command_of_a_stop_heeds_where_the_joints_are() -> None:
    """They were pushed away since the last command: from there it would be a jump."""
    for act in (lambda bench: bench.session.stop("a person", NOW), lambda bench: bench.session.leave(NOW)):
        bench = running()
        bench.feed(NOW - PERIOD, position=0.9)
        bench.step(NOW - PERIOD)
        act(bench)
        assert bench.sent[-1].tick.command is None
        assert np.isfinite(bench.sent[0].observation.state).all()  # type: ignore[union-attr]
