# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""From one frame to another: poses that stand still, given or heard on /tf_static."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mbrl_controller.base.errors import MessageError
from mbrl_controller.tasks.orientation import axes_to_matrix, quaternion_to_axes
from mbrl_controller.tasks.spaces import Array

TF_STATIC = "/tf_static"
MAX_FRAMES = 10_000  # of all robots on a network
UNIT_TOLERANCE = 0.01  # of a quaternion's length: beyond it, it is none


@dataclass(frozen=True, eq=False)
class Pose:
    """Where a frame is in another: turns vectors of the first into vectors of the second."""

    rotation: Array  # [3, 3], the first frame's axes as columns
    translation: Array  # [3] m

    @classmethod
    def of(cls, translation: Array, quaternion: Array) -> Pose:
        """From a position [3] (m) and a quaternion x, y, z, w [4]."""
        return cls(axes_to_matrix(quaternion_to_axes(quaternion)), np.asarray(translation, dtype=float))

    def equals(self, other: Pose) -> bool:
        """Whether they are the same, to the bit."""
        return self is other or (
            np.array_equal(self.rotation, other.rotation) and np.array_equal(self.translation, other.translation)
        )

    def after(self, first: Pose) -> Pose:
        """`first`, then this."""
        return Pose(self.rotation @ first.rotation, self.point(first.translation))

    def inverse(self) -> Pose:
        """The way back."""
        return Pose(self.rotation.T, -self.rotation.T @ self.translation)

    def point(self, position: Array) -> Array:
        """A position [3] in the second frame."""
        moved: Array = self.rotation @ position + self.translation
        return moved

    def vector(self, vector: Array) -> Array:
        """A velocity or other vector [3] in the second frame."""
        turned: Array = self.rotation @ vector
        return turned

    def axes(self, axes: Array) -> Array:
        """An orientation [6] in the second frame."""
        return np.concatenate([self.vector(axes[:3]), self.vector(axes[3:])])


class StaticFrames:
    """Frames that do not move, as /tf_static tells: each has one parent."""

    def __init__(self) -> None:
        self._parents: dict[str, tuple[str, Pose]] = {}
        self._found: dict[tuple[str, str], Pose] = {}

    def take(self, message: Any, only_new: bool = False) -> None:
        """Take in a tf2_msgs/TFMessage; raises MessageError for transforms that are none, after taking the others.

        `only_new` leaves frames as they are that are known.
        """
        wrong = []
        for stamped in message.transforms:
            child, parent, transform = stamped.child_frame_id, stamped.header.frame_id, stamped.transform
            values = np.array([*xyz(transform.translation), *xyzw(transform.rotation)])
            unit = abs(np.linalg.norm(values[3:]) - 1) < UNIT_TOLERANCE
            full = child not in self._parents and len(self._parents) >= MAX_FRAMES
            if not np.isfinite(values).all() or not unit or child == parent or full:
                wrong.append(f"{child!r} in {parent!r}")
                continue
            if only_new and child in self._parents:
                continue
            self._parents[child] = parent, Pose.of(values[:3], values[3:])
            self._found.clear()
        if wrong:
            more = f" and {len(wrong) - 8} more" if len(wrong) > 8 else ""
            raise MessageError(f"{TF_STATIC}: not a static transform: {', '.join(wrong[:8])}{more}")

    def pose(self, frame: str, target: str) -> Pose | None:
        """Pose of `frame` in `target`; None while no chain of transforms connects them."""
        key = frame, target
        if key not in self._found:
            from_frame, from_target = self._ancestors(frame), self._ancestors(target)
            common = next((name for name in from_frame if name in from_target), None)
            if common is None:
                return None
            self._found[key] = from_target[common].inverse().after(from_frame[common])
        return self._found[key]

    def _ancestors(self, frame: str) -> dict[str, Pose]:
        """`frame` and the frames above it -> its pose in each."""
        pose = Pose(np.eye(3), np.zeros(3))
        above = {frame: pose}
        while frame in self._parents:
            frame, step = self._parents[frame]
            if frame in above:  # a ring
                break
            pose = above[frame] = step.after(pose)
        return above


def xyz(point: Any) -> Array:
    """A message's point or vector [3]."""
    return np.array([point.x, point.y, point.z], dtype=float)


def xyzw(quaternion: Any) -> Array:
    """A message's quaternion [4]."""
    return np.array([quaternion.x, quaternion.y, quaternion.z, quaternion.w], dtype=float)
