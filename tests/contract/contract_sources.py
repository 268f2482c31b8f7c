# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Sources of format 2 for tests."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from mbrl_controller.contract import ros_types
from mbrl_controller.contract.sources import Source

TYPES = {
    "joints": ros_types.JOINT_STATE,
    "odometry": ros_types.ODOMETRY,
    "pose": ros_types.POSE,
    "tf": ros_types.TRANSFORMS,
    "array": ros_types.MULTI_ARRAY_32,
}
ALL_FIELDS = ["position", "velocity", "orientation", "angular_velocity"]


def source(kind: str, **entries: Any) -> Source:
    """A source of a contract; what is not given is made up."""
    made: dict[str, Any] = {"topic": "thing", "type": TYPES[kind]}
    if kind in ("odometry", "pose", "tf"):
        made |= {"object": "cube", "frame": "palm"}
    if kind == "tf":
        made["child_frame"] = "cube_link"
    return TypeAdapter(Source).validate_python(made | entries)
