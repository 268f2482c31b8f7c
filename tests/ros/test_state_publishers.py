# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""One publisher a state: who counts, and for how long, by messages' numbers and by what discovery knows."""

from __future__ import annotations

import uuid
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("rclpy")

from mbrl_controller.contract.sources import JointSource
from mbrl_controller.nodes import qos
from mbrl_controller.nodes.state_publishers import StatePublishers

pytestmark = pytest.mark.ros


@pytest.fixture
def watch(ros: Any) -> Any:
    """Makes one of a topic that nobody else uses; `matched` is what its subscription is told."""

    def make(publishers: str = "one") -> Any:
        topic = f"states_{uuid.uuid4().hex[:8]}"
        source = JointSource(topic=topic, type="sensor_msgs/msg/JointState", joints=("J0",), publishers=publishers)
        made = StatePublishers(ros.node, source, qos.SENSOR)
        made.subscription = SimpleNamespace(get_publisher_count=lambda: made.matched)
        made.matched = 1
        return made

    return make


def hear(watched: Any, start: int, first: float, last: float) -> int:
    """Messages at 100 Hz from `first` to `last` (s), numbered from `start`; the next number."""
    for i in range(round(100 * (last - first))):
        watched.hear(start + i, first + 0.01 * i)
    return start + round(100 * (last - first))


def test_one_publisher_is_believed_whatever_is_lost(watch: Any) -> None:
    watched = watch()
    hear(watched, 1, 0.0, 1.0)
    hear(watched, 500, 1.0, 2.0)
    assert watched.dispute(2.0) == ""


def test_two_that_are_heard_are_disputed_for_as_long_as_they_are(watch: Any) -> None:
    watched = watch()
    number = hear(watched, 1000, 0.0, 5.0)
    assert watched.dispute(5.0) == ""
    watched.matched = 2
    assert f"{watched.topic} has 2 publishers" in watched.dispute(5.01)
    for i in range(300):
        watched.hear(number + i, 5.0 + 0.01 * i)
        if i % 10 == 0:
            watched.hear(1 + i // 10, 5.0 + 0.01 * i)
    assert "publishers: several" in watched.dispute(8.0)
    watched.matched = 1
    assert watched.dispute(8.01) == ""


def test_a_driver_that_took_the_place_of_a_killed_one_is_believed_a_second_later(watch: Any) -> None:
    """Discovery knows the killed one for some 20 s."""
    watched = watch()
    hear(watched, 1, 0.0, 5.0)
    assert watched.dispute(5.0) == ""
    watched.matched = 2
    hear(watched, 1, 7.0, 7.5)
    assert watched.dispute(7.5) != ""
    hear(watched, 51, 7.5, 9.0)
    assert watched.dispute(9.0) == ""
    assert "one more may begin to be heard" in watched.idle("")


def test_where_messages_have_no_numbers_all_that_discovery_knows_count(watch: Any) -> None:
    watched = watch()
    watched.hear(None, 1.0)
    assert watched.dispute(1.0) == ""
    watched.matched = 2
    assert watched.dispute(2.0) != ""
    assert watched.dispute(100.0) != ""


def test_a_contract_may_allow_several(watch: Any) -> None:
    watched = watch("several")
    watched.matched = 2
    hear(watched, 1000, 0.0, 1.0)
    hear(watched, 1, 0.0, 1.0)
    assert watched.dispute(1.0) == ""
    assert watched.idle("") == ""
