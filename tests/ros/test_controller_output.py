# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Which topics the controller takes for commands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("rclpy")

import rclpy

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.contract.contract import parse_contract
from mbrl_controller.nodes.controller_output import ControllerOutput

from .conftest import SMALL_HAND

pytestmark = pytest.mark.ros
TWO = """\
  topics:
    - {topic: FIRST, type: sensor_msgs/msg/JointState, joints: [J2, J0]}
    - {topic: SECOND, type: sensor_msgs/msg/JointState, joints: [J1]}
"""


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "OFF")
    rclpy.init()
    made = rclpy.create_node("controller")
    yield made
    made.destroy_node()
    rclpy.try_shutdown()


@pytest.mark.parametrize(
    ("first", "second", "why"),
    [
        ("~/command", "thumb", "~/command is /controller/command: this node records"),
        ("fingers", "controller/goal", "this node records"),
        ("/joint_states", "thumb", "a state comes from there"),
        ("fingers", "/fingers", "as another topic, too"),
        ("fingers", "thumb", ""),
    ],
)
def test_commands_need_topics_of_their_own_under_whatever_name(node: Any, first: str, second: str, why: str) -> None:
    """Else a hand follows what is recorded, in radians, or its commands pass for measurements."""
    one = "  topic: hand/commands\n  type: std_msgs/msg/Float64MultiArray\n"
    text = SMALL_HAND.replace("format_version: 1", "format_version: 2")
    assert one in text
    contract = parse_contract(text.replace(one, TWO.replace("FIRST", first).replace("SECOND", second)))
    if not why:
        ControllerOutput(node, contract).close()
        return
    with pytest.raises(MbrlError) as caught:
        ControllerOutput(node, contract)
    assert why in str(caught.value)
