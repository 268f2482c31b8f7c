# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What is replayed between a measurement and a command's effect."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbrl_controller.control.config import MAX_DELAY_S
from mbrl_controller.control.core import ControllerCore
from mbrl_controller.control.delay import Delay, Replay, SentCommands, commands_in_force, estimate, predict
from mbrl_controller.control.state_input import StateInput
from mbrl_controller.control.steps import NoModel, Observation
from mbrl_controller.planning.catalog import make_planner
from mbrl_controller.tasks.base import constant_goal
from mbrl_controller.tasks.orientation import IDENTITY, about, angle_between, compose, orthonormal
from mbrl_controller.tasks.spaces import AXES, VectorSpec

from .conftest import PlainModel, make_core
from .test_session import joint_state

PERIOD = 0.05
NOW = 3.0
GOAL = constant_goal(np.array([1.0]))
any_float = st.floats(allow_nan=True, allow_infinity=True)
delays = st.floats(0, MAX_DELAY_S)


def ticks(count: int = 60, jitter: np.ndarray | None = None) -> SentCommands:
    """Command k was sent k periods before NOW; k = 1 last."""
    sent = SentCommands()
    for k in range(count, 0, -1):
        sent.add(NOW - k * PERIOD + (0.0 if jitter is None else jitter[k - 1]), np.array([float(k)]))
    return sent


def numbers(replay: Replay) -> list[float]:
    first = [] if replay.first is None else [float(replay.first[0])]
    return first + [float(command[0]) for command in replay.whole]


def periods(replay: Replay) -> float:
    return replay.fraction + len(replay.whole)


@given(any_float, any_float, any_float)
def test_an_estimate_is_a_time_whatever_the_stamps_say(given_s: float, age: float, execution: float) -> None:
    for kind in ("none", "given", "measured"):
        delay = estimate(kind, given_s, age, execution)  # type: ignore[arg-type]
        assert 0 <= delay.lead <= delay.total <= MAX_DELAY_S
    assert estimate("none", given_s, age, execution) == Delay()
    if not age > 0:  # no number, or from the future
        assert estimate("measured", 0.1, age) == estimate("given", 0.1) == Delay(0.1, 0.1)


def test_what_is_measured_adds_up() -> None:
    assert estimate("given", 0.03, 0.04, 0.02) == Delay(0.03, 0.03)
    measured = estimate("measured", 0.03, 0.04, 0.02)
    assert (measured.total, measured.lead) == (pytest.approx(0.09), pytest.approx(0.05))


@given(st.integers(0, 39))
def test_whole_periods_replay_exactly_the_commands_in_flight(count: int) -> None:
    replay = commands_in_force(ticks(), NOW, count * PERIOD, PERIOD)
    assert replay.first is None
    assert numbers(replay) == [float(k) for k in range(count, 0, -1)]


@given(st.floats(0.01, 39.9), st.lists(st.floats(-0.2, 0.2), min_size=60, max_size=60))
def test_of_the_oldest_command_a_fraction_is_replayed_however_ticks_jitter(count: float, jitter: list) -> None:
    whole = int(count)
    fraction = min(max(count - whole, 0.01), 0.99)
    replay = commands_in_force(ticks(jitter=PERIOD * np.array(jitter)), NOW, (whole + fraction) * PERIOD, PERIOD)
    assert numbers(replay) == [float(k) for k in range(whole + 1, 0, -1)]
    assert replay.fraction == pytest.approx(fraction)


@given(delays, delays)
def test_it_reaches_as_far_as_the_delay_and_no_further(one: float, two: float) -> None:
    short, long = (commands_in_force(ticks(), NOW, d, PERIOD) for d in sorted((one, two)))
    assert periods(short) <= periods(long)
    assert periods(long) == pytest.approx(max(one, two) / PERIOD, abs=2e-3)
    assert numbers(short) == numbers(long)[-len(numbers(short)) or len(numbers(long)) :]


@given(delays, st.lists(st.sampled_from([0.0, -0.002, -0.004]), max_size=5))
def test_superseded_commands_are_not_replayed(delay: float, offsets: list[float]) -> None:
    sent = SentCommands()
    for k in range(60, 0, -1):
        time = NOW - k * PERIOD
        for offset in sorted(offsets):
            sent.add(time + offset, np.array([-1.0]))
        sent.add(time, np.array([float(k)]))
    assert numbers(commands_in_force(sent, NOW, delay, PERIOD)) == numbers(
        commands_in_force(ticks(), NOW, delay, PERIOD)
    )


def test_a_missed_tick_leaves_its_command_in_force() -> None:
    sent = SentCommands()
    for k in (5, 4, 2, 1):
        sent.add(NOW - k * PERIOD, np.array([float(k)]))
    assert numbers(commands_in_force(sent, NOW, 4 * PERIOD, PERIOD)) == [4, 4, 2, 1]


def test_a_clock_that_goes_back_takes_what_was_sent_after_it_along() -> None:
    sent = ticks()
    sent.add(1.0, np.array([-7.0]))
    assert sent.at(2.9) == -7.0
    assert sent.at(0.99) == 41.0  # sent 41 periods before 3 s


