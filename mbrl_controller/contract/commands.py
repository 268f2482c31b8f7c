# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The command side of a contract file: which joints, and to which topics their targets go."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from mbrl_controller.contract import ros_types
from mbrl_controller.contract.fields import SINCE_2, Angle, Name, Range, Strict, Topic
from mbrl_controller.contract.joint_map import DriverJoint

CommandType = Literal[
    "std_msgs/msg/Float64MultiArray", "trajectory_msgs/msg/JointTrajectory", "sensor_msgs/msg/JointState"
]
By = Literal["name", "index"]


class Joint(Strict):
    """A commanded joint: limits (rad) and largest rate (rad/s) of its position target."""

    name: Name = Field(description="as state entries and records have it")
    lower: Angle = Field(description="limit of the target, rad")
    upper: Angle = Field(description="limit of the target, rad")
    neutral: Angle = Field(description="pose that is safe to begin from, rad")
    max_rate: float = Field(gt=0, le=1e6, description="from the measured position to the target, rad/s")
    mapping: Annotated[DriverJoint | None, SINCE_2] = Field(
        default=None, alias="as", description="the driver's name, sign, unit and zero"
    )


class Plan(Strict):
    """How much of the plan a joint_trajectory_controller is sent at once."""

    plan: int = Field(ge=1, le=1000, description="points, one control period apart")


class CommandTopic(Strict):
    """One topic of several, and the joints whose targets go to it."""

    topic: Topic = Field(description="where its commands go")
    type: CommandType = Field(description="message type")
    driver: Name | None = Field(default=None, description="name of the node that receives them; None: any")
    by: By | None = Field(default=None, description="of JointState: by name, or in the order of `joints`")
    send: Literal["target"] | Plan = Field(
        default="target", description="of JointTrajectory: the next target, or points of the plan"
    )
    joints: tuple[Name, ...] = Field(min_length=1, description="names among command.joints")

    @model_validator(mode="after")
    def _possible(self) -> CommandTopic:
        if self.by == "name" and self.type == ros_types.MULTI_ARRAY:
            raise ValueError(f"{self.topic}: by: name, but a {self.type} has no names")
        if self.by == "index" and self.type == ros_types.TRAJECTORY:
            raise ValueError(f"{self.topic}: by: index, but a {self.type} has names")
        if self.send != "target" and self.type != ros_types.TRAJECTORY:
            raise ValueError(f"{self.topic}: send: {{plan: ...}} needs a {ros_types.TRAJECTORY}")
        return self

    @property
    def by_name(self) -> bool:
        """Whether its messages name their joints; else these come in the order of `joints`."""
        return self.type != ros_types.MULTI_ARRAY and self.by != "index"


class Command(Strict):
    """Where targets go: ros2_control's forward command controller or joint trajectory controller, or a driver that
    takes JointStates."""

    topic: Topic | None = Field(default=None, description="where commands go; None: see `topics`")
    type: CommandType | None = Field(default=None, description="message type; None: see `topics`")
    stroke: float = Field(
        default=0.9, gt=0, le=1, description="share of the way from neutral to each limit that the planner may use"
    )
    safe: Literal["hold", "neutral"] = Field(
        default="hold",
        description="safe command: hold the last command, and so the grip, or move to neutral at the rate limit",
    )
    driver: Name | None = Field(
        default=None,
        description="name of the node that receives the commands; None: any node that does not only record",
    )
    joints: tuple[Joint, ...] = Field(min_length=1, description="the commanded joints, in the order of the action")
    by: Annotated[By | None, SINCE_2] = Field(
        default=None, description="of JointState: joints by name, or without names in the order of `joints`"
    )
    send: Annotated[Literal["target"] | Plan, SINCE_2] = Field(
        default="target", description="of JointTrajectory: the next target, or that many points of the plan"
    )
    topics: Annotated[tuple[CommandTopic, ...], SINCE_2] = Field(
        default=(), description="instead of topic, type, driver, by and send, where there are several"
    )
    mapping: Annotated[DriverJoint | None, SINCE_2] = Field(
        default=None, alias="as", description="the driver's prefix, sign, unit and zero of all joints"
    )
    raw: Annotated[Range | None, SINCE_2] = Field(
        default=None, description="values that the drivers take, in their units; the joints' limits must lie within"
    )

    def new_in_2(self) -> list[str]:
        new = [f"type: {self.type}"] if self.type == ros_types.JOINT_STATE else []
        return super().new_in_2() + new

    @property
    def destinations(self) -> tuple[CommandTopic, ...]:
        """All topics."""
        if self.topics or self.topic is None or self.type is None:
            return self.topics
        names = tuple(joint.name for joint in self.joints)
        return (
            CommandTopic(
                topic=self.topic, type=self.type, driver=self.driver, by=self.by, send=self.send, joints=names
            ),
        )

    @model_validator(mode="after")
    def _complete(self) -> Command:
        single = [key for key in ("topic", "type", "driver", "by", "send") if key in self.model_fields_set]
        if self.topics and single:
            raise ValueError(f"{', '.join(single)}: belongs to each of `topics`, or instead of them")
        if not self.topics and (self.topic is None or self.type is None):
            raise ValueError("give topic and type, or a list of topics")
        return self
