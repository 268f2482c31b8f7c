# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Commands at any rate become one command for each control period."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbrl_controller.contract.contract import RobotContract, parse_contract
from mbrl_controller.episodes import ros_messages
from mbrl_controller.episodes.command_intervals import PERIOD_TOLERANCE, command_intervals
from mbrl_controller.episodes.command_stream import DOUBTFUL, CommandStream, control_periods
from mbrl_controller.episodes.time_series import TimeSeries

PERIOD = 100_000_000  # ns
REACH = np.array([0.3])
ZERO = 10_000_000_000


def stream(times: list[float], values: list[float]) -> TimeSeries:
    """Commands `values` of one joint at `times` (control periods)."""
    return TimeSeries(ZERO + np.round(np.array(times) * PERIOD).astype(np.int64), np.array(values, float)[:, None])


def cut(commands: TimeSeries, begin: float = 0.0, end: float = 10.0):
    at = [ZERO + round(t * PERIOD) for t in (begin, end)]
    return control_periods(commands, *at, PERIOD, REACH)


def in_periods(ticks: TimeSeries) -> list[float]:
    return ((ticks.stamps - ZERO) / PERIOD).tolist()


def test_commands_at_the_control_rate_are_the_periods_whatever_their_jitter():
    jitter = np.random.default_rng(0).uniform(-0.09, 0.09, 10)
    commands = stream((np.arange(10) + jitter).tolist(), np.linspace(0, 0.5, 10).tolist())
    ticks, doubtful = cut(commands, begin=-1)
    assert ticks.stamps.tolist() == commands.stamps.tolist()
    np.testing.assert_array_equal(ticks.values, commands.values)
    assert not doubtful


def test_a_command_holds_until_the_next_and_repeats_of_it_are_none():
    ticks, doubtful = cut(stream([0.0, 0.3, 0.7, 4.0], [0.1, 0.1, 0.1, 0.9]), end=6)
    assert in_periods(ticks) == [0, 1, 2, 3, 4, 5]
    assert ticks.values[:, 0].tolist() == [0.1] * 4 + [0.9] * 2
    assert not doubtful


def test_a_slow_command_begins_a_period_and_the_rest_before_it_is_left_out():
    ticks, doubtful = cut(stream([0.0, 2.5], [0.0, 1.0]), end=4.5)
    assert in_periods(ticks) == [0, 1, 2, 2.5, 3.5]
    assert ticks.values[:, 0].tolist() == [0, 0, 0, 1, 1]
    assert not doubtful
    intervals = command_intervals(ticks.stamps, ZERO, ZERO + round(4.5 * PERIOD), PERIOD)
    assert intervals.index.tolist() == [0, 1, 3, 4]
    assert intervals.skipped == {"commands not one period apart": 1}


def test_of_a_fast_stream_a_period_has_the_command_at_its_middle():
    times = np.arange(0, 3, 0.1)
    ticks, doubtful = cut(stream(times.tolist(), (0.2 * times).tolist()), end=3)
    assert in_periods(ticks) == [0, 1, 2]
    np.testing.assert_allclose(ticks.values[:, 0], [0.1, 0.3, 0.5])
    assert not doubtful


def test_a_period_in_which_the_command_goes_further_than_the_hand_may_is_doubtful():
    ticks, doubtful = cut(stream([0.0, 1.0, 1.4, 2.4], [0.0, 0.1, 1.0, 1.0]), end=4)
    assert in_periods(ticks) == [0, 1, 2, 3]
    assert [e.reason for e in doubtful] == [DOUBTFUL]
    assert (doubtful[0].begin - ZERO) // PERIOD == 1
    assert (doubtful[0].end - ZERO) // PERIOD == 1  # and not the neighbours


def test_a_command_from_before_the_episode_is_in_force_at_its_begin():
    ticks, _ = cut(stream([-7.3], [0.4]), begin=0, end=3)
    assert in_periods(ticks) == [0, 1, 2]
    assert (ticks.values == 0.4).all()


@pytest.mark.parametrize("times", [[], [10.0], [12.0]])
def test_without_a_command_in_time_there_is_no_period(times):
    ticks, doubtful = cut(stream(times, [0.0] * len(times)))
    assert len(ticks) == 0
    assert not doubtful


@given(
    gaps=st.lists(st.integers(1, 5 * PERIOD), min_size=1, max_size=40),
    seed=st.integers(0, 99),
    begin=st.floats(-3, 3),
)
def test_each_period_has_a_command_that_was_in_force_in_it(gaps, seed, begin):
    stamps = ZERO + np.cumsum(gaps)
    values = np.random.default_rng(seed).uniform(-1, 1, (len(gaps), 1))
    ticks, doubtful = cut(TimeSeries(stamps, values), begin=begin, end=20.0)
    end = ZERO + 20 * PERIOD
    assert (np.diff(ticks.stamps) > 0).all()
    assert (np.diff(ticks.stamps) <= (1 + PERIOD_TOLERANCE) * PERIOD + 1).all()
    if len(ticks):
        assert ticks.stamps[0] >= max(ZERO + round(begin * PERIOD), stamps[0])
        assert ticks.stamps[-1] < end
    reasons = {(e.begin, e.end) for e in doubtful}
    for tick, value, following in zip(ticks.stamps, ticks.values, [*ticks.stamps[1:], end], strict=True):
        in_force = values[(stamps < following) & (np.append(stamps[1:], end) > tick)]
        near = np.abs(in_force - value).max(initial=0.0) <= REACH[0] + 1e-9
        if following - tick >= PERIOD * (1 - PERIOD_TOLERANCE):
            assert value in in_force
        assert near or (tick + 1, following - 1) in reasons


