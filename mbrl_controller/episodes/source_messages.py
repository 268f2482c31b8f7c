# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Messages as a hand's driver or a tracker would send them: what `SourceReader` reads, backwards."""

from __future__ import annotations

from typing import Any

import numpy as np

from mbrl_controller.contract.frames import Pose
from mbrl_controller.contract.joint_reader import driver_values
from mbrl_controller.contract.source_reader import STAMP_LABEL
from mbrl_controller.contract.sources import (
    COMPONENTS,
    ArraySource,
    JointSource,
    ObjectSource,
    OdometrySource,
    Source,
    Transform,
    TransformSource,
)
from mbrl_controller.episodes import ros_messages
from mbrl_controller.tasks.orientation import IDENTITY, axes_to_quaternion
from mbrl_controller.tasks.spaces import Array

TRACKER = "tracker"  # frame of simulated messages where the contract's transform names none


def source_message(source: Source, values: Array, stamp: int, *, stamped: bool = True) -> Any:
    """Message from which `SourceReader` reads `values`, but for velocities that it derives.

    Args:
        source: of the contract.
        values: [n] in the source's order, SI units.
        stamp: time of measurement, ns.
        stamped: let an array say its stamp, as no driver's does: for times that pass otherwise than here.
    """
    values = np.asarray(values, dtype=float)
    if isinstance(source, JointSource):
        return _joints(source, values, stamp)
    if isinstance(source, ArraySource):
        data = np.zeros(max(source.elements.values()) + 1)
        data[list(source.elements.values())] = values
        return ros_messages.multi_array(data, [f"{STAMP_LABEL}{stamp}"] if stamped else (), source.type)
    return _object(source, values, stamp)


def _joints(source: JointSource, values: Array, stamp: int) -> Any:
    joints, n = source.joint_map, len(source.names)
    fields = {field: driver_values(joints, values[i * n : (i + 1) * n], field) for i, field in enumerate(source.fields)}
    names = joints.names if source.by == "name" else ()
    return ros_messages.joint_state(
        names, fields.get("position", ()), stamp, fields.get("velocity", ()), fields.get("effort", ())
    )


def _object(source: ObjectSource, values: Array, stamp: int) -> Any:
    parts: dict[str, Array] = {}
    for field in source.fields:
        size = len(COMPONENTS[field])
        parts[field], values = values[:size], values[size:]
    frame, transform = source.frame, source.transform
    if isinstance(transform, Transform):
        frame = transform.frame_id or TRACKER
        back = Pose.of(np.array(transform.translation), np.array(transform.rotation)).inverse()
        turns = {"position": back.point, "orientation": back.axes}
        parts = {field: turns.get(field, back.vector)(value) for field, value in parts.items()}
    position, velocity = (parts.get(field, np.zeros(3)) for field in ("position", "velocity"))
    x, y, z, w = axes_to_quaternion(parts.get("orientation", IDENTITY)).tolist()
    if isinstance(source, OdometrySource):
        spin = parts.get("angular_velocity", np.zeros(3))
        return ros_messages.odometry(stamp, frame, position, velocity, (w, x, y, z), spin.tolist())
    if isinstance(source, TransformSource):
        return ros_messages.transforms(stamp, frame, source.child_frame, position, (w, x, y, z))
    return ros_messages.pose(stamp, frame, position, (w, x, y, z))
