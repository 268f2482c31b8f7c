# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Vectors to messages and back; message classes by name."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
from builtin_interfaces.msg import Duration, Time
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray, MultiArrayDimension
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from mbrl_controller.base.errors import GoalError, MbrlError
from mbrl_controller.contract import ros_types
from mbrl_controller.contract.command_messages import CommandMessage
from mbrl_controller.tasks.base import Task, WaypointGoal
from mbrl_controller.tasks.spaces import Array


def message_class(type_name: str) -> Any:
    """The rclpy class of a message type such as sensor_msgs/msg/JointState; raises MbrlError where it is not there."""
    package, _, name = type_name.split("/")
    try:
        return getattr(importlib.import_module(f"{package}.msg"), name)
    except ImportError as error:
        raise MbrlError(
            f"messages of type {type_name} need the ROS package {package}, which is not installed: take it from a ROS "
            "installation, since not all packages exist as wheels"
        ) from error


def to_time(stamp: float) -> Time:
    """A time in s as a stamp, to the ns that a float of that size holds."""
    seconds = int(stamp)
    nanoseconds = round((stamp - seconds) * 1e9)
    return Time(sec=seconds + nanoseconds // 10**9, nanosec=nanoseconds % 10**9)


def to_duration(seconds: float) -> Duration:
    """A duration in s."""
    time = to_time(seconds)
    return Duration(sec=time.sec, nanosec=time.nanosec)


def joint_state(names: tuple[str, ...], position: Array, stamp: float) -> JointState:
    """Positions [A] (rad) by joint name."""
    message = JointState(name=list(names), position=position.tolist())
    message.header.stamp = to_time(stamp)
    return message


def trajectory(names: tuple[str, ...], rows: Array, times: Array, stamp: float | None) -> JointTrajectory:
    """Rows [n, len(names)] at `times` [n] (s) from `stamp` (s); None: from receipt."""
    message = JointTrajectory(joint_names=list(names))
    if stamp is not None:
        message.header.stamp = to_time(stamp)
    message.points = [
        JointTrajectoryPoint(positions=row.tolist(), time_from_start=to_duration(float(time)))
        for row, time in zip(rows, times, strict=True)
    ]
    return message


def command(content: CommandMessage, stamp: float) -> Any:
    """The message of a command; `stamp` (s) is a JointState's."""
    if content.type == ros_types.MULTI_ARRAY:
        return Float64MultiArray(data=content.values[0].tolist())
    if content.type == ros_types.JOINT_STATE:
        return joint_state(content.names, content.values[0], stamp)
    # No stamp: the trajectory starts when it is received, whatever the driver's clock says.
    return trajectory(content.names, content.values, content.times, None)


def named_row(names: tuple[str, ...]) -> Float64MultiArray:
    """A row whose entries are named by `layout.dim`; fill `data` and publish it again and again."""
    message = Float64MultiArray(data=[float("nan")] * len(names))
    message.layout.dim = [MultiArrayDimension(label=name, size=1, stride=1) for name in names]
    return message


def read_goal(task: Task, message: Any) -> WaypointGoal:
    """A goal from a JointTrajectory whose joints are the task's goal entries; raises GoalError saying what is wrong."""
    names, wanted = list(message.joint_names), task.goal.names
    if sorted(names) != sorted(wanted):
        raise GoalError(f"{task.name}: joint_names must be [{', '.join(wanted)}], got [{', '.join(names)}]")
    if not message.points:
        raise GoalError(f"{task.name}: the goal has no points")
    order = [names.index(name) for name in wanted]
    rows, times = [], []
    for i, point in enumerate(message.points):
        if len(point.positions) != len(names):
            raise GoalError(f"{task.name}: point {i} has {len(point.positions)} positions for {len(names)} names")
        rows.append([point.positions[j] for j in order])
        times.append(point.time_from_start.sec + 1e-9 * point.time_from_start.nanosec)
    if (np.diff(times) <= 0).any():
        raise GoalError(f"{task.name}: time_from_start must increase from point to point, got {times}")
    values = np.array(rows, dtype=float)
    task.check_goal(values)
    return WaypointGoal(np.array(times), values)
