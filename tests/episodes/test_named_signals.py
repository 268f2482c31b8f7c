# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A row's numbers on topics with their names, and an episode that reads as if they were not there."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mbrl_controller.contract import ros_types
from mbrl_controller.episodes import ros_messages
from mbrl_controller.episodes.named_signals import encode_float64, signal_messages, signal_topic
from mbrl_controller.episodes.reader import read_episode

from ..viewer_names import foxglove_values, messages, plotjuggler_series

pytest.importorskip("mcap_ros2")


def encoded_row(**values: float) -> bytes:
    return ros_messages.encode(ros_messages.multi_array(list(values.values()), list(values)))


@pytest.mark.parametrize("value", [0.0, -1.5, 1e-300, math.pi])
def test_a_number_is_a_message_that_ros_reads(value: float) -> None:
    assert ros_messages.decode(encode_float64(value), ros_types.FLOAT64).data == value


def test_only_numbers_under_a_name_that_a_topic_can_have_are_spread() -> None:
    data = encoded_row(reward=2.0, plan=math.nan, limit=math.inf, **{"a b": 1.0, "": 1.0, "2nd": 1.0})
    (topic, value), *others = signal_messages("/left/controller/tick", data)
    assert (topic, others) == ("/left/controller/signals/reward", [])
    assert ros_messages.decode(value, ros_types.FLOAT64).data == 2.0


@pytest.mark.parametrize("data", [b"", b"\0\1\0\0", encoded_row(reward=1.0)[:-3]])
def test_bytes_that_are_no_row_give_nothing(data: bytes) -> None:
    assert signal_messages("/controller/tick", data) == []


def test_an_episodes_file_has_the_names_beside_the_row_that_is_read(make, claw) -> None:
    ticks = {"reward": np.arange(20.0), "disagreement": np.full(20, math.nan)}
    made = make(claw, ticks=ticks)
    logged = messages(made.path)
    series = plotjuggler_series(logged)
    assert series["/controller/signals/reward/data"] == list(range(20))
    assert foxglove_values("/controller/signals/reward.data", logged) == list(range(20))
    assert not any("disagreement" in name for name in series)
    assert len(series[f"/joint_states/{claw.action.names[0]}/position"]) == 21
    episode = read_episode(made.path)
    np.testing.assert_array_equal(episode.ticks["reward"], ticks["reward"])
    assert set(episode.ticks) == set(ticks)
    assert signal_topic(episode.info.topics["tick"], "reward") == "/controller/signals/reward"
