# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Orientations as two unit axes: six numbers without a jump, for states, goals and rewards.

A quaternion and its negative are one orientation, and angles jump after a turn; neither suits a network. The first two
columns of the rotation matrix do (Zhou et al., "On the Continuity of Rotation Representations in Neural Networks", CVPR
2019): they are the directions of the object's x and y axis in the frame of the measurement. The third follows.

Shapes: quaternions [..., 4] as x, y, z, w (ROS); axes [..., 6] as x axis, y axis; matrices [..., 3, 3] with the axes as
columns. Leading axes broadcast. The functions of axes use array operations without assignment, so that other array
libraries can trace them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mbrl_controller.tasks.spaces import AXES as AXES
from mbrl_controller.tasks.spaces import Array

TINY = 1e-9  # below it a direction is no direction
ALONG = 1e-5  # sine of the angle between two axes below which they count as one; float32 tells no smaller ones apart
IDENTITY = np.array([1.0, 0.0, 0.0, 0.0, 1.0, 0.0])
IDENTITY.setflags(write=False)


def quaternion_to_axes(quaternion: Array) -> Array:
    """Axes [..., 6] of quaternions [..., 4] of any length but zero."""
    q = np.asarray(quaternion, dtype=float)
    x, y, z, w = np.moveaxis(q / np.linalg.norm(q, axis=-1, keepdims=True), -1, 0)
    return np.stack([
        1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y),
        2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x),
    ], axis=-1)  # fmt: skip


def axes_to_quaternion(axes: Array) -> Array:
    """Unit quaternions [..., 4] with w >= 0 of axes [..., 6]."""
    m = axes_to_matrix(axes)
    xx, yy, zz = m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]
    # Four times the square of each component. The largest one gives the others without cancellation (Shepperd 1978).
    square = 1 + np.stack([xx - yy - zz, yy - xx - zz, zz - xx - yy, xx + yy + zz], axis=-1)
    yx, zy, xz = m[..., 1, 0] + m[..., 0, 1], m[..., 2, 1] + m[..., 1, 2], m[..., 0, 2] + m[..., 2, 0]
    wx, wy, wz = m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]
    products = np.stack([
        np.stack([square[..., 0], yx, xz, wx], axis=-1),
        np.stack([yx, square[..., 1], zy, wy], axis=-1),
        np.stack([xz, zy, square[..., 2], wz], axis=-1),
        np.stack([wx, wy, wz, square[..., 3]], axis=-1),
    ], axis=-2)  # fmt: skip
    q = np.take_along_axis(products, np.argmax(square, axis=-1)[..., None, None], axis=-2)[..., 0, :]
    unit: Array = q / np.linalg.norm(q, axis=-1, keepdims=True) * np.where(q[..., 3:] < 0, -1.0, 1.0)
    return unit


def axes_to_matrix(axes: Array) -> Array:
    """Rotation matrices [..., 3, 3] of axes [..., 6], made orthonormal."""
    a = orthonormal(axes)
    x, y = a[..., :3], a[..., 3:]
    return np.stack([x, y, np.cross(x, y)], axis=-1)


def matrix_to_axes(matrix: Array) -> Array:
    """Axes [..., 6] of rotation matrices [..., 3, 3]."""
    m = np.asarray(matrix)
    return np.concatenate([m[..., :, 0], m[..., :, 1]], axis=-1)


def orthonormal(axes: Array) -> Array:
    """The nearest proper axes [..., 6] in Gram-Schmidt's sense: x keeps its direction, y what is across it.

    Defined everywhere: an x axis without length becomes (1, 0, 0), and a y axis along x some direction across it.
    dynamics/turning.py has the same for the networks.
    """
    a = np.asarray(axes)
    x = _unit(a[..., :3], TINY, np.array([1.0, 0.0, 0.0], dtype=a.dtype))
    shortest = np.maximum(ALONG * np.linalg.norm(a[..., 3:], axis=-1, keepdims=True), TINY)
    y = a[..., 3:] - (x * a[..., 3:]).sum(-1, keepdims=True) * x
    # The unit vector that x is least along, made to lie across x: never without length.
    spare = (np.abs(x) <= np.abs(x).min(-1, keepdims=True)).astype(x.dtype)
    spare = spare * (np.cumsum(spare, axis=-1) == 1)
    spare = spare - (x * spare).sum(-1, keepdims=True) * x
    y = _unit(y, shortest, spare / np.linalg.norm(spare, axis=-1, keepdims=True))
    y = y - (x * y).sum(-1, keepdims=True) * x  # again: a short y leaves rounding errors along x
    return np.concatenate([x, y / np.linalg.norm(y, axis=-1, keepdims=True)], axis=-1)


