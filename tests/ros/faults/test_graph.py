# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Commands that nobody takes, and states that two publish."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.duration import Duration
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool, Float64MultiArray, String
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory

from mbrl_controller.episodes.transitions import transitions
from mbrl_controller.nodes import qos
from mbrl_controller.nodes.messages import to_time

from ..conftest import Ros
from .conftest import JOINTS, PERIOD, Control

pytestmark = [pytest.mark.ros, pytest.mark.slow]
READY = 1.0  # the tick's safety_state
UNHEARD, DISPUTED = 1.0, 2.0  # the tick's doubt
FALSE = 0.7  # rad, of a joint_state_publisher that knows nothing of the hand


class Driver:
    """The node that takes the commands. It is never spun: only that it is there counts."""

    def __init__(self, control: Control) -> None:
        self.control = control
        self.ros = Ros(control.ros.env, "driver")  # a process of its own, as far as DDS is concerned
        self.node = self.ros.node
        self.subscription: Any = None

    def listen(self, profile: Any = qos.COMMAND, kind: Any = Float64MultiArray) -> None:
        """Subscribe to the commands, instead of as before."""
        self.leave()
        self.subscription = self.node.create_subscription(kind, "hand/commands", lambda message: None, profile)

    def leave(self) -> float:
        """Be there no longer; when (s, time.monotonic)."""
        if self.subscription is not None:
            self.node.destroy_subscription(self.subscription)
            self.subscription = None
        return time.monotonic()


@pytest.fixture(scope="module")
def control(module_ros: Any, small_hand: Path) -> Iterator[Control]:
    """A controller whose hand only looks on: who takes the commands is a node of its own."""
    made = Control(module_ros, small_hand, hand="onlooking_logger")
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def driver(control: Control) -> Iterator[Driver]:
    made = Driver(control)
    yield made
    made.ros.close()


