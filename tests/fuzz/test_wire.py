# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Damaged bytes on the wire of a running controller: it stays, plans on, and its commands keep the limits."""

from __future__ import annotations

import math

import pytest

pytest.importorskip("rclpy")

from hypothesis import given
from hypothesis import strategies as st
from rclpy.serialization import serialize_message
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool, Float64MultiArray
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from ..ros.conftest import ros, ros_env, small_hand  # noqa: F401 (fixtures)
from .damage import cuts, damaged


@pytest.mark.ros
def test_a_controller_outlives_damaged_messages(fuzz, ros, small_hand) -> None:  # noqa: F811
    counted = fuzz("messages: over DDS")
    given_parameters = {
        "contract": str(small_hand / "contract.yaml"), "models_dir": str(small_hand / "models"), "autostart": True,
    }  # fmt: skip
    controller = ros.start("mbrl_controller.nodes.controller", given_parameters)
    commands = ros.collect("hand/commands", Float64MultiArray)
    joints = JointState(name=["J0", "J1", "J2"], position=[0.0, 0.1, 0.2], velocity=[0.0] * 3)
    valve = JointState(name=["valve"], position=[0.0], velocity=[0.0])
    goal = JointTrajectory(joint_names=["valve.target"], points=[JointTrajectoryPoint(positions=[0.5])])
    good = {
        "joint_states": joints, "valve/joint_states": valve, "controller/set_goal": goal, "e_stop": Bool(data=False),
    }  # fmt: skip
    publishers = {topic: ros.publisher(topic, type(message)) for topic, message in good.items()}

    def be_well() -> None:
        now = ros.node.get_clock().now().to_msg()
        joints.header.stamp = valve.header.stamp = now
        valve.position = [1e-9 * now.nanosec]
        publishers["joint_states"].publish(joints)
        publishers["valve/joint_states"].publish(valve)

    @counted.settings()
    @given(st.sampled_from(sorted(good)), cuts)
    def run(topic, changes) -> None:
        content = damaged(serialize_message(good[topic]), changes)
        if topic == "e_stop":  # its publisher has no room for more than the type takes
            content = content[:5]
        with counted.one():
            be_well()
            publishers[topic].publish(content)
            ros.executor.spin_once(timeout_sec=0.001)
            assert controller.alive, controller.output

    run()
    assert ros.call("controller/reset", Trigger).success  # a byte of e_stop may have become true
    commands.clear()

    def planned() -> bool:
        be_well()
        return len(commands) > 3

    ros.wait(planned, "commands after it all")
    for command in commands:
        assert len(command.data) == 3
        assert all(math.isfinite(target) and -1.0 <= target <= 1.0 for target in command.data)
    assert controller.stop() == 0, controller.output
    assert "Traceback" not in controller.output
