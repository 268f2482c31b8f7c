# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""ROS messages without ROS: definitions, CDR bytes and small constructors, from `rosbags`.

Without ROS installed, commands write the same bytes that the nodes send.
"""

from __future__ import annotations

import functools
import json
import struct
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

import numpy as np
from rosbags.typesys import Stores, get_typestore

from mbrl_controller.base.errors import EpisodeError, MessageError
from mbrl_controller.contract import ros_types
from mbrl_controller.tasks.spaces import Array

NANO = 1_000_000_000
MAX_STAMP = 2**63 // NANO  # s


@functools.cache
def typestore() -> Any:
    """Message types of the ROS distribution that episodes are written for."""
    return get_typestore(Stores.ROS2_JAZZY)


@functools.cache
def definition(name: str) -> tuple[str, str]:
    """(definition text with its dependencies, RIHS01 hash) of a message type; raises EpisodeError if unknown."""
    store = typestore()
    if name not in store.types:
        raise EpisodeError(f"message type {name!r} is not one of the ROS common interfaces: it cannot be logged")
    return store.generate_msgdef(name, ros_version=2)[0], store.hash_rihs01(name)


def encode(message: Any) -> bytes:
    """CDR bytes of a message made in this module."""
    return bytes(typestore().serialize_cdr(message, message.__msgtype__))


def decode(data: bytes, name: str) -> Any:
    """Decode CDR `data`; raises MessageError for bytes that are not a message of type `name`."""
    try:
        return typestore().deserialize_cdr(data, name)
    except Exception as error:  # generated code raises all kinds of errors
        raise MessageError(f"{len(data)} bytes are not a valid {name}: {error}") from error


def stamp_ns(message: Any) -> int:
    """Header stamp in ns."""
    return int(message.header.stamp.sec) * NANO + int(message.header.stamp.nanosec)


def peek_stamp_ns(data: bytes) -> int | None:
    """Header stamp (ns) of CDR `data` without decoding it; None if too short. The type must begin with a header."""
    if len(data) < 12:
        return None
    seconds, nanoseconds = struct.unpack_from("<iI" if data[1] else ">iI", data, 4)
    return int(seconds) * NANO + int(nanoseconds)


def is_stamp(seconds: Any) -> TypeGuard[float]:
    """Whether a JSON value is a time (s) that fits into a 64-bit stamp (ns)."""
    return isinstance(seconds, int | float) and not isinstance(seconds, bool) and abs(seconds) < MAX_STAMP


def to_ns(seconds: float) -> int:
    """ns from s."""
    return round(seconds * NANO)


def joint_state(
    names: Sequence[str],
    position: Array | Sequence[float],
    stamp: int,
    velocity: Array | Sequence[float] = (),
    effort: Array | Sequence[float] = (),
) -> Any:
    """JointState at `stamp` (ns): rad, rad/s, N m."""
    return _type(ros_types.JOINT_STATE)(
        header=_header(stamp), name=list(names), position=_f8(position), velocity=_f8(velocity), effort=_f8(effort)
    )


def odometry(
    stamp: int,
    frame: str,
    position: Array,
    velocity: Array,
    orientation: Sequence[float] = (1.0, 0.0, 0.0, 0.0),
    angular: Sequence[float] = (0.0, 0.0, 0.0),
    child_frame: str | None = None,
) -> Any:
    """Odometry at `stamp` (ns): m, m/s, quaternion (w, x, y, z), rad/s.

    The twist is in `child_frame`, by default `frame` itself, so that the state needs no rotation.
    """
    twist = _type("geometry_msgs/msg/Twist")(linear=_vector(velocity), angular=_vector(angular))
    return _type(ros_types.ODOMETRY)(
        header=_header(stamp, frame),
        child_frame_id=frame if child_frame is None else child_frame,
        pose=_type("geometry_msgs/msg/PoseWithCovariance")(pose=_pose(position, orientation), covariance=np.zeros(36)),
        twist=_type("geometry_msgs/msg/TwistWithCovariance")(twist=twist, covariance=np.zeros(36)),
    )


def pose(stamp: int, frame: str, position: Array, orientation: Sequence[float] = (1.0, 0.0, 0.0, 0.0)) -> Any:
    """PoseStamped at `stamp` (ns): m, quaternion (w, x, y, z)."""
    return _type(ros_types.POSE)(header=_header(stamp, frame), pose=_pose(position, orientation))


def transforms(
    stamp: int, frame: str, child: str, position: Array, orientation: Sequence[float] = (1.0, 0.0, 0.0, 0.0)
) -> Any:
    """TFMessage with the pose of one frame in another at `stamp` (ns): m, quaternion (w, x, y, z)."""
    placed = _pose(position, orientation)
    transform = _type("geometry_msgs/msg/Transform")(translation=_vector(position), rotation=placed.orientation)
    stamped = _type("geometry_msgs/msg/TransformStamped")(
        header=_header(stamp, frame), child_frame_id=child, transform=transform
    )
    return _type(ros_types.TRANSFORMS)(transforms=[stamped])


def multi_array(
    values: Array | Sequence[float], labels: Sequence[str] = (), type_name: str = ros_types.MULTI_ARRAY
) -> Any:
    """Float64MultiArray or Float32MultiArray; with labels, `layout.dim[i].label` names entry i."""
    dimension = _type("std_msgs/msg/MultiArrayDimension")
    dims = [dimension(label=label, size=1, stride=1) for label in labels]
    layout = _type("std_msgs/msg/MultiArrayLayout")(dim=dims, data_offset=0)
    number = np.float32 if type_name == ros_types.MULTI_ARRAY_32 else np.float64
    return _type(type_name)(layout=layout, data=np.asarray(values, dtype=number))


def float64(value: float) -> Any:
    """Float64."""
    return _type(ros_types.FLOAT64)(data=float(value))


def trajectory(names: Sequence[str], points: Array, times: Sequence[float], stamp: int) -> Any:
    """JointTrajectory: positions [P, J] at `times` [P] (s) after `stamp` (ns)."""
    point, duration = _type("trajectory_msgs/msg/JointTrajectoryPoint"), _type("builtin_interfaces/msg/Duration")
    none = np.zeros(0)
    rows = [
        point(
            positions=_f8(row),
            velocities=none,
            accelerations=none,
            effort=none,
            time_from_start=duration(sec=to_ns(at) // NANO, nanosec=to_ns(at) % NANO),
        )
        for row, at in zip(points, times, strict=True)
    ]
    return _type(ros_types.TRAJECTORY)(header=_header(stamp), joint_names=list(names), points=rows)


def string(text: str) -> Any:
    """String."""
    return _type(ros_types.STRING)(data=text)


def json_string(content: Mapping[str, Any]) -> Any:
    """String holding JSON."""
    return string(json.dumps(content))


def clock(stamp: int) -> Any:
    """Clock at `stamp` (ns)."""
    return _type(ros_types.CLOCK)(clock=_time(stamp))


@functools.cache
def _type(name: str) -> Any:
    return typestore().types[name]


def _time(stamp: int) -> Any:
    return _type("builtin_interfaces/msg/Time")(sec=stamp // NANO, nanosec=stamp % NANO)


def _header(stamp: int, frame: str = "") -> Any:
    return _type("std_msgs/msg/Header")(stamp=_time(stamp), frame_id=frame)


def _f8(values: Array | Sequence[float]) -> Array:
    return np.asarray(values, dtype=np.float64, order="C")


def _vector(values: Array | Sequence[float]) -> Any:
    x, y, z = (float(v) for v in values)
    return _type("geometry_msgs/msg/Vector3")(x=x, y=y, z=z)


def _pose(position: Array, orientation: Sequence[float]) -> Any:
    x, y, z = (float(v) for v in position)
    qw, qx, qy, qz = (float(v) for v in orientation)
    return _type("geometry_msgs/msg/Pose")(
        position=_type("geometry_msgs/msg/Point")(x=x, y=y, z=z),
        orientation=_type("geometry_msgs/msg/Quaternion")(x=qx, y=qy, z=qz, w=qw),
    )
