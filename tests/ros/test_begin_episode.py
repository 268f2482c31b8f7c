# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""~/begin_episode and ~/end_episode of the logger: anybody commands the hand, over DDS, and it can be learnt from."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")

from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray
from std_srvs.srv import Trigger

from mbrl_controller.contract.contract import load_contract
from mbrl_controller.episodes.metadata import OTHERS
from mbrl_controller.episodes.reader import read_episode
from mbrl_controller.episodes.transitions import transitions
from mbrl_controller.nodes import qos

from .conftest import SMALL_HAND

pytestmark = pytest.mark.ros

LOGGER = "mbrl_controller.nodes.logger"
DRIVER = Path(__file__).with_name("driver_double.py")


@pytest.fixture
def contract(tmp_path: Path) -> Path:
    path = tmp_path / "contract.yaml"
    path.write_text(SMALL_HAND)
    return path


def start_logger(ros: Any, contract: Path, **more: Any) -> None:
    parameters = {"contract": str(contract), "log_dir": str(contract.parent / "log"), "autostart": True, **more}
    ros.start(LOGGER, parameters)
    ros.logging = ros.diagnostics("logger: logging")


def ask(ros: Any, service: str) -> tuple[bool, str]:
    answer = ros.call(f"logger/{service}", Trigger)
    return answer.success, answer.message


def begin(ros: Any) -> None:
    """Begin as soon as the hand is heard."""
    ros.wait(lambda: ask(ros, "begin_episode")[0], "an episode's begin")


def move(ros: Any, commander: Any, seconds: float, rate: float = 30.0) -> None:
    """Somebody's own commands, at a rate of their own."""
    began = time.monotonic()
    while (t := time.monotonic() - began) < seconds:
        commander.publish(Float64MultiArray(data=(0.3 * np.sin(2.0 * t + np.arange(3))).tolist()))
        due = time.monotonic() + 1.0 / rate
        ros.wait(lambda due=due: time.monotonic() >= due, "the next command")


def logged(contract: Path) -> list[Path]:
    return sorted((contract.parent / "log" / "valve").rglob("*.mcap"))


def test_anybodys_commands_become_transitions(ros: Any, contract: Path) -> None:
    ros.start_script(DRIVER)
    start_logger(ros, contract)
    commander = ros.publisher("hand/commands", Float64MultiArray, subscribers=2)
    ros.logging.clear()
    move(ros, commander, 0.3)
    ros.wait(
        lambda: any("~/begin_episode" in text for _, text, _ in ros.logging) or commander.publish(_still()),
        "word that nothing is logged",
    )
    begin(ros)
    success, message = ask(ros, "begin_episode")
    assert not success
    assert "already" in message
    move(ros, commander, 1.5)
    ros.wait(lambda: commander.publish(_still()) or ros.logging[-1][2]["commanded by"] == "others", "a report")
    success, message = ask(ros, "end_episode")
    assert success
    assert "transitions" in message
    (path,) = logged(contract)
    episode = read_episode(path, load_contract(contract))
    assert episode.info.commanded_by == OTHERS
    assert len(transitions(episode)) >= 10
    success, message = ask(ros, "end_episode")
    assert not success
    assert str(path) in message  # what became of the last one


def _still() -> Float64MultiArray:
    return Float64MultiArray(data=[0.0, 0.0, 0.0])


def test_it_says_at_once_why_nothing_can_be_logged(ros: Any, contract: Path) -> None:
    start_logger(ros, contract, autostart=False)
    ros.change("logger", "configure")
    assert ask(ros, "begin_episode") == (False, "not begun: the logger is not active")
    assert not ask(ros, "end_episode")[0]
    ros.change("logger", "activate")
    success, message = ask(ros, "begin_episode")
    assert not success
    assert "nobody publishes" in message

    joints = ros.publisher("joint_states", JointState, qos.SENSOR)
    valve = ros.publisher("valve/joint_states", JointState, qos.SENSOR)
    names = {joints: ["J0", "J1", "J2"], valve: ["valve"]}

    def sense(stamped: bool) -> None:
        for publisher, of in names.items():
            message = JointState(name=of, position=[0.0] * len(of), velocity=[0.0] * len(of))
            if stamped:
                message.header.stamp = ros.node.get_clock().now().to_msg()
            publisher.publish(message)

    def answers(word: str, stamped: bool) -> bool:
        sense(stamped)
        success, message = ask(ros, "begin_episode")
        return word in message and not success

    ros.wait(lambda: answers("stamps are 0", stamped=False), "word of the stamps")

    deaf = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    publisher = ros.node.create_publisher(Float64MultiArray, "hand/commands", deaf)
    ros.wait(lambda: answers("reliability", stamped=True), "word of the commander's QoS")
    ros.node.destroy_publisher(publisher)

    commander = ros.publisher("hand/commands", Float64MultiArray)
    ros.wait(
        lambda: commander.publish(Float64MultiArray(data=[0.0])) or answers("1 values", stamped=True),
        "word of the commands",
    )
    assert not logged(contract)


def test_a_state_of_two_publishers_is_refused_and_what_is_logged_of_it_left_out(ros: Any, contract: Path) -> None:
    ros.start_script(DRIVER)
    second = ros.start_script(DRIVER)
    start_logger(ros, contract)
    ros.wait(lambda: "joint_states has 2 publishers" in ask(ros, "begin_episode")[1], "word of the second driver")
    second.stop()
    begin(ros)
    commander = ros.publisher("hand/commands", Float64MultiArray, subscribers=2)
    move(ros, commander, 0.5)
    ros.logging.clear()
    ros.start_script(DRIVER)
    ros.wait(
        lambda: commander.publish(_still()) or any("2 publishers" in text for _, text, _ in ros.logging),
        "a warning of the second driver",
    )
    message = ask(ros, "end_episode")[1]
    assert "a state had several publishers" in message


def test_the_first_answer_comes_when_those_who_are_there_are_known(ros: Any, contract: Path) -> None:
    ros.start_script(DRIVER)
    heard = ros.collect("valve/joint_states", JointState, qos.SENSOR)
    ros.wait(lambda: heard, "the driver")
    start_logger(ros, contract, autostart=False)
    ros.change("logger", "configure")
    ros.change("logger", "activate")
    assert ask(ros, "begin_episode")[0]


def test_an_episode_that_comes_to_nothing_says_why_at_its_end(ros: Any, contract: Path) -> None:
    ros.start_script(DRIVER)
    start_logger(ros, contract, silence_s=0.5)
    begin(ros)
    ros.wait(lambda: "no command came on /hand/commands" in ask(ros, "end_episode")[1], "its end by silence")
    ros.wait(lambda: any("no command" in r[2]["last episode of others"] for r in ros.logging), "a report")
    assert not logged(contract)
