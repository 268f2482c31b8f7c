# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Joint targets to what a command message holds, and back.

Messages are read by attribute only, so rclpy's and rosbags' classes both work. The sim, the logs' reader and whoever
listens to commands share this file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mbrl_controller.base.errors import MessageError
from mbrl_controller.contract import ros_types
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.contract.destinations import Destination
from mbrl_controller.tasks.spaces import Array


@dataclass(frozen=True)
class CommandMessage:
    """What a message of one command topic holds."""

    type: str
    names: tuple[str, ...]  # of the driver; empty: its joints by index
    values: Array  # [P, n] in the driver's units; more than one point in trajectories alone
    times: Array  # [P] s from receipt


def encode_command(to: Destination, targets: Array, period: float) -> CommandMessage:
    """The message for a destination.

    Args:
        to: topic, joints and their mapping.
        targets: the command and the plan's targets after it [P, A] (rad), all within the joints' limits.
        period: s between them; the first is to be reached after one.
    """
    angles = targets[: to.points, to.at]
    values = to.map.to_driver(angles)
    if to.map.whole.any():
        values = np.clip(np.where(to.map.whole, np.rint(values), values), to.lower, to.upper)
    names = to.map.names if to.file.by_name else ()
    return CommandMessage(to.type, names, values, period * np.arange(1, len(values) + 1))


def read_command(contract: RobotContract, topic: str, message: Any) -> Array:
    """Joint targets [A] (rad) in a message of the contract's command `topic`; NaN for the joints that it does not
    command. Of a trajectory, its first point. Raises MessageError saying what is wrong and where."""
    target: Array = read_plan(contract, topic, message)[1][0]
    return target


def read_plan(contract: RobotContract, topic: str, message: Any) -> tuple[Array, Array]:
    """All points of a command message: times [P] (s from receipt; 0 where it has none) and targets [P, A]. As
    `read_command` otherwise."""
    to = contract.destination(topic)
    if to.type == ros_types.TRAJECTORY:
        times, rows = _trajectory(to, message)
    else:
        times, rows = np.zeros(1), _row(to, message)[None]
    if to.raw is not None:
        outside = np.argwhere((rows < to.raw.lower) | (rows > to.raw.upper))
        for point, joint in outside[:1]:
            raise MessageError(
                f"command: {to.map.joints[joint]} = {rows[point, joint]:.6g} is outside what the driver of {to.topic} "
                f"takes, [{to.raw.lower:.6g}, {to.raw.upper:.6g}]"
            )
    targets = np.full((len(rows), len(contract.action)), np.nan)
    targets[:, to.at] = to.map.to_angles(rows)
    return times, targets


def _row(to: Destination, message: Any) -> Array:
    """Driver's values [n]; NaN for joints that a JointState does not name."""
    given = message.data if to.type == ros_types.MULTI_ARRAY else message.position
    values = _finite(to, np.asarray(given, dtype=float))
    if to.file.by_name:
        names = list(message.name)
        if len(names) != len(values) or not names:
            raise MessageError(f"command: {len(values)} positions for {len(names)} names on {to.topic}")
        row = np.full(len(to.at), np.nan)
        row[_indices(to, names)] = values
        return row
    if values.shape != to.at.shape:
        raise MessageError(f"command: {values.size} values for {len(to.at)} joints on {to.topic}")
    return values


def _trajectory(to: Destination, message: Any) -> tuple[Array, Array]:
    names = list(message.joint_names)
    if not message.points or sorted(names) != sorted(to.map.names):
        raise MessageError(
            f"command: expected one point or more for joints {', '.join(to.map.names)} on {to.topic}, got "
            f"{len(message.points)} for {', '.join(map(str, names)) or 'none'}"
        )
    order = _indices(to, names)
    rows, times = np.empty((len(message.points), len(names))), np.empty(len(message.points))
    for i, point in enumerate(message.points):
        given = _finite(to, np.asarray(point.positions, dtype=float))
        if given.shape != (len(names),):
            raise MessageError(f"command: {given.size} positions for {len(names)} joints on {to.topic}")
        rows[i, order] = given
        times[i] = point.time_from_start.sec + 1e-9 * point.time_from_start.nanosec
    if (np.diff(times) <= 0).any():
        raise MessageError(f"command: time_from_start does not increase from point to point on {to.topic}")
    return times, rows


def _indices(to: Destination, names: Sequence[str]) -> list[int]:
    """Where the named joints are among the destination's."""
    known = {name: i for i, name in enumerate(to.map.names)}
    unknown = [name for name in names if name not in known]
    if unknown or len(set(names)) != len(names):
        what = f"unknown joint {', '.join(map(str, unknown[:8]))}" if unknown else "a joint is named twice"
        raise MessageError(f"command: {what} on {to.topic}")
    return [known[name] for name in names]


def _finite(to: Destination, values: Array) -> Array:
    if values.ndim != 1 or not np.isfinite(values).all():
        raise MessageError(f"command: non-finite value on {to.topic}")
    return values
