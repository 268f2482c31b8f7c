# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Messages with an object's pose to its entries in the contract's frame; velocity from successive poses."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mbrl_controller.base.errors import MessageError
from mbrl_controller.contract.frames import TF_STATIC, UNIT_TOLERANCE, Pose, StaticFrames, xyz, xyzw
from mbrl_controller.contract.sources import ObjectSource, OdometrySource, Transform, TransformSource
from mbrl_controller.tasks.orientation import rotation_vector
from mbrl_controller.tasks.spaces import Array

_TINY = 1e-12  # below it a sine is that of no rotation


class ObjectReader:
    """Reads the fields that a message itself has; velocities that it has not are left to `VelocityEstimate`."""

    def __init__(self, source: ObjectSource, frames: StaticFrames) -> None:
        self._source, self._frames = source, frames
        self._fields = [field for field in source.fields if field not in source.derived]
        transform = source.transform
        self._used: dict[str, Pose] = {}  # by the messages' frame_id: its pose at the last message
        self.has_moved = False  # whether that of the last message's frame was another one before
        self._given = None
        if isinstance(transform, Transform):
            self._given = Pose.of(np.array(transform.translation), np.array(transform.rotation))

    def values(self, message: Any) -> Array:
        """[n] in the order of the source's fields, without the derived ones. `message`: a transform for TFMessage."""
        source, frame = self._source, self._pose_of(message.header.frame_id)
        if isinstance(source, TransformSource):
            position, orientation = message.transform.translation, message.transform.rotation
        else:
            pose = message.pose.pose if isinstance(source, OdometrySource) else message.pose
            position, orientation = pose.position, pose.orientation
        turned = isinstance(source, OdometrySource) and message.child_frame_id != message.header.frame_id
        moving = turned and ("velocity" in self._fields or "angular_velocity" in self._fields)
        quaternion = self._unit(orientation) if moving or "orientation" in self._fields else None
        parts = []
        for field in self._fields:
            if field == "position":
                value = xyz(position)
                parts.append(value if frame is None else frame.point(value))
            elif field == "orientation":
                assert quaternion is not None
                axes = _axes(*quaternion.tolist())
                parts.append(axes if frame is None else frame.axes(axes))
            else:
                twist = message.twist.twist
                value = xyz(twist.linear if field == "velocity" else twist.angular)
                if turned:
                    assert quaternion is not None
                    value = _rotate(quaternion, value)
                parts.append(value if frame is None else frame.vector(value))
        return np.concatenate(parts)

    def _pose_of(self, frame: str) -> Pose | None:
        """Pose of the message's frame in the contract's; None: they are the same."""
        source, transform = self._source, self._source.transform
        if isinstance(transform, Transform):
            if transform.frame_id is not None and frame != transform.frame_id:
                raise MessageError(
                    f"{source.topic}: frame_id is {frame!r}, the contract's transform is of {transform.frame_id!r}"
                )
            return self._given
        if frame == source.frame:
            return None
        if transform != "tf":
            raise MessageError(f"{source.topic}: frame_id is {frame!r}, the contract says {source.frame!r}")
        pose = self._frames.pose(frame, source.frame)
        if pose is None:
            raise MessageError(
                f"{source.topic}: no transform from frame {frame!r} to {source.frame!r} on {TF_STATIC} yet"
            )
        before = self._used.get(frame)
        self.has_moved = before is not None and not pose.equals(before)
        self._used[frame] = pose
        return pose

    def _unit(self, message: Any) -> Array:
        quaternion = xyzw(message)
        if not abs(np.linalg.norm(quaternion) - 1) < UNIT_TOLERANCE:
            x, y, z, w = quaternion.tolist()
            raise MessageError(
                f"{self._source.topic}: the orientation of {self._source.object} is not a unit quaternion: "
                f"x {x:.4g}, y {y:.4g}, z {z:.4g}, w {w:.4g}"
            )
        return quaternion