def test_before_the_first_command_the_hand_rests() -> None:
    assert numbers(commands_in_force(ticks(2), NOW, 7.5 * PERIOD, PERIOD)) == [2, 1]
    assert commands_in_force(SentCommands(), NOW, 1.0, PERIOD) == Replay()


class Turning:
    """The one joint of a turntable moves by the command, each member by a little more."""

    spec = VectorSpec(("table.position",), ("rad",), periodic=(0,))

    def rollout(self, state: np.ndarray, actions: np.ndarray) -> np.ndarray:
        steps = np.cumsum(actions, axis=1)
        return np.stack([state + steps * gain for gain in (0.9, 1.1)])


@given(st.floats(0, 39), st.floats(-3, 3))
def test_the_prediction_is_linear_between_periods(count: float, start: float) -> None:
    replay = commands_in_force(ticks(), NOW, count * PERIOD, PERIOD)
    whole = sum(range(1, len(replay.whole) + 1))
    first = 0.0 if replay.first is None else float(replay.first[0])
    part = replay.fraction * ((first + math.pi) % (2 * math.pi) - math.pi)  # a turntable's change is the shorter way
    assert predict(Turning(), Turning.spec, np.array([start]), replay) == pytest.approx(start + part + whole)


@given(st.lists(st.floats(0, 1.9), min_size=3, max_size=3), st.lists(st.floats(-3, 3), min_size=3, max_size=3))
def test_entries_of_different_age_are_each_taken_to_the_same_moment(ages: list[float], start: list[float]) -> None:
    """Where all move by the same command at a steady speed, they end where each would alone."""
    sent = SentCommands()
    for k in range(60, 0, -1):
        sent.add(NOW - k * PERIOD, np.full(3, 0.5))
    spec = VectorSpec(("a.position", "b.position", "c.position"), ("rad",) * 3)
    replay = commands_in_force(sent, NOW, np.array(ages), PERIOD)
    moved = predict(Turning(), spec, np.array(start), replay) - start
    np.testing.assert_allclose(moved, 0.5 * np.array(ages) / PERIOD, atol=1e-3)


def test_a_late_camera_does_not_take_new_joints_along() -> None:
    inputs = StateInput(make_core().contract)
    inputs.receive("joint_states", joint_state(["J0", "J1", "J2"], [0.1] * 3, 1.0), 1.0)
    inputs.receive("valve/joint_states", joint_state(["valve"], [0.0], 0.97), 1.0)
    observation = inputs.observation(None, None)
    assert observation.stamp == pytest.approx(0.97)
    np.testing.assert_allclose(observation.newer, [0.03] * 6 + [0.0] * 2, atol=1e-9)
    core = make_core(delay="measured")
    core.hold("", Observation(np.zeros(8), 0.9), 0.95)
    replay = core.prepare(observation, GOAL, 0.0, 1.0).replay
    np.testing.assert_allclose(replay.fraction, [0.0] * 6 + [0.6] * 2, atol=1e-6)
    assert core.prepare(observation, GOAL, 0.0, 0.9).replay == Replay()  # all of it is from the future


def test_without_a_delay_the_state_is_the_one_measured() -> None:
    state = np.array([0.3])
    assert predict(Turning(), Turning.spec, state, commands_in_force(ticks(), NOW, 0.0, PERIOD)) is state


def test_the_core_plans_from_where_the_commands_in_flight_lead() -> None:
    """A state one period and a half old, in a hand whose joints go where they are told."""
    core = make_core(model=PlainModel(), delay="measured", delay_s=0.5 * PERIOD)
    commands = []
    for k in range(5):
        now = k * PERIOD
        request = core.prepare(Observation(np.zeros(8), now - PERIOD), GOAL, now, now)
        expected = [command.tolist() for command in commands[-2:]]
        got = [] if request.replay.first is None else [request.replay.first.tolist()]
        assert got + [command.tolist() for command in request.replay.whole] == expected
        assert request.delay.lead == pytest.approx(0.5 * PERIOD)
        tick = core.conclude(request, core.solve(request), now)
        commands.append(tick.command)
    old = Observation(np.zeros(8), now)
    assert periods(core.prepare(old, GOAL, 0.0, now + PERIOD).replay) == pytest.approx(1.5)
    core.reset(1)
    assert periods(core.prepare(old, GOAL, 0.0, now + PERIOD).replay) == 0.0


def test_the_goal_is_that_of_the_moment_the_command_acts() -> None:
    asked: list[np.ndarray] = []

    class Moving:
        def at(self, times: np.ndarray) -> np.ndarray:
            asked.append(np.asarray(times))
            return np.zeros((*np.shape(times), 1))

    core = make_core(delay="measured", delay_s=0.02)
    core.prepare(Observation(np.zeros(8), 0.9), Moving(), 5.0, now=1.0, execution=0.01)
    np.testing.assert_allclose(asked[-1], 5.03 + PERIOD * np.arange(1, 5))


