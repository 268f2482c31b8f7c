# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""sensor_msgs/JointState to the values of a source's joints."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbrl_controller.base.errors import MessageError
from mbrl_controller.contract.joint_map import JointMap
from mbrl_controller.contract.sources import JointSource
from mbrl_controller.tasks.spaces import Array

MAX_NAMED_JOINTS = 8  # unknown joints listed in an error


class JointReader:
    """Finds the driver's joints in messages, and maps their values to the contract's joints."""

    def __init__(self, source: JointSource) -> None:
        self._source, self._map = source, source.joint_map
        self._wanted = self._map.names
        ends = np.cumsum([len(names) for names in self._map.drivers])
        self._first = np.concatenate([[0], ends[:-1]]).astype(np.intp)  # where each joint's names begin
        self._sums = len(self._wanted) > len(self._map.joints)
        self._order: dict[tuple[str, ...], NDArray[np.intp]] = {}

    def values(self, message: Any) -> Array:
        """[n] in the order of the source's entries; NaN where a part of the hand is not in the message."""
        source = self._source
        names = tuple(message.name) if source.by == "name" else self._wanted
        order = self._order.get(names)
        if order is None:
            order = self._order_of(names)
            self._order = {names: order}
        parts = []
        for quantity in source.fields:
            given = np.asarray(getattr(message, quantity), dtype=float)
            if given.shape != (len(names),):
                count = "joint names" if source.by == "name" else "joints"
                raise MessageError(f"{source.topic}: {quantity} has {given.size} values for {len(names)} {count}")
            found = given[order] if source.publishers != "parts" else self._part(given, order, quantity)
            if quantity == "position":
                self._check_raw(found)
            joined = np.add.reduceat(found, self._first) if self._sums else found
            parts.append(_si(self._map, joined, quantity))
        return np.concatenate(parts)

    def _part(self, given: Array, order: NDArray[np.intp], quantity: str) -> Array:
        here = order >= 0
        found = np.where(here, given[order], np.nan)
        if not np.isfinite(found[here]).all():
            at = int(np.flatnonzero(here & ~np.isfinite(found))[0])
            raise MessageError(f"{self._source.topic}: non-finite {quantity} of {self._wanted[at]}")
        return found

    def _check_raw(self, values: Array) -> None:
        raw = self._source.raw
        if raw is None:
            return
        wrong = (values < raw.lower) | (values > raw.upper)
        if wrong.any():
            at = int(np.argmax(wrong))
            raise MessageError(
                f"{self._source.topic}: raw {self._wanted[at]} = {values[at]:.6g} is outside [{raw.lower}, {raw.upper}]"
            )

    def _order_of(self, names: tuple[str, ...]) -> NDArray[np.intp]:
        source, wanted = self._source, self._wanted
        parts = source.publishers == "parts"
        twice = sorted({name for name in names if names.count(name) > 1})
        missing = [joint for joint in wanted if joint not in names]
        if parts and len(missing) < len(wanted):
            missing = []
        unknown = [name for name in names if name not in wanted]
        problems = [f"joint {', '.join(twice)} named twice"] if twice else []
        problems += [f"joint {', '.join(missing)} missing"] if missing else []
        if unknown and not source.ignore_unknown:
            more = f" and {len(unknown) - MAX_NAMED_JOINTS} more" if len(unknown) > MAX_NAMED_JOINTS else ""
            problems.append(f"unknown joint {', '.join(unknown[:MAX_NAMED_JOINTS])}{more}")
            if not missing:
                problems.append(
                    "if the messages have other joints too, such as an arm's, set ignore_unknown: true for this topic "
                    "in the contract"
                )
        if problems:
            raise MessageError(f"{source.topic}: {'; '.join(problems)}")
        at = {name: i for i, name in enumerate(names)}
        return np.array([at.get(joint, -1) for joint in wanted], dtype=np.intp)


def _si(joints: JointMap, values: Array, quantity: str) -> Array:
    if quantity == "position":
        return joints.to_angles(values)
    if joints.is_plain:
        return values
    return joints.to_rates(values) if quantity == "velocity" else joints.efforts(values)


def driver_values(joints: JointMap, values: Array, quantity: str) -> Array:
    """The driver's values, in the order of its names, that `JointReader` reads as `values` [n] (SI units)."""
    if quantity == "position":
        given = joints.to_driver(values)
    elif joints.is_plain:
        given = values
    else:
        given = joints.to_driver_rates(values) if quantity == "velocity" else joints.efforts(values)
    several = [len(names) for names in joints.drivers]
    return np.asarray(given if max(several) == 1 else np.repeat(given / several, several), dtype=float)
