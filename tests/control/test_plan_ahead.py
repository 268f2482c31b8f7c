# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A driver that is sent the next points of the plan: within all limits, and stopped where nothing more is sent."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbrl_controller.contract.contract import RobotContract, parse_contract
from mbrl_controller.control.config import SafetyConfig
from mbrl_controller.control.core import ControllerCore
from mbrl_controller.control.plan_ahead import PlanAhead
from mbrl_controller.control.safety import SafetyState
from mbrl_controller.control.steps import Tick

from .conftest import CONTRACT, PlainModel, make_core
from .test_core import FAR, PERIOD, Hand
from .test_safety import event, play
from .test_session import Bench

POINTS = 3


def planning_contract(safe: str = "hold") -> RobotContract:
    text = CONTRACT.replace("format_version: 1", "format_version: 2").replace("SAFE", safe)
    old = "type: std_msgs/msg/Float64MultiArray"
    assert old in text
    return parse_contract(
        text.replace(old, f"type: trajectory_msgs/msg/JointTrajectory\n  send: {{plan: {POINTS}}}", 1)
    )


def planning_core(safe: str = "hold", ramp: float = 0.0) -> ControllerCore:
    core = make_core(planning_contract(safe), PlainModel(), SafetyConfig(ramp_s=ramp))
    core.plan_points = core.contract.plan_points  # as a session does
    return core


def planning_hand(ramp: float = 0.0) -> Hand:
    return Hand(planning_core(ramp=ramp))


def all_points(tick: Tick) -> np.ndarray:
    """[n, A] as sent."""
    assert tick.command is not None
    return tick.command[None] if tick.following is None else np.concatenate([tick.command[None], tick.following])


@given(st.lists(event, max_size=20), st.sampled_from(["hold", "neutral"]), st.sampled_from([0.0, 0.12]))
def test_no_point_leaves_the_limits(events: list[tuple[str, Any]], safe: str, ramp: float) -> None:
    core = planning_core(safe, ramp)
    action = core.contract.action
    reach = action.max_rate * action.period + 1e-9
    sent: np.ndarray | None = None
    for kind, value in events:
        tick = play(core, kind, value, PlainModel)
        if not isinstance(tick, Tick):
            continue
        if tick.stop_at is not None:
            assert tick.command is None
            assert any(np.array_equal(tick.stop_at, point) for point in sent), "a driver stops at a point that it has"
        if tick.command is None:
            sent = None
            continue
        sent = all_points(tick)
        assert len(sent) <= POINTS
        assert len(sent) == 1 or tick.source in ("plan", "previous_plan")
        assert (action.lower <= sent).all()
        assert (sent <= action.upper).all()
        assert (np.abs(np.diff(sent, axis=0)) <= reach).all()


def test_the_plans_next_points_are_sent_and_gain_speed_as_commands_do() -> None:
    hand = planning_hand(ramp=4 * PERIOD)
    reach = hand.core.contract.action.max_rate * PERIOD
    moves = np.diff(np.concatenate([[hand.position], all_points(hand.tick(target=FAR))]), axis=0)
    for found, share in zip(moves / reach, (0.25, 0.5, 0.75), strict=True):
        assert found == pytest.approx([share] * 3)


def test_a_late_planner_sends_the_rest_of_the_plan_before() -> None:
    hand = planning_hand()
    assert len(all_points(hand.tick(target=FAR))) == 3  # of a horizon of 4
    late = [hand.tick(late=True) for _ in range(2)]
    assert [(tick.source, len(all_points(tick))) for tick in late] == [("previous_plan", 3), ("previous_plan", 2)]
    held = hand.tick(late=True)
    assert (held.source, held.following, held.stop_at) == ("safe", None, None)


def test_where_nothing_is_sent_the_driver_stops_at_the_point_in_force() -> None:
    hand = planning_hand()
    sent = all_points(hand.tick(target=FAR))
    for periods, point in ((1, 0), (2, 1), (3, None), (9, None)):
        hand = planning_hand()
        hand.tick(target=FAR)
        tick = hand.core.send_nothing("held up", hand.now + periods * PERIOD)
        assert tick.command is None
        assert (None if tick.stop_at is None else tick.stop_at.tolist()) == (
            None if point is None else sent[point].tolist()
        )
        assert hand.core.send_nothing("still", hand.now + periods * PERIOD).stop_at is None, "once"


