# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A contract against a running graph: one fault at a time, and nothing sent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy")

from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray, String
from typer.testing import CliRunner

from mbrl_controller.cli.main import app
from mbrl_controller.contract.contract import load_contract, parse_contract
from mbrl_controller.nodes import qos
from mbrl_controller.nodes.contract_check import LiveCheck

pytestmark = pytest.mark.ros

HAND = """
format_version: 1
robot: small
task: reach
control_period_s: 1.0
state:
  - {topic: TOPIC/joint_states, type: sensor_msgs/msg/JointState, joints: [a, b], max_age_s: 5.0, max_silence_s: 5.0}
command:
  topic: TOPIC/commands
  type: std_msgs/msg/Float64MultiArray
  driver: driver
  joints:
    - {name: a, lower: -1.0, upper: 1.0, neutral: 0.0, max_rate: 3.0}
    - {name: b, lower: -1.0, upper: 1.0, neutral: 0.0, max_rate: 3.0}
"""


def speak(node: Any, topic: str, kind: type = JointState, profile: Any = 10) -> None:
    """Publish the joints at 50 Hz (another type: a message now and then)."""
    publisher = node.create_publisher(kind, topic, profile)

    def publish() -> None:
        message = kind()
        if kind is JointState:
            message.header.stamp = node.get_clock().now().to_msg()
            message.name, message.position = ["b", "a"], [0.1, 0.2]
        publisher.publish(message)

    node.create_timer(0.02, publish)


def listen(node: Any, topic: str, kind: type = Float64MultiArray, profile: Any = 10) -> None:
    node.create_subscription(kind, topic, lambda message: None, profile)


def check(ros: Any, topic: str) -> LiveCheck:
    return LiveCheck(ros.node, parse_contract(HAND.replace("TOPIC", topic)))


def until(ros: Any, checked: LiveCheck, *words: str) -> None:
    """Wait until there is just one finding for each of `words`, in their order."""

    def found() -> bool:
        texts = [f"{one.where}: {one.problem}; {one.change}" for one in checked.findings()]
        return len(texts) == len(words) and all(word in text for word, text in zip(words, texts, strict=True))

    try:
        ros.wait(found, f"findings with {words}")
    except AssertionError as error:
        raise AssertionError(f"{error}\nfound: {checked.findings()}") from None


def test_a_hand_that_is_as_the_contract_says_gives_no_finding(ros: Any, foreign_node: Any) -> None:
    hand = foreign_node("driver")
    speak(hand, "good/joint_states")
    listen(hand, "good/commands", profile=QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT))
    until(ros, check(ros, "good"))
    assert ros.node.count_publishers("good/commands") == 0


def test_one_fault_gives_one_finding(ros: Any, foreign_node: Any) -> None:
    hand, other = foreign_node("driver"), foreign_node("other")

    def side(topic: str, *, state: bool = True, command: bool = True) -> None:
        if state:
            speak(hand, f"{topic}/joint_states")
        if command:
            listen(hand, f"{topic}/commands")

    side("no_state", state=False)
    until(ros, check(ros, "no_state"), "/no_state/joint_states: nobody publishes it")

    side("wrong_type", state=False)
    speak(hand, "wrong_type/joint_states", String)
    until(ros, check(ros, "wrong_type"), "it is of type std_msgs/msg/String, not sensor_msgs/msg/JointState")

    side("mute", state=False)
    hand.create_publisher(JointState, "mute/joint_states", 10)
    until(ros, check(ros, "mute"), "/driver publishes nothing")

    side("two")
    speak(other, "two/joint_states")
    until(ros, check(ros, "two"), "has 2 publishers, /driver, /other; stop all but one")

    side("deaf", command=False)
    until(ros, check(ros, "deaf"), "the contract's driver driver is not on")

    side("other_driver", command=False)
    listen(other, "other_driver/commands")
    until(ros, check(ros, "other_driver"), "listening are: /other")

    side("wrong_command", command=False)
    listen(hand, "wrong_command/commands", String)
    until(ros, check(ros, "wrong_command"), "it is of type std_msgs/msg/String")

    side("commanded")
    other.create_publisher(Float64MultiArray, "commanded/commands", 10)
    until(ros, check(ros, "commanded"), "already commanded by /other; stop it")


def test_topics_of_the_same_type_are_offered_where_nobody_publishes(ros: Any, foreign_node: Any) -> None:
    hand = foreign_node("driver")
    speak(hand, "allegroHand_0/joint_states")
    listen(hand, "mistyped/commands")
    until(ros, check(ros, "mistyped"), "/allegroHand_0/joint_states")


def test_the_command_prints_what_was_heard_and_ends_with_1_if_something_is_to_be_changed(
    foreign_node: Any, tmp_path: Path
) -> None:
    hand = foreign_node("driver")
    speak(hand, "whole/joint_states")
    listen(hand, "whole/commands")
    contract, report = tmp_path / "hand.yaml", tmp_path / "report.json"
    contract.write_text(HAND.replace("TOPIC", "whole"))
    words = ["contract", "check", str(contract), "--live", "--seconds", "1", "--json", str(report)]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    (seen,) = json.loads(report.read_text())["sources"]
    assert seen["topic"] == "whole/joint_states"
    assert seen["messages"] > 1
    (command,) = json.loads(report.read_text())["commands"]
    assert (command["listening"], command["commanding"]) == ("/driver", "")
    contract.write_text(contract.read_text().replace("driver: driver", "driver: nobody"))
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 1, done.output
    (finding,) = json.loads(report.read_text())["findings"]
    assert "nobody is not on" in finding["problem"]
    assert load_contract(contract).file.command.topic in finding["where"]


def test_the_profile_of_the_check_is_that_of_the_controller(ros: Any) -> None:
    """Else it would hear what the controller does not."""
    checked = check(ros, "any")
    (source,) = checked._contract.sources
    (info,) = ros.node.get_subscriptions_info_by_topic("any/joint_states")
    assert info.qos_profile.reliability == qos.sensor(source).reliability