class VelocityEstimate:
    """Velocity and angular velocity from successive poses: difference quotient and first-order low-pass filter.

    Feed it each pose in order. After a gap of more than `gap_s` it starts anew, at zero: the mean velocity over a gap,
    in which a scene may have been reset, is that of nothing.
    """

    def __init__(self, source: ObjectSource, time_constant_s: float, gap_s: float) -> None:
        self._time_constant, self._gap = time_constant_s, gap_s
        self._fields = source.fields
        sizes = {"position": 3, "orientation": 6}
        self._at: dict[str, slice] = {}  # of the measured fields, in the message's values
        begin = 0
        for field in source.fields:
            if field not in source.derived:
                self._at[field] = slice(begin, begin + sizes[field])
                begin += sizes[field]
        self._last: tuple[float, Array, dict[str, Array]] | None = None
        self._next: tuple[float, Array, dict[str, Array]] | None = None

    def reset(self) -> None:
        """Forget earlier poses."""
        self._last = self._next = None

    def complete(self, stamp: float, measured: Array) -> Array:
        """All fields [n] of the pose `measured` at `stamp` (s). It counts for later ones once it is `accepted`."""
        self._next = None
        rates: dict[str, Array] = {field: np.zeros(3) for field in self._fields if field not in self._at}
        if self._last is not None:
            then, before, rates = self._last
            step = stamp - then
            if step <= 0:  # late or repeated: the filter is already past it
                return self._joined(measured, rates)
            if step > self._gap:
                rates = {field: np.zeros(3) for field in rates}
            else:
                gain = step / (step + self._time_constant)
                rates = {
                    field: rate + gain * (self._moved(field, before, measured) / step - rate)
                    for field, rate in rates.items()
                }
        self._next = (stamp, measured, rates)
        return self._joined(measured, rates)

    def accepted(self) -> None:
        """Keep the pose completed last; a rejected one must not change the filter."""
        if self._next is not None:
            self._last, self._next = self._next, None

    def _moved(self, field: str, before: Array, after: Array) -> Array:
        if field == "velocity":
            at = self._at["position"]
            moved: Array = after[at] - before[at]
            return moved
        at = self._at["orientation"]
        return rotation_between(before[at], after[at])

    def _joined(self, measured: Array, rates: dict[str, Array]) -> Array:
        return np.concatenate([rates[f] if f in rates else measured[self._at[f]] for f in self._fields])


def rotation_between(before: Array, after: Array) -> Array:
    """`tasks.orientation.rotation_vector` [3] (rad) of one pair of orientations [6], for what must be done with every
    message: the arrays' functions would take a hundred times as long."""
    b, a = before.tolist(), after.tolist()
    columns = list(zip((*b, *_cross(b)), (*a, *_cross(a)), strict=True))
    m = [[sum(columns[k + j][0] * columns[k + i][1] for k in (0, 3, 6)) for j in range(3)] for i in range(3)]
    if (twice_cosine := m[0][0] + m[1][1] + m[2][2] - 1.0) < 0:  # near half a turn the sine says little of the axis
        return rotation_vector(before, after)
    w = (m[2][1] - m[1][2], m[0][2] - m[2][0], m[1][0] - m[0][1])  # axis times twice the sine
    twice_sine = math.hypot(*w)
    scale = math.atan2(twice_sine, twice_cosine) / twice_sine if twice_sine > _TINY else 0.5
    return np.array([scale * value for value in w])


def _cross(axes: list[float]) -> tuple[float, float, float]:
    """The z axis of the x and y axes [6]."""
    a, b, c, d, e, f = axes
    return (b * f - c * e, c * d - a * f, a * e - b * d)


def _axes(x: float, y: float, z: float, w: float) -> Array:
    """`tasks.orientation.quaternion_to_axes` of one quaternion, for the same reason."""
    n = math.sqrt(x * x + y * y + z * z + w * w)
    x, y, z, w = x / n, y / n, z / n, w / n
    xy, xz, yz, wx, wy, wz = x * y, x * z, y * z, w * x, w * y, w * z
    return np.array(
        [
            *(1 - 2 * (y * y + z * z), 2 * (xy + wz), 2 * (xz - wy)),
            *(2 * (xy - wz), 1 - 2 * (x * x + z * z), 2 * (yz + wx)),
        ]
    )


def _rotate(quaternion: Array, vector: Array) -> Array:
    """Rotate `vector` by a unit quaternion (x, y, z, w)."""
    w, axis = quaternion[3], quaternion[:3]
    cross = np.cross(axis, vector)
    rotated: Array = vector + 2 * (w * cross + np.cross(axis, cross))
    return rotated