def _unit(vector: Array, shortest: float | Array, otherwise: Array) -> Array:
    length = np.linalg.norm(vector, axis=-1, keepdims=True)
    long = length > shortest
    return np.where(long, vector / np.where(long, length, 1.0), otherwise)


def made_orthonormal(state: Array, starts: Sequence[int]) -> Array:
    """States [..., S] with proper axes in the six entries from each of `starts`; the same array if there are none."""
    if not starts:
        return state
    made = np.array(state)
    for start in starts:
        made[..., start : start + 6] = orthonormal(made[..., start : start + 6])
    return made


def compose(rotation: Array, axes: Array) -> Array:
    """Axes [..., 6] turned by the rotation [..., 6], about axes of the measurement's frame."""
    turned = axes_to_matrix(rotation) @ axes_to_matrix(axes)
    return matrix_to_axes(turned)


def inverse(axes: Array) -> Array:
    """The rotation [..., 6] that undoes `axes`."""
    return matrix_to_axes(np.swapaxes(axes_to_matrix(axes), -1, -2))


def about(axis: Array, angle: Array) -> Array:
    """The rotation [..., 6] by `angle` [...] (rad) about the direction `axis` [..., 3]."""
    u = np.asarray(axis, dtype=float)
    u = u / np.linalg.norm(u, axis=-1, keepdims=True)
    half = 0.5 * np.asarray(angle, dtype=float)[..., None]
    return quaternion_to_axes(np.concatenate([*np.broadcast_arrays(u * np.sin(half)), np.cos(half)], axis=-1))


def angle_between(one: Array, other: Array) -> Array:
    """Angle [...] (rad, 0 to pi) of the smallest rotation from one orientation to the other [..., 6].

    From sine and cosine, so that small angles and half turns are as exact as others.
    """
    angle: Array = np.linalg.norm(rotation_vector(one, other), axis=-1)
    return angle


def rotation_vector(earlier: Array, later: Array) -> Array:
    """Axis times angle [..., 3] (rad), in the measurement's frame, of the smallest rotation from earlier to later."""
    q = axes_to_quaternion(matrix_to_axes(axes_to_matrix(later) @ np.swapaxes(axes_to_matrix(earlier), -1, -2)))
    sine = np.linalg.norm(q[..., :3], axis=-1, keepdims=True)
    angle = 2 * np.arctan2(sine, q[..., 3:])
    vector: Array = q[..., :3] * np.where(sine > TINY, angle / np.where(sine > TINY, sine, 1.0), 2.0)
    return vector


def angular_velocity(earlier: Array, later: Array, seconds: float) -> Array:
    """Mean angular velocity [..., 3] (rad/s, in the measurement's frame) between two orientations [..., 6]."""
    return rotation_vector(earlier, later) / seconds


def angle_to_symmetric(one: Array, other: Array, group: Array) -> Array:
    """Angle [...] (rad) between two orientations [..., 6] of an object that looks the same after each rotation of
    `group` [K, 6], given in the object's own frame; the group holds the identity."""
    turned = axes_to_matrix(np.asarray(one)[..., None, :]) @ axes_to_matrix(group)
    angles: Array = angle_between(matrix_to_axes(turned), np.asarray(other)[..., None, :])
    nearest: Array = angles.min(-1)
    return nearest


def angle_between_axes(one: Array, other: Array) -> Array:
    """Angle [...] (rad) between two directions [..., 3]: of what looks the same when turned about its axis."""
    a, b = np.asarray(one), np.asarray(other)
    angle: Array = np.arctan2(np.linalg.norm(np.cross(a, b), axis=-1), (a * b).sum(-1))
    return angle


def cube_group() -> Array:
    """The 24 rotations [24, 6] after which a cube looks the same."""
    units = [sign * np.eye(3)[i] for i in range(3) for sign in (1.0, -1.0)]
    return np.array([np.concatenate([x, y]) for x in units for y in units if abs(x @ y) < 0.5])


def random_orientation(rng: np.random.Generator) -> Array:
    """An orientation [6], all equally likely."""
    return quaternion_to_axes(rng.standard_normal(4))
