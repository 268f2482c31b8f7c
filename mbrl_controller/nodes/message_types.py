# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""ROS message classes by name."""

from __future__ import annotations

import importlib
from typing import Any


def message_class(type_name: str) -> Any:
    """The rclpy class of a message type such as sensor_msgs/msg/JointState."""
    package, _, name = type_name.split("/")
    return getattr(importlib.import_module(f"{package}.msg"), name)
