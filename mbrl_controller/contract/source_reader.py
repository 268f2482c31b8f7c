# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Converts one source's messages to samples: live, from a log and in simulation.

Messages are read by attribute only, so rclpy's and rosbags' classes both work.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbrl_controller.base.errors import MessageError
from mbrl_controller.contract.frames import StaticFrames
from mbrl_controller.contract.joint_reader import JointReader
from mbrl_controller.contract.object_reader import ObjectReader, VelocityEstimate
from mbrl_controller.contract.sources import (
    ArraySource,
    JointSource,
    ObjectSource,
    Source,
    TrackedSource,
    TransformSource,
)
from mbrl_controller.tasks.spaces import Array, parse_entry

# SI units; larger values are rejected, whatever the contract allows. A velocity computed from such positions could
# overflow and would then be rejected forever.
MAX_MAGNITUDE = 1e9
STAMP_LABEL = "stamp_ns="  # begins the label of an array's first dimension if it says when it was measured
STAMP = re.compile(r"[0-9]{1,19}")
NANO = 1_000_000_000


@dataclass(frozen=True)
class Sample:
    """Values of one source and their measurement time (s, the message's stamp)."""

    stamp: float
    values: Array

    def is_newer(self, newest: Sample | None) -> bool:
        """Whether it takes the place of the newest one so far: of equal stamps the first to arrive counts."""
        return newest is None or self.stamp > newest.stamp


def stamp_of(message: Any) -> float:
    """Measurement time (s) in the message's header."""
    return float(message.header.stamp.sec) + 1e-9 * float(message.header.stamp.nanosec)


