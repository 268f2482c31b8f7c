# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The robot contract: maps messages, joints and fields to state entries, and defines the commands.

Controller, logger, sim and dataset read the same YAML file through this loader, so that a model sees the same state in
training and in control.
"""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, ValidationError, model_validator

from mbrl_controller.base.errors import ContractError
from mbrl_controller.base.yaml_text import load_yaml
from mbrl_controller.contract.fields import Angle, Name, Range, Strict, Topic
from mbrl_controller.models.spec import describe_validation
from mbrl_controller.tasks.base import Task
from mbrl_controller.tasks.catalog import make_task
from mbrl_controller.tasks.spaces import ActionSpace

# Default of max_silence_s, in control periods. A source as fast as the control loop may be late by a fifth; and a
# plan made just before the limit is sent within two periods of the last measurement.
DEFAULT_SILENCE_PERIODS = 1.2


class _Source(Strict):
    topic: Topic
    max_age_s: float = Field(default=0.25, gt=0, le=60, description="a state with an older stamp is stale")
    max_silence_s: float | None = Field(
        default=None, gt=0, le=60, description="longest time without a newer measurement; None: 1.2 control periods"
    )
    valid: dict[Literal["position", "velocity"], Range] = Field(
        default_factory=dict, description="measurements by quantity, SI units; what is outside is a sensor fault"
    )
    publishers: Literal["one", "several"] = Field(
        default="one", description="one: hold while several nodes publish the topic; several: use the newest message"
    )


class JointSource(_Source):
    """Joints from sensor_msgs/JointState, found by name in any order."""

    type: Literal["sensor_msgs/msg/JointState"]
    joints: tuple[Name, ...] = Field(min_length=1)
    fields: tuple[Literal["position", "velocity"], ...] = ("position",)
    ignore_unknown: bool = Field(default=False, description="allow other joints in the message, such as an arm's")

    def entries(self) -> list[str]:
        """State entries from this source, in order."""
        return [f"{joint}.{quantity}" for quantity in self.fields for joint in self.joints]


class _ObjectSource(_Source):
    object: Name
    frame: Name = Field(default="world", description="required frame_id of the messages")

    def entries(self) -> list[str]:
        """State entries from this source, in order."""
        return [f"{self.object}.{quantity}.{axis}" for quantity in ("position", "velocity") for axis in "xyz"]


class OdometrySource(_ObjectSource):
    """An object from nav_msgs/Odometry.

    The twist is in the pose's frame if child_frame_id equals frame_id. Otherwise it is in the child frame, as in
    REP-105, and is rotated by the pose.
    """

    type: Literal["nav_msgs/msg/Odometry"]


class VelocityFilter(Strict):
    """Velocity from successive positions: difference quotient and first-order low-pass filter."""

    kind: Literal["low_pass"] = "low_pass"
    time_constant_s: float = Field(default=0.03, ge=0)


class PoseSource(_ObjectSource):
    """An object from geometry_msgs/PoseStamped, its velocity estimated by a filter."""

    type: Literal["geometry_msgs/msg/PoseStamped"]
    velocity_filter: VelocityFilter = VelocityFilter()


Source = Annotated[JointSource | OdometrySource | PoseSource, Field(discriminator="type")]


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


class ContractFile(Strict):
    """The YAML document."""

    format_version: Literal[1]
    robot: Name
    task: str
    task_options: dict[str, Any] = Field(default_factory=dict)
    control_period_s: float = Field(gt=0, le=10)
    state: tuple[Source, ...] = Field(min_length=1)
    command: Command

    @model_validator(mode="after")
    def _unique_topics(self) -> ContractFile:
        topics = [source.topic for source in self.state]
        if len(set(topics)) != len(topics):
            raise ValueError("two state sources share a topic; merge them into one")
        if self.command.topic in topics:
            raise ValueError(f"the command topic {self.command.topic} is a state's topic as well")
        return self


@dataclass(frozen=True)
class RobotContract:
    """A validated contract: its sources cover the task's state exactly."""

    file: ContractFile
    text: str
    task: Task
    action: ActionSpace
    order: np.ndarray  # task state = concatenated sources[order]; read-only

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the contract's content, without comments and layout."""
        return hashlib.sha256(self.file.model_dump_json().encode()).hexdigest()

    @property
    def sources(self) -> tuple[Source, ...]:
        """The state's sources, in file order."""
        return self.file.state

    def max_silence(self, source: Source) -> float:
        """Longest time (s) without a newer measurement of `source`."""
        return (
            DEFAULT_SILENCE_PERIODS * self.file.control_period_s
            if source.max_silence_s is None
            else source.max_silence_s
        )


def parse_contract(text: str, where: str = "contract") -> RobotContract:
    """Parse a contract's YAML text; raises ContractError naming `where`, the entry and the fault."""
    try:
        return _checked(text)
    except ContractError as error:
        raise ContractError(f"{where}: {error}") from error


@functools.lru_cache(maxsize=32)  # every episode of a log carries the same text
def _checked(text: str) -> RobotContract:
    try:
        document = load_yaml(text)
    except ValueError as error:
        raise ContractError(f"not valid YAML: {error}") from error
    if not isinstance(document, dict):
        raise ContractError("expected a mapping with format_version, robot, task, state, command")
    try:
        file = ContractFile.model_validate(document)
    except ValidationError as error:
        raise ContractError(describe_validation(error)) from error
    names = [joint.name for joint in file.command.joints]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ContractError(f"command.joints names {', '.join(twice)} twice")
    action = ActionSpace(
        names=tuple(names),
        lower=np.array([j.lower for j in file.command.joints]),
        upper=np.array([j.upper for j in file.command.joints]),
        neutral=np.array([j.neutral for j in file.command.joints]),
        max_rate=np.array([j.max_rate for j in file.command.joints]),
        period=file.control_period_s,
        stroke=file.command.stroke,
    )
    task = make_task(file.task, tuple(names), file.task_options, action)
    given = [entry for source in file.state for entry in source.entries()]
    missing = [name for name in task.state.names if name not in given]
    extra = [name for name in given if name not in task.state.names]
    if missing or extra or len(given) != len(set(given)):
        problems = [f"no source for [{', '.join(missing)}]"] if missing else []
        problems += [f"task {task.name} does not use [{', '.join(extra)}]"] if extra else []
        problems += ["an entry has two sources"] if len(given) != len(set(given)) else []
        raise ContractError(f"state: {'; '.join(problems)}")
    order = np.array([given.index(name) for name in task.state.names], dtype=np.intp)
    order.setflags(write=False)
    return RobotContract(file, text, task, action, order)


def load_contract(path: str | Path) -> RobotContract:
    """Read a contract file; raises ContractError."""
    path = Path(path)
    try:
        text = path.read_text()
    except (OSError, ValueError) as error:  # not text, or a NUL in the path
        raise ContractError(f"{path}: cannot be read: {error}") from error
    return parse_contract(text, str(path))