def test_a_hand_that_went_on_with_the_plan_is_where_it_was_told_to_be() -> None:
    """Without a command for three periods at full speed it would else be too far from its last one."""
    hand = planning_hand()
    for _ in range(2):
        sent = all_points(hand.tick(target=FAR))
    hand.ticks += 3
    hand.position = sent[-1]
    tick = hand.tick(target=FAR)
    assert tick.source == "plan"
    reach = hand.core.contract.action.max_rate * PERIOD
    np.testing.assert_allclose(tick.command, np.minimum(sent[-1] + reach, FAR))
    assert [hand.core._sent.at((2 + i) * PERIOD + 1e-6).tolist() for i in range(3)] == sent.tolist()


@pytest.mark.parametrize("safe", ["hold", "neutral"])
def test_a_stop_and_a_hold_are_one_point(safe: str) -> None:
    for intervene in ("stop", "hold", "leave"):
        hand = Hand(planning_core(safe))
        hand.tick(target=FAR)
        tick = getattr(hand.core, intervene)("asked for", hand.observation, hand.now)
        assert tick.command is not None
        assert (tick.following, tick.stop_at) == (None, None)
        assert hand.core.send_nothing("nothing more", hand.now).stop_at is None, "the plan is over"


def test_points_outside_the_limits_are_brought_in_and_none_follows_one_that_is_no_number() -> None:
    safety = planning_hand().core.safety
    assert len(safety.following(np.zeros((2, 3)))) == 0, "nothing was sent before"
    safety.command(np.zeros(3), np.zeros(3))
    points = safety.following(np.array([[9.0] * 3] * 30 + [[np.nan] * 3] + [[0.0] * 3]))
    assert len(points) == 30
    assert points[-1].tolist() == FAR.tolist()


@pytest.mark.parametrize(("asked", "stops"), [(True, True), (False, False)])
def test_whoever_asks_for_the_hand_gets_it_at_rest_and_whoever_takes_it_is_not_disturbed(asked, stops) -> None:
    bench = Bench(contract=planning_contract())
    (first,) = bench.run(1.0, 1)
    assert len(all_points(first.tick)) == POINTS
    assert bench.session.hand_over("someone else", 1.0 + PERIOD, asked=asked)
    told = bench.sent[1:]
    assert [step.tick.command for step in told] == [None] * len(told)
    assert any(step.tick.stop_at is not None for step in told) is stops
    after = len(bench.sent)
    bench.run(1.1, 3)
    assert bench.session.take_back("again", 1.3)
    bench.step(1.35)  # no new state: nothing is sent
    assert all(step.tick.stop_at is None for step in bench.sent[after:])


def test_when_nobody_takes_one_topics_commands_the_others_drivers_stop() -> None:
    bench = Bench(contract=planning_contract())
    (first,) = bench.run(1.0, 1)
    step = bench.session.unheard("nobody takes the commands", 1.0 + PERIOD)
    assert step.tick.command is None
    assert step.tick.stop_at.tolist() == first.tick.command.tolist()
    assert bench.core.safety.state is SafetyState.HOLDING


def test_a_reset_stops_a_plan_whose_end_it_forgot() -> None:
    bench = Bench(contract=planning_contract())
    (first,) = bench.run(1.0, 1)
    bench.session.reset(1.02)
    step = bench.step(1.0 + PERIOD)  # no new state: nothing is sent
    assert step.tick.stop_at.tolist() == first.tick.command.tolist()


def test_in_lockstep_each_state_has_its_one_command() -> None:
    bench = Bench(lockstep=True, contract=planning_contract())
    assert [len(all_points(step.tick)) for step in bench.run(1.0, 3)] == [1, 1, 1]


def test_points_are_in_force_from_when_the_one_before_was_to_be_reached() -> None:
    ahead = PlanAhead(0.1)
    assert ahead.passed(5.0) == []
    assert ahead.stop(5.0) is None
    rows = np.array([[0.0], [1.0], [2.0]])
    ahead.send(1.0, rows[0], rows[1:])
    assert ahead.passed(1.1) == []
    assert [(when, point.tolist()) for when, point in ahead.passed(1.2)] == [(pytest.approx(1.1), [1.0])]
    assert ahead.passed(1.2) == []
    assert ahead.stop(1.0).tolist() == [1.0], "a clock that goes back does not take the driver back"
    ahead.send(1.0, rows[0], rows[1:])
    assert [point.tolist() for _, point in ahead.passed(99.0)] == [[1.0], [2.0]]
    assert ahead.stop(99.0) is None
