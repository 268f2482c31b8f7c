# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Who else is on a topic: whose messages pass, and who takes commands rather than looks on."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

rclpy = pytest.importorskip("rclpy")

from rclpy.duration import Duration
from rclpy.qos import DurabilityPolicy, LivelinessPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray

from mbrl_controller.nodes import graph, qos
from mbrl_controller.nodes.listeners import Listeners

from .conftest import Ros

pytestmark = pytest.mark.ros
KIND = "std_msgs/msg/Float64MultiArray"
BEST_EFFORT = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
MANUAL = QoSProfile(depth=1, liveliness=LivelinessPolicy.MANUAL_BY_TOPIC)


@pytest.fixture
def others(ros: Any) -> Iterator[Any]:
    """Makes a node in this process, by its name."""
    made: list[Any] = []

    def make(name: str) -> Any:
        made.append(rclpy.create_node(name, context=ros.context, start_parameter_services=False, enable_rosout=False))
        return made[-1]

    yield make
    for node in made:
        node.destroy_node()


@pytest.fixture
def topic() -> str:
    return f"topic_{uuid.uuid4().hex[:8]}"


@pytest.mark.parametrize(
    ("offered", "asked", "word"),
    [
        (QoSProfile(depth=1), QoSProfile(depth=1), ""),
        (QoSProfile(depth=1), BEST_EFFORT, ""),
        (LATCHED, QoSProfile(depth=1), ""),
        (QoSProfile(depth=1, deadline=Duration(seconds=0.1)), QoSProfile(depth=1), ""),
        (QoSProfile(depth=1, deadline=Duration(seconds=0.1)), QoSProfile(depth=1, deadline=Duration(seconds=1)), ""),
        (BEST_EFFORT, QoSProfile(depth=1), "reliability"),
        (QoSProfile(depth=1), LATCHED, "durability"),
        (QoSProfile(depth=1), QoSProfile(depth=1, deadline=Duration(seconds=1)), "deadline: 1 s is asked for, none"),
        (QoSProfile(depth=1), MANUAL, "liveliness"),
    ],
)
def test_what_passes_is_told_as_dds_has_it(
    ros: Any, others: Any, topic: str, offered: QoSProfile, asked: QoSProfile, word: str
) -> None:
    """From both ends; and messages pass where nothing is told, and only there."""
    sender, receiver = others("sender"), others("receiver")
    publisher = sender.create_publisher(Float64MultiArray, topic, offered)
    subscription = receiver.create_subscription(Float64MultiArray, topic, lambda message: None, asked)
    ros.wait(lambda: sender.count_subscribers(topic) and receiver.count_publishers(topic), "discovery")
    unheard = graph.Unheard(receiver, topic, asked)
    ros.wait(lambda: graph.UNKNOWN not in [e.node for e in graph.publishers(receiver, topic, asked)], "its name")
    (heard,) = graph.subscriptions(sender, topic, offered, KIND)
    (told,) = graph.publishers(receiver, topic, asked, KIND)
    unheard.look()
    assert (heard.node, told.node) == ("/receiver", "/sender")
    assert heard.problem == told.problem
    if word:
        assert heard.problem.startswith(word)
        assert unheard.found() == (f"/sender: {told.problem}",)
        assert publisher.get_subscription_count() == 0
        assert graph.Unheard(receiver, topic, asked, offered).found() == ()  # another subscription hears it
    else:
        assert heard.problem == ""
        assert unheard.found() == ()
        ros.wait(lambda: publisher.get_subscription_count() == subscription.get_publisher_count() == 1, "a match")


@pytest.mark.parametrize(
    ("name", "drives"),
    [
        ("driver", True),
        ("forward_position_controller", True),
        ("logger", False),
        ("left_logger", False),
        ("_ros2cli_1234", False),
        ("rosbag2_recorder", False),
        ("rqt_gui_py_node_77", False),
        ("foxglove_bridge", False),
    ],
)
def test_who_only_looks_on_takes_no_commands(ros: Any, others: Any, topic: str, name: str, drives: bool) -> None:
    node = ros.node
    publisher = node.create_publisher(Float64MultiArray, topic, qos.COMMAND)
    listeners = Listeners(node, topic, KIND, qos.COMMAND, None)
    assert listeners.missing(0) == f"nobody takes the commands: {topic} has no subscription"
    others(name).create_subscription(Float64MultiArray, topic, lambda message: None, qos.COMMAND)
    ros.wait(publisher.get_subscription_count, "a match")

    def named() -> bool:
        return f"/{name}" in [endpoint.node for endpoint in graph.subscriptions(node, topic, qos.COMMAND)]

    ros.wait(named, "its name")
    listeners.look(1)
    assert (listeners.missing(1) == "") is drives
    if not drives:
        assert f"is heard by /{name} alone" in listeners.missing(1)
    node.destroy_publisher(publisher)


def test_the_contract_may_name_the_driver(ros: Any, others: Any, topic: str) -> None:
    publisher = ros.node.create_publisher(Float64MultiArray, topic, qos.COMMAND)
    others("someone").create_subscription(Float64MultiArray, topic, lambda message: None, qos.COMMAND)
    ros.wait(publisher.get_subscription_count, "a match")
    listeners = Listeners(ros.node, topic, KIND, qos.COMMAND, "logger")
    assert "the contract's driver logger is not on" in listeners.missing(1)
    others("logger").create_subscription(Float64MultiArray, topic, lambda message: None, qos.COMMAND)
    ros.wait(lambda: publisher.get_subscription_count() == 2, "a match")
    ros.wait(lambda: not listeners.look(2).reason, "its name")
    assert listeners.missing(2) == ""
    ros.node.destroy_publisher(publisher)


def test_another_type_on_the_topic_is_named(ros: Any, others: Any, topic: str) -> None:
    publisher = ros.node.create_publisher(Float64MultiArray, topic, qos.COMMAND)
    other = Ros(ros.env, "driver")  # in one process a topic has one type
    other.node.create_subscription(JointState, topic, lambda message: None, qos.COMMAND)
    listeners = Listeners(ros.node, topic, KIND, qos.COMMAND, None)
    word = f"/driver gets no command from {topic}: it is of type sensor_msgs/msg/JointState, not {KIND}"
    ros.wait(lambda: word in listeners.look(0).reason, "its name")
    assert listeners.problems() == (word,)
    other.close()
    ros.node.destroy_publisher(publisher)