def test_the_command_in_force_is_the_last_one_sent_up_to_a_time() -> None:
    sent = SentCommands()
    assert sent.at(1.0) is None
    sent.add(1.0, np.array([1.0]))
    sent.add(2.0, np.array([2.0]))
    assert sent.at(0.999) is None
    assert sent.at(1.0) == sent.at(1.999) == 1.0
    assert sent.at(2.0) == sent.at(99.0) == 2.0
    sent.add(2.0, np.array([3.0]))  # at the same time: in its place
    assert sent.at(2.0) == 3.0
    assert sent.at(1.5) == 1.0
    sent.clear()
    assert sent.at(99.0) is None


def test_rounding_of_times_makes_no_command_of_its_own() -> None:
    for off in (-9e-4, -1e-9, 1e-9, 9e-4):
        assert numbers(commands_in_force(ticks(), NOW, (3 + off) * PERIOD, PERIOD)) == [3, 2, 1]
    assert numbers(commands_in_force(ticks(), NOW, 3.002 * PERIOD, PERIOD)) == [4, 3, 2, 1]
    replay = commands_in_force(ticks(), NOW, 2.998 * PERIOD, PERIOD)
    assert (numbers(replay), replay.fraction) == ([3, 2, 1], pytest.approx(0.998))


def test_a_part_of_the_first_change_and_all_of_the_others_are_taken() -> None:
    """The turntable's members go 0.9 and 1.1 times as far as told."""
    first, whole = np.array([0.4]), (np.array([0.1]), np.array([0.2]))
    start = np.array([0.5])
    assert predict(Turning(), Turning.spec, start, Replay(first, 0.25)) == pytest.approx([0.6])
    assert predict(Turning(), Turning.spec, start, Replay(None, 0.0, whole)) == pytest.approx([0.8])
    assert predict(Turning(), Turning.spec, start, Replay(first, 0.25, whole)) == pytest.approx([0.9])


def test_times_beyond_the_longest_are_the_longest() -> None:
    assert MAX_DELAY_S == 2.0
    assert estimate("measured", 0.5, 99.0, 0.25) == Delay(2.0, 0.75)
    assert estimate("measured", 99.0, 0.1, 99.0) == Delay(2.0, 2.0)
    assert estimate("given", math.inf) == Delay(2.0, 2.0)
    assert estimate("given", -0.1, 1.0, 1.0) == Delay()


def test_a_command_counts_in_its_period_if_it_was_sent_before_the_middle() -> None:
    for late, expected in ((0.45, [3, 2, 1]), (0.55, [3, 3, 1])):
        sent = SentCommands()
        for k in range(5, 0, -1):
            sent.add(NOW - k * PERIOD + (late * PERIOD if k == 2 else 0.0), np.array([float(k)]))
        assert numbers(commands_in_force(sent, NOW, 3 * PERIOD, PERIOD)) == expected


def test_no_entry_is_taken_back_in_time() -> None:
    """Rounding makes the newest a little older than its whole periods; the others have a part of one more."""
    replay = commands_in_force(ticks(), NOW, np.array([3 - 9e-4, 3.5]) * PERIOD, PERIOD)
    np.testing.assert_allclose(replay.fraction, [0.0, 0.5], atol=1e-9)
    assert replay.fraction[0] == 0.0


def test_a_planner_without_a_model_bridges_no_delay_and_asks_no_model() -> None:
    core = make_core(delay="measured", delay_s=0.1)
    core = ControllerCore(core.contract, NoModel(), make_planner("random", 3), core.config)
    state = np.array([0.0, 0.1, 0.2, *[0.0] * 5])
    for k in range(4):
        now = k * PERIOD
        tick = core.tick(Observation(state, now - 0.02), GOAL, now, now=now)
        assert tick.request is not None
        assert tick.request.delay == Delay()
        assert tick.request.replay.whole == ()
        assert tick.solution is not None
        assert math.isnan(tick.solution.disagreement)
        assert tick.source == "plan"


class Spinning:
    """Two members that turn an object about the vertical by half of the command, one more and one less."""

    def rollout(self, state: np.ndarray, actions: np.ndarray) -> np.ndarray:
        states = np.zeros((2, 1, actions.shape[1], len(state)))
        for member, factor in enumerate((0.4, 0.6)):
            axes = state
            for step, action in enumerate(actions[0]):
                axes = compose(about(np.array([0.0, 0.0, 1.0]), factor * action[0]), axes)
                states[member, 0, step] = axes
        return states


@pytest.mark.parametrize("replay", [Replay(np.array([0.8]), 0.25), Replay(np.array([0.8]), 0.25, (np.array([0.6]),))])
def test_orientations_stay_proper_where_they_are_averaged_or_cut(replay: Replay) -> None:
    spec = VectorSpec(tuple(f"cube.orientation.{axis}" for axis in AXES), ("",) * 6)
    found = predict(Spinning(), spec, IDENTITY, replay)
    assert np.allclose(found, orthonormal(found), atol=1e-12)
    expected = 0.25 * 0.5 * 0.8 + sum(0.5 * float(command[0]) for command in replay.whole)
    assert angle_between(IDENTITY, found) == pytest.approx(expected, abs=0.01)
