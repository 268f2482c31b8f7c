# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Converts messages to state vectors, live and from a log.

Messages are read by attribute only, so rclpy's and rosbags' classes both work.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mbrl_controller.base.errors import MessageError
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.contract.sources import JointSource, ObjectSource, OdometrySource, PoseSource, Source
from mbrl_controller.tasks.spaces import Array

# SI units; larger values are rejected, whatever the contract allows. A velocity computed from such positions could
# overflow and would then be rejected forever.
MAX_MAGNITUDE = 1e9
MAX_NAMED_JOINTS = 8  # unknown joints listed in an error


@dataclass(frozen=True)
class Sample:
    """Values of one source and their measurement time (s, the message's stamp)."""

    stamp: float
    values: Array


def stamp_of(message: Any) -> float:
    """Measurement time (s) in the message's header."""
    return float(message.header.stamp.sec) + 1e-9 * float(message.header.stamp.nanosec)


class SourceReader:
    """Converts one source's messages to samples. Stateful if velocity is estimated: feed messages in order."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._entries = source.entries()
        axes = 0 if isinstance(source, JointSource) else 1  # <joint>.position, <object>.position.x
        self._quantities = [entry.rsplit(".", 1 + axes)[1] for entry in self._entries]
        self._joint_order: dict[tuple[str, ...], np.ndarray] = {}
        self._last_pose: tuple[float, Array, Array] | None = None
        self._next_pose: tuple[float, Array, Array] | None = None

    def reset(self) -> None:
        """Forget earlier messages (a new episode)."""
        self._last_pose = None

    @property
    def has_memory(self) -> bool:
        """Whether a sample depends on earlier ones, so that all must be read in order."""
        return isinstance(self.source, PoseSource)

    def read(self, message: Any) -> Sample:
        """The message's values; raises MessageError naming the entry for values that cannot be a state."""
        return self.make_sample(stamp_of(message), self.raw_values(message))

    def raw_values(self, message: Any) -> Array:
        """Values in the message itself, independent of earlier ones: a pose's position [3], else all values [n]."""
        source = self.source
        if isinstance(source, JointSource):
            return self._joints(source, message)
        if not isinstance(source, ObjectSource):
            raise MessageError(f"{source.topic}: {source.type} cannot be read")
        frame = message.header.frame_id
        if frame != source.frame:
            raise MessageError(f"{source.topic}: frame_id is {frame!r}, the contract says {source.frame!r}")
        if isinstance(source, OdometrySource):
            return self._odometry(message)
        return _xyz(message.pose.position)

    def make_sample(self, stamp: float, values: Array) -> Sample:
        """Complete and check `raw_values` of the message stamped `stamp` (s)."""
        source = self.source
        self._next_pose = None
        if isinstance(source, PoseSource):
            values = self._with_velocity(source, stamp, values)
        bad = ~np.isfinite(values)
        if bad.any():
            names = [self._entries[i] for i in np.flatnonzero(bad)]
            raise MessageError(f"{source.topic}: non-finite value for {', '.join(names)}")
        self._check_range(values)
        if self._next_pose is not None:  # a rejected measurement must not change the velocity filter
            self._last_pose, self._next_pose = self._next_pose, None
        return Sample(stamp, values)

    def _joints(self, source: JointSource, message: Any) -> Array:
        names = tuple(message.name)
        order = self._joint_order.get(names)
        if order is None:
            order = _order_of(names, source)
            self._joint_order = {names: order}
        parts = []
        for quantity in source.fields:
            values = np.asarray(getattr(message, quantity), dtype=float)
            if values.shape != (len(names),):
                raise MessageError(f"{source.topic}: {quantity} has {values.size} values for {len(names)} joint names")
            parts.append(values[order])
        return np.concatenate(parts)

    def _odometry(self, message: Any) -> Array:
        pose, twist = message.pose.pose, message.twist.twist.linear
        velocity = np.array([twist.x, twist.y, twist.z])
        if message.child_frame_id != message.header.frame_id:
            q = pose.orientation
            quaternion = np.array([q.w, q.x, q.y, q.z])
            if not abs(np.linalg.norm(quaternion) - 1) < 0.01:
                raise MessageError(
                    f"{self.source.topic}: the orientation is not a unit quaternion: {quaternion.tolist()}"
                )
            velocity = _rotate(quaternion, velocity)
        return np.concatenate([_xyz(pose.position), velocity])

    def _with_velocity(self, source: PoseSource, stamp: float, position: Array) -> Array:
        velocity: Array = np.zeros(3)
        if self._last_pose is not None:
            then, before, velocity = self._last_pose
            step = stamp - then
            if step <= 0:  # late or repeated: the filter is already past it
                return np.concatenate([position, velocity])
            gain = step / (step + source.velocity_filter.time_constant_s)
            velocity = velocity + gain * ((position - before) / step - velocity)
        self._next_pose = (stamp, position, velocity)
        return np.concatenate([position, velocity])

    def _check_range(self, values: Array) -> None:
        far = np.abs(values) > MAX_MAGNITUDE
        if far.any():
            at = int(np.argmax(far))
            raise MessageError(f"{self.source.topic}: {self._entries[at]} = {values[at]:.6g} is not a measurement")
        for quantity, valid in self.source.valid.items():
            for name, measured, value in zip(self._entries, self._quantities, values, strict=True):
                if measured == quantity and not valid.lower <= value <= valid.upper:
                    raise MessageError(
                        f"{self.source.topic}: {name} = {value:.6g} is outside [{valid.lower}, {valid.upper}]"
                    )