class SourceReader:
    """Converts one source's messages to samples. Stateful if velocity is estimated: feed messages in order."""

    def __init__(self, source: Source, frames: StaticFrames | None = None, gap_s: float = math.inf) -> None:
        """Args:
        source: what to read.
        frames: for a source whose `transform` is `tf`.
        gap_s: s without a measurement after which an estimated velocity starts anew.
        """
        self.source = source
        self._entries = source.entries()
        quantities = [parse_entry(entry).quantity for entry in self._entries]
        self._valid = [
            (valid, np.array([i for i, of in enumerate(quantities) if of == quantity], dtype=np.intp))
            for quantity, valid in source.valid.items()
        ]
        self._joints = JointReader(source) if isinstance(source, JointSource) else None
        self._object = ObjectReader(source, frames or StaticFrames()) if isinstance(source, ObjectSource) else None
        self._elements = list(source.elements.values()) if isinstance(source, ArraySource) else []
        self._velocity = None
        if isinstance(source, TrackedSource) and source.derived:
            self._velocity = VelocityEstimate(source, source.velocity_filter.time_constant_s, gap_s)
        self._parts = _Parts(len(self._entries), source.max_age_s) if source.publishers == "parts" else None
        # Indices of the entries that a message itself carries.
        self.carried: NDArray[np.intp] = np.array(
            [i for i, quantity in enumerate(quantities) if quantity not in source.derived], dtype=np.intp
        )

    def reset(self) -> None:
        """Forget earlier messages (a new episode)."""
        if self._velocity is not None:
            self._velocity.reset()
        if self._parts is not None:
            self._parts.reset()

    @property
    def has_memory(self) -> bool:
        """Whether a sample depends on earlier ones, so that all must be read in order."""
        return self._velocity is not None or self._parts is not None

    @property
    def looks_up_frames(self) -> bool:
        """Whether a sample depends on what /tf_static told before."""
        return isinstance(self.source, ObjectSource) and self.source.transform == "tf"

    @property
    def lacking(self) -> list[str]:
        """Of a hand in parts, the joints that no message has had yet."""
        if self._parts is None:
            return []
        return list(dict.fromkeys(parse_entry(self._entries[i]).owner for i in self._parts.lacking()))

    def read(self, message: Any, received: float | None = None) -> Sample | None:
        """The message's values; None if it completes no measurement of this source.

        Args:
            message: of the source's type.
            received: s, by the stamps' clock: measurement time of messages without a stamp; None: they are refused.

        Raises:
            MessageError: naming the entry, for values that cannot be a state.
        """
        part = self.locate(message)
        if part is None:
            return None
        at = None if received is None else round(received * NANO)
        seconds, rest = divmod(self.stamp_ns(part, at), NANO)
        return self.make_sample(float(seconds) + 1e-9 * float(rest), self.raw_values(part))

    def locate(self, message: Any) -> Any | None:
        """What in the message is this source's: of TFMessage the newest transform of the child frame, else all."""
        if not isinstance(self.source, TransformSource):
            return message
        child = self.source.child_frame
        ours = [stamped for stamped in message.transforms if stamped.child_frame_id == child]
        return max(ours, key=stamp_of, default=None)

    def stamp_ns(self, part: Any, received: int | None) -> int:
        """Measurement time (ns) of a located part of a message that was received at `received` (ns)."""
        if not self._elements:
            return int(part.header.stamp.sec) * NANO + int(part.header.stamp.nanosec)
        label = part.layout.dim[0].label if len(part.layout.dim) else ""
        told = label.removeprefix(STAMP_LABEL)
        if told != label and STAMP.fullmatch(told) and (stamp := int(told)) < 2**63:
            return stamp
        if received is None:
            raise MessageError(
                f"{self.source.topic}: {self.source.type} has no stamp, and in lockstep receipt has no time: label its "
                f"first dimension {STAMP_LABEL}<time of measurement>"
            )
        return received

    def raw_values(self, part: Any) -> Array:
        """Values `carried` by a located part of a message, independent of earlier ones."""
        if self._joints is not None:
            return self._joints.values(part)
        if self._object is not None:
            values = self._object.values(part)
            if self._object.has_moved and self._velocity is not None:
                self._velocity.reset()  # what the camera's new place adds to the pose is no motion
            return values
        data = np.asarray(part.data, dtype=float)
        for name, at in zip(self._entries, self._elements, strict=True):
            if at >= data.size:
                raise MessageError(f"{self.source.topic}: {data.size} values, so none for {name} at {at}")
        return np.asarray(data[self._elements])

    def make_sample(self, stamp: float, raw: Array) -> Sample | None:
        """Complete and check the `raw_values` of the message stamped `stamp` (s)."""
        values = raw
        if self._parts is not None:
            self._check(raw, ~np.isnan(raw))
            found = self._parts.join(stamp, raw)
            if found is None:
                return None
            stamp, values = found
        elif self._velocity is not None:
            values = self._velocity.complete(stamp, raw)
        self._check(values)
        if self._velocity is not None:
            self._velocity.accepted()
        return Sample(stamp, values)

    def _check(self, values: Array, there: NDArray[np.bool_] | None = None) -> None:
        """Raise MessageError for values that are no measurement; `there` [n]: those that are to be looked at."""
        looked = values if there is None else np.where(there, values, 0.0)
        if not (np.abs(looked) <= MAX_MAGNITUDE).all():
            bad = ~np.isfinite(looked)
            if bad.any():
                names = [self._entries[i] for i in np.flatnonzero(bad)]
                raise MessageError(f"{self.source.topic}: non-finite value for {', '.join(names)}")
            at = int(np.argmax(np.abs(looked) > MAX_MAGNITUDE))
            raise MessageError(f"{self.source.topic}: {self._entries[at]} = {values[at]:.6g} is not a measurement")
        for valid, entries in self._valid:
            wrong = (values[entries] < valid.lower) | (values[entries] > valid.upper)  # not of NaN, which is not there
            if wrong.any():
                i = int(entries[np.argmax(wrong)])
                raise MessageError(
                    f"{self.source.topic}: {self._entries[i]} = {values[i]:.6g} is outside "
                    f"[{valid.lower}, {valid.upper}]"
                )


class _Parts:
    """Joins the parts of a hand that several nodes publish: a sample is complete when all joints were heard.

    Its stamp is that of the joint heard longest ago; there is a sample whenever this moves on. Stamps further apart
    than `spread` (s) make none: one of the parts is old, or its clock is wrong, which a stamp that goes back as far
    sets right.
    """

    def __init__(self, size: int, spread: float) -> None:
        self._size, self._spread = size, spread
        self.reset()

    def reset(self) -> None:
        self._values = np.full(self._size, np.nan)
        self._stamps = np.full(self._size, -math.inf)
        self._oldest = -math.inf

    def lacking(self) -> list[int]:
        return [int(i) for i in np.flatnonzero(np.isnan(self._values))]

    def join(self, stamp: float, values: Array) -> tuple[float, Array] | None:
        new = ~np.isnan(values) & self._moves_on(stamp, self._stamps)
        self._values[new], self._stamps[new] = values[new], stamp
        oldest, newest = float(self._stamps.min()), float(self._stamps.max())
        if not self._moves_on(oldest, self._oldest) or newest - oldest > self._spread:
            return None
        self._oldest = oldest
        return oldest, self._values.copy()

    def _moves_on(self, stamp: float, before: Any) -> Any:
        return (stamp > before) | (stamp < before - self._spread)