@pytest.fixture(scope="module")
def log_dir(control: Control, driver: Driver, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a logger logs what goes on from now on."""
    driver.listen()
    control.wait_until_running()
    folder = tmp_path_factory.mktemp("episodes")
    control.start_logger(folder)
    return folder


BEGIN = [
    (
        "transient local durability",
        QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL),
        Float64MultiArray,
        "durability: transient local is asked for",
    ),
    (
        "a shorter deadline",
        QoSProfile(depth=1, deadline=Duration(seconds=PERIOD / 2)),
        Float64MultiArray,
        "deadline: 0.025 s is asked for, 0.1 s offered",
    ),
    (
        "another type",
        QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT),
        JointTrajectory,
        "it is of type trajectory_msgs/msg/JointTrajectory",
    ),
]


@pytest.mark.parametrize(("name", "profile", "kind", "word"), BEGIN, ids=[case[0] for case in BEGIN])
def test_a_driver_that_cannot_hear_is_named_and_nothing_is_pretended(
    control: Control, driver: Driver, fault_row: Any, name: str, profile: QoSProfile, kind: Any, word: str
) -> None:
    hand, ros = control.hand, control.ros
    events = ros.collect("controller/episode", String)
    driver.listen(profile, kind)
    control.reports.clear()
    said = control.said(word)
    assert "nobody takes the commands: /driver gets no command from hand/commands" in said
    control.wait_for_level(DiagnosticStatus.WARN)
    if ros.state("controller") == "active":
        ros.change("controller", "deactivate")
    assert ros.change("controller", "activate")
    events.clear()
    began = time.monotonic()
    ros.wait(lambda: len(hand.after(began)) > 20, "ticks")
    ticks = hand.after(began)[1:]
    assert {tick.row["safety_state"] for tick in ticks} == {READY}
    assert {tick.row["doubt"] for tick in ticks} == {UNHEARD}
    assert not hand.commands_after(began)
    assert not events
    driver.listen()
    control.wait_until_running()
    ros.wait(lambda: events, "an episode")
    assert {tick.row["doubt"] for tick in hand.ticks[-10:]} == {0.0}
    fault_row(
        fault=f"the hand's driver asks for {name}",
        hand="was sent nothing, and no episode began, until it asked for what there is",
        diagnostics=said,
        periods=hand.periods_to_last((tick.time for tick in ticks if tick.planned), began),
        lost="nothing",
    )


def test_a_listener_that_vanishes_holds_and_what_it_did_not_hear_is_not_learnt(
    control: Control, driver: Driver, log_dir: Path, fault_row: Any
) -> None:
    hand, ros = control.hand, control.ros
    assert ros.call("controller/reset", Trigger).success
    good = time.monotonic()
    ros.wait(lambda: len([t for t in hand.after(good) if t.planned]) > 100, "an episode")  # 3 s and more are left out
    episode = hand.ticks[-1].row["episode"]
    control.reports.clear()
    left = driver.leave()
    periods = control.wait_until_safe(left)
    said = control.said("nobody takes the commands")
    assert "/onlooking_logger" in said
    assert "/logger" in said
    first = next(tick.time for tick in hand.after(left) if not tick.planned)
    ros.wait(lambda: len(hand.after(first)) > 20, "more ticks")
    came = time.monotonic()
    unheard = [tick for tick in hand.after(first) if tick.time < came]
    assert {tick.row["doubt"] for tick in unheard} == {UNHEARD}
    assert not hand.commands_after(first + PERIOD)
    driver.listen()
    ros.wait(lambda: len([t for t in hand.after(came) if t.planned]) > 60, "control")
    assert hand.ticks[-1].row["episode"] == episode
    hand.check_commands(came)
    assert ros.call("controller/reset", Trigger).success
    got = transitions(control.logged(log_dir, episode))
    assert got.skipped["nobody took the commands"] > 0
    assert len(got) > 30
    fault_row(
        fault="who takes the commands vanishes, and comes back",
        hand="was sent nothing meanwhile; then from where it was, in the same episode",
        diagnostics=said,
        periods=periods,
        lost=f"{got.skipped['nobody took the commands']} transitions, left out as `nobody took the commands`",
    )


class Rival:
    """A joint_state_publisher beside the real one: every joint at the same angle, from a thread of the hand's."""

    def __init__(self, control: Control) -> None:
        self.control = control
        self.ros = Ros(control.ros.env, "joint_state_publisher")
        self.publisher = self.ros.node.create_publisher(JointState, "joint_states", qos.SENSOR)

    def say(self) -> None:
        message = JointState(name=JOINTS, position=[FALSE] * 3, velocity=[0.0] * 3)
        message.header.stamp = to_time(time.time())
        self.publisher.publish(message)

    def talk(self, seconds: float) -> None:
        """Publish at 100 Hz for so long, while messages are handled."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.say()
            self.control.ros.executor.spin_once(timeout_sec=0.01)

    def close(self) -> None:
        self.ros.close()


def test_a_second_publisher_of_a_state_holds_the_hand_and_is_not_learnt_from(
    control: Control, driver: Driver, log_dir: Path, fault_row: Any
) -> None:
    hand, ros = control.hand, control.ros
    driver.listen()
    control.wait_until_running()
    assert ros.call("controller/reset", Trigger).success
    good = time.monotonic()
    ros.wait(lambda: len([t for t in hand.after(good) if t.planned]) > 100, "an episode")
    number = hand.ticks[-1].row["episode"]
    control.reports.clear()
    rival = Rival(control)
    try:
        rival.talk(0.01)
        ros.wait(lambda: rival.publisher.get_subscription_count() >= 2, "it to be known")  # to the logger, too
        began = time.monotonic()
        rival.talk(2.0)
        said = control.said(
            "holding: joint_states has 2 publishers, /joint_state_publisher, /onlooking_logger: stop all"
        )
        assert "~/reset" not in said
        control.wait_for_level(DiagnosticStatus.ERROR)
    finally:
        rival.close()
    ended = time.monotonic()
    held = [tick for tick in hand.after(began) if tick.time < ended]
    late = [tick.time for tick in held if tick.planned]
    assert DISPUTED in {tick.row["doubt"] for tick in held}
    ros.wait(lambda: len([t for t in hand.after(ended) if t.planned]) > 80, "control")
    hand.check_commands(ended + 1.0)
    assert ros.call("controller/reset", Trigger).success
    episode = control.logged(log_dir, number)
    false = (episode.sources["joint_states"].values[:, :3] == FALSE).all(axis=1)
    assert false.sum() > 50  # they are in the log
    got = transitions(episode)
    assert len(got) > 30
    joints = np.concatenate([got.state[:, :3], got.next_state[:, :3]])
    assert not (joints == FALSE).all(axis=1).any()
    assert got.skipped["a state had several publishers"] > 0
    fault_row(
        fault="a second publisher of the joints' state, with other angles",
        hand=f"kept its last target for {len(held)} periods, then went on",
        diagnostics=said,
        periods=hand.periods_to_last(late, began),
        lost=f"{got.skipped['a state had several publishers']} transitions, left out; of {false.sum()} false poses "
        "none is learnt from",
    )


def test_a_second_publisher_that_says_nothing_holds_for_a_second_and_is_named(
    control: Control, driver: Driver, fault_row: Any
) -> None:
    """As one that was killed, and is in discovery still."""
    hand = control.hand
    driver.listen()
    control.wait_until_running()
    control.reports.clear()
    rival = Rival(control)
    try:
        began = time.monotonic()
        said = control.said("joint_states has 2 publishers, ")
        control.ros.wait(lambda: not all(t.planned for t in hand.after(began)), "a hold")
        again = control.wait_until_running(ticks=20)
        control.reports.clear()
        said = control.said("one more may begin to be heard")
        control.wait_for_level(DiagnosticStatus.WARN)
        ticks = hand.after(began)
        held = sum(not tick.planned for tick in ticks)
        talked = time.monotonic()
        rival.talk(0.5)
        periods = control.wait_until_safe(talked)
    finally:
        rival.close()
    assert again > began
    fault_row(
        fault="a second publisher of a state that says nothing, and then does",
        hand=f"was held for {held} periods, went on, and was held again",
        diagnostics=said,
        periods=periods,
        lost="transitions meanwhile",
    )


def test_a_stop_button_that_cannot_be_heard_holds_the_hand(control: Control, driver: Driver, fault_row: Any) -> None:
    driver.listen()
    control.wait_until_running()
    control.reports.clear()
    began = time.monotonic()
    profile = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    button = Ros(control.ros.env, "button")
    try:
        button.node.create_publisher(Bool, "e_stop", profile)
        said = control.said("/e_stop is not heard from /button: reliability")
        control.wait_until_safe(began)
        control.wait_for_level(DiagnosticStatus.ERROR)
    finally:
        button.close()
    control.wait_until_running()
    fault_row(
        fault="a stop button whose QoS cannot be heard",
        hand="kept its last target until it was gone",
        diagnostics=said,
        periods=0.0,
        lost="nothing",
    )
