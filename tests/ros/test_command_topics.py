# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A hand with two drivers: JointStates by index in degrees for one, trajectories of the plan for the other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")

from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import JointState
from std_srvs.srv import SetBool
from trajectory_msgs.msg import JointTrajectory

from mbrl_controller.contract.command_messages import read_command, read_plan
from mbrl_controller.contract.contract import RobotContract, parse_contract
from mbrl_controller.contract.destinations import Destination
from mbrl_controller.contract.source_reader import stamp_of
from mbrl_controller.episodes import ros_messages
from mbrl_controller.episodes.mcap_scan import McapScan, Message
from mbrl_controller.episodes.reader import read_info

from .conftest import SMALL_HAND, linear_registry
from .test_controller_node import MODULE, FakeHand, parameters, report, wait_state

pytestmark = pytest.mark.ros

FINGERS, THUMB = "fingers/joint_commands", "thumb_controller/joint_trajectory"
TEXT = SMALL_HAND.replace("format_version: 1", "format_version: 2").replace(
    "  topic: hand/commands\n  type: std_msgs/msg/Float64MultiArray\n",
    f"""\
  topics:
    - {{topic: {FINGERS}, type: sensor_msgs/msg/JointState, by: index, joints: [J2, J0]}}
    - {{topic: {THUMB}, type: trajectory_msgs/msg/JointTrajectory, driver: observer, send: {{plan: 3}}, joints: [J1]}}
  as: {{prefix: left_, scale: 57.29578, offset: 1.0}}
""",
)


@pytest.fixture
def robot(ros: Any, tmp_path: Path) -> Iterator[RobotContract]:
    """A running controller with logger and hand, whose fingers are listened to, and whose thumb is not."""
    contract = parse_contract(TEXT)
    (tmp_path / "contract.yaml").write_text(TEXT)
    linear_registry(contract, tmp_path, ("v0001",), turn=0.1)
    ros.reports = ros.diagnostics("controller: control")
    ros.fingers = ros.collect(FINGERS, JointState, qos_profile_sensor_data)
    logger = {"contract": str(tmp_path / "contract.yaml"), "log_dir": str(tmp_path / "log"), "autostart": True}
    ros.start("mbrl_controller.nodes.logger", logger)
    ros.process = ros.start(MODULE, parameters(tmp_path))
    fake = FakeHand(ros)
    yield contract
    fake.close()


def logged(path: Path, to: Destination) -> list[Any]:
    """The messages of a command topic in a log."""
    name = read_info(path).topics[to.role]
    records = [record for record in McapScan().records(path) if isinstance(record, Message)]
    return [ros_messages.decode(record.data, to.type) for record in records if record.channel.topic == name]


def test_both_drivers_get_their_joints_and_both_count(ros: Any, robot: RobotContract, tmp_path: Path) -> None:
    # one of two is missing: nothing is sent to the other either
    assert THUMB in report(ros, "the contract's driver observer is not on")["reason"]
    assert not ros.fingers
    thumb: list[JointTrajectory] = []
    subscription = ros.node.create_subscription(JointTrajectory, THUMB, thumb.append, qos_profile_sensor_data)
    record = ros.collect("controller/command", JointState)
    ros.wait(lambda: len(thumb) > 5 and len(ros.fingers) > 5 and len(record) > 5, "commands")
    wait_state(ros, "running")
    meant = {stamp_of(message): dict(zip(message.name, message.position, strict=True)) for message in record}
    both = [message for message in ros.fingers if stamp_of(message) in meant]
    assert both
    for message in both:
        assert list(message.name) == []
        wanted = [57.29578 * meant[stamp_of(message)][joint] + 1.0 for joint in ("J2", "J0")]
        np.testing.assert_allclose(message.position, wanted, rtol=1e-12)
    whole = [message for message in thumb if len(message.points) > 1]
    assert whole
    for message in whole:
        assert list(message.joint_names) == ["left_J1"]
        assert message.header.stamp.sec == 0, "the trajectory starts when it is received"
        times, targets = read_plan(robot, THUMB, message)
        np.testing.assert_allclose(times, [0.05, 0.1, 0.15])
        assert (np.abs(np.diff(targets[:, 1])) <= 3.0 * 0.05 + 1e-9).all()
    told = {round(command["J1"], 9) for command in meant.values()}  # perhaps not all: each topic is found in its time
    assert len(told & {round(read_command(robot, THUMB, message)[1], 9) for message in thumb}) > 2
    # it leaves: the fingers get nothing more; it is back: both do
    ros.node.destroy_subscription(subscription)
    assert THUMB in report(ros, "the contract's driver observer is not on")["reason"]
    ros.fingers.clear()
    ros.reports.clear()
    ros.wait(lambda: len(ros.reports) >= 2, "reports without a thumb")
    assert not ros.fingers
    thumb.clear()
    ros.node.create_subscription(JointTrajectory, THUMB, thumb.append, 10)
    ros.wait(lambda: thumb and ros.fingers, "commands again")
    # the hand is asked for: a driver that follows a plan is stopped where it is
    assert ros.call("controller/hand_over", SetBool, SetBool.Request(data=True)).success
    ros.wait(lambda: len(thumb[-1].points) == 1, "a trajectory of one point")
    # who commands one topic commands the hand
    assert ros.call("controller/hand_over", SetBool, SetBool.Request(data=False)).success
    ros.wait(lambda: len(thumb[-1].points) > 1, "commands again")
    rival = ros.node.create_publisher(JointTrajectory, THUMB, 1)
    ros.wait(lambda: any(f"{THUMB} is already commanded by" in str(r[1:]) for r in ros.reports), "the rival is noticed")
    ros.fingers.clear()
    ros.reports.clear()
    ros.wait(lambda: len(ros.reports) >= 2, "reports with the rival there")
    assert not ros.fingers
    ros.node.destroy_publisher(rival)
    ros.wait(lambda: list((tmp_path / "log").rglob("*_0000.mcap")), "the log")
    for to in robot.destinations:
        messages = logged(next((tmp_path / "log").rglob("*_0000.mcap")), to)
        assert len(messages) > 5
        for message in messages:
            assert np.flatnonzero(np.isfinite(read_command(robot, to.topic, message))).tolist() == sorted(to.at)