class StateAssembler:
    """Keeps the newest sample of every source and joins them to a state."""

    def __init__(self, contract: RobotContract) -> None:
        self.contract = contract
        self.readers = {source.topic: SourceReader(source) for source in contract.sources}
        self.samples: dict[str, Sample] = {}

    def reset(self) -> None:
        """Forget all samples."""
        self.samples.clear()
        for reader in self.readers.values():
            reader.reset()

    def forget(self, topic: str) -> None:
        """Forget a source's samples; its next one is the newest, whatever its stamp."""
        self.samples.pop(topic, None)
        self.readers[topic].reset()

    def update(self, topic: str, message: Any) -> Sample:
        """Read a message; its sample is kept unless a newer one is. Raises MessageError."""
        sample = self.readers[topic].read(message)
        newest = self.samples.get(topic)
        if newest is None or sample.stamp >= newest.stamp:
            self.samples[topic] = sample
        return sample

    @property
    def missing(self) -> list[str]:
        """Topics without a sample."""
        return [topic for topic in self.readers if topic not in self.samples]

    def vector(self) -> tuple[Array, float]:
        """State [S] and its oldest stamp (s); raises MessageError while a source is missing."""
        if self.missing:
            raise MessageError(f"no message yet on {', '.join(self.missing)}")
        return join_samples(self.contract, [self.samples[s.topic].values for s in self.contract.sources]), min(
            sample.stamp for sample in self.samples.values()
        )


def join_samples(contract: RobotContract, parts: list[Array]) -> Array:
    """State [..., S] in the task's order from each source's values [..., n] in the contract's order."""
    return np.concatenate(parts, axis=-1)[..., contract.order]


def split_state(contract: RobotContract, state: Array) -> list[Array]:
    """Each source's values [..., n] in the contract's order from the state [..., S]: inverse of `join_samples`."""
    joined = np.empty_like(state)
    joined[..., contract.order] = state  # state = joined[order] read backwards
    ends = np.cumsum([len(source.entries()) for source in contract.sources])[:-1]
    return np.split(joined, ends, axis=-1)


def _order_of(names: tuple[str, ...], source: JointSource) -> np.ndarray:
    twice = sorted({name for name in names if names.count(name) > 1})
    missing = [joint for joint in source.names if joint not in names]
    unknown = [name for name in names if name not in source.names]
    problems = [f"joint {', '.join(twice)} named twice"] if twice else []
    problems += [f"joint {', '.join(missing)} missing"] if missing else []
    if unknown and not source.ignore_unknown:
        more = f" and {len(unknown) - MAX_NAMED_JOINTS} more" if len(unknown) > MAX_NAMED_JOINTS else ""
        problems.append(f"unknown joint {', '.join(unknown[:MAX_NAMED_JOINTS])}{more}")
        if not missing:
            problems.append(
                "if the messages have other joints too, such as an arm's, set ignore_unknown: true for this topic in "
                "the contract"
            )
    if problems:
        raise MessageError(f"{source.topic}: {'; '.join(problems)}")
    return np.array([names.index(joint) for joint in source.names], dtype=np.intp)


def _xyz(point: Any) -> Array:
    return np.array([point.x, point.y, point.z], dtype=float)


def _rotate(quaternion: Array, vector: Array) -> Array:
    """Rotate `vector` by a unit quaternion (w, x, y, z)."""
    w, axis = quaternion[0], quaternion[1:]
    cross = np.cross(axis, vector)
    rotated: Array = vector + 2 * (w * cross + np.cross(axis, cross))
    return rotated
