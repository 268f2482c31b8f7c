# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A node that just joined the graph asks for a while who commands already."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

rclpy = pytest.importorskip("rclpy")

from std_msgs.msg import Float64MultiArray

from mbrl_controller.nodes.controller_graph import CommandArbiter

pytestmark = pytest.mark.ros


@pytest.fixture
def arbiter(ros: Any) -> Iterator[CommandArbiter]:
    """Of a node with a commanded topic and none of its own publishers there."""
    node = rclpy.create_node("newcomer", context=ros.context, start_parameter_services=False, enable_rosout=False)
    yield CommandArbiter(node, SimpleNamespace(destinations=[SimpleNamespace(topic="hand/commands")]))  # type: ignore[arg-type]
    node.destroy_node()


def test_whoever_is_discovered_while_it_waits_is_named_at_once(ros: Any, arbiter: CommandArbiter) -> None:
    began = time.monotonic()
    late = threading.Timer(0.2, lambda: ros.node.create_publisher(Float64MultiArray, "hand/commands", 1))
    late.start()
    conflict = arbiter.await_conflict(began + 60.0)
    late.join()
    assert ros.node.get_name() in conflict
    assert time.monotonic() - began < 60.0


def test_alone_it_waits_until_the_time_and_no_longer_asks_when_that_is_past(arbiter: CommandArbiter) -> None:
    until = time.monotonic() + 0.15
    assert arbiter.await_conflict(until) == ""
    assert time.monotonic() >= until
    assert arbiter.await_conflict(until) == ""


def test_without_time_to_wait_it_still_asks(ros: Any, arbiter: CommandArbiter) -> None:
    ros.node.create_publisher(Float64MultiArray, "hand/commands", 1)
    ros.wait(lambda: arbiter.conflict(own=False), "discovery")
    assert arbiter.await_conflict(0.0)
