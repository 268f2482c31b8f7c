# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Message classes by name."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy")

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.nodes.messages import message_class


def test_a_message_type_that_is_not_installed_is_named_with_its_package() -> None:
    assert message_class("std_msgs/msg/Float32MultiArray").__name__ == "Float32MultiArray"
    with pytest.raises(MbrlError, match="type no_such_msgs/msg/Thing need the ROS package no_such_msgs"):
        message_class("no_such_msgs/msg/Thing")