# --- messages -------------------------------------------------------------------------------------------------------

HAND = """
format_version: 2
robot: two
task: valve
control_period_s: 0.1
state:
  - {topic: joint_states, type: sensor_msgs/msg/JointState, fields: [position, velocity], joints: [a, b, valve]}
command:
  TOPICS
  joints:
    - {name: a, lower: -1.0, upper: 1.0, neutral: 0.0, max_rate: 3.0}
    - {name: b, lower: -1.0, upper: 1.0, neutral: 0.0, max_rate: 3.0}
"""
ONE = "topic: commands\n  type: {}"
TWO = """topics:
    - {topic: commands/a, type: sensor_msgs/msg/JointState, joints: [a]}
    - {topic: commands/b, type: std_msgs/msg/Float64MultiArray, joints: [b]}"""


def contract(topics: str) -> RobotContract:
    return parse_contract(HAND.replace("TOPICS", topics))


def test_unstamped_messages_count_from_when_they_were_logged_and_others_by_their_stamp():
    arrays = CommandStream(contract(ONE.format("std_msgs/msg/Float64MultiArray")))
    assert arrays.add("commands", ros_messages.multi_array([0.1, 0.2]), 5)
    assert arrays.build()[0].stamps.tolist() == [5]
    states = CommandStream(contract(ONE.format("sensor_msgs/msg/JointState")))
    assert states.add("commands", ros_messages.joint_state(["b", "a"], [0.2, 0.1], 7), 5)
    assert states.add("commands", ros_messages.joint_state(["b", "a"], [0.2, 0.1], 0), 9)
    assert states.build()[0].stamps.tolist() == [7, 9]
    assert states.build()[0].values.tolist() == [[0.1, 0.2]] * 2


def test_the_points_of_a_trajectory_follow_each_other_until_the_next_trajectory():
    trajectories = CommandStream(contract(ONE.format("trajectory_msgs/msg/JointTrajectory")))
    three = np.array([[0.1, 0.1], [0.2, 0.2], [0.3, 0.3]])
    assert trajectories.add("commands", ros_messages.trajectory(["a", "b"], three, [0.1, 0.2, 0.3], 0), ZERO)
    assert trajectories.add("commands", ros_messages.trajectory(["a", "b"], -three[:1], [0.1], 0), ZERO + 150_000_000)
    built, _ = trajectories.build()
    assert (built.stamps - ZERO).tolist() == [0, 100_000_000, 150_000_000]
    assert built.values[:, 0].tolist() == [0.1, 0.2, -0.1]


def test_a_trajectory_that_is_interpolated_for_long_is_refused_and_counted():
    trajectories = CommandStream(contract(ONE.format("trajectory_msgs/msg/JointTrajectory")))
    assert not trajectories.add("commands", ros_messages.trajectory(["a", "b"], np.zeros((1, 2)), [2.0], 0), ZERO)
    built, rejected = trajectories.build()
    assert not len(built)
    assert ["two control periods" in reason for reason in rejected] == [True]


def test_topics_are_joined_and_a_joint_keeps_its_target():
    both = CommandStream(contract(TWO))
    assert both.add("commands/a", ros_messages.joint_state(["a"], [0.5], 1), 1)
    assert both.add("commands/b", ros_messages.multi_array([-0.5]), 3)
    assert both.add("commands/a", ros_messages.joint_state(["a"], [0.6], 8), 8)
    assert both.build()[0].stamps.tolist() == [3, 8]
    assert both.build()[0].values.tolist() == [[0.5, -0.5], [0.6, -0.5]]


def test_a_joint_that_nobody_commands_is_named():
    both = CommandStream(contract(TWO))
    both.add("commands/a", ros_messages.joint_state(["a"], [0.5], 1), 1)
    built, rejected = both.build()
    assert not len(built)
    assert rejected == {"command: never heard for b": 1}


def test_a_message_that_cannot_be_read_is_counted_by_its_reason():
    arrays = CommandStream(contract(ONE.format("std_msgs/msg/Float64MultiArray")))
    for _ in range(3):
        assert not arrays.add("commands", ros_messages.multi_array([0.1]), 5)
    assert list(arrays.build()[1].values()) == [3]


@pytest.mark.parametrize("late", [-3600, -2, 2, 3600])
def test_a_command_that_another_clock_stamped_is_refused_and_counted(late):
    """By its stamp, the last one would have been in force in the whole episode."""
    states = CommandStream(contract(ONE.format("sensor_msgs/msg/JointState")))
    sent = 10_000 * ros_messages.NANO
    assert not states.add("commands", ros_messages.joint_state(["a", "b"], [0.1, 0.2], sent), sent + late * 10**9)
    built, rejected = states.build()
    assert not len(built)
    assert list(rejected.values()) == [1]
