# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The command side of a contract file."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mbrl_controller.contract.fields import Angle, Name, Strict, Topic


class Joint(Strict):
    """A commanded joint: limits (rad) and largest rate (rad/s) of its position target."""

    name: Name
    lower: Angle
    upper: Angle
    neutral: Angle
    max_rate: float = Field(gt=0, le=1e6)


class Command(Strict):
    """Destination of targets: ros2_control's forward command controller or joint trajectory controller."""

    topic: Topic
    type: Literal["std_msgs/msg/Float64MultiArray", "trajectory_msgs/msg/JointTrajectory"]
    stroke: float = Field(default=0.9, gt=0, le=1)
    safe: Literal["hold", "neutral"] = Field(
        default="hold",
        description="safe command: hold the last command, and so the grip, or move to neutral at the rate limit",
    )
    driver: Name | None = Field(
        default=None,
        description="name of the node that receives the commands; None: any node that does not only record",
    )
    joints: tuple[Joint, ...] = Field(min_length=1)
