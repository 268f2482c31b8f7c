# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What a task shows of its goal: where the objects should be, and how they should be turned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from mbrl_controller.tasks.orientation import IDENTITY, axes_to_matrix
from mbrl_controller.tasks.spaces import Array

SIZES = {"sphere": 1, "box": 3, "arrow": 1}  # numbers in `size`
RADIUS = 0.006  # m, of a sphere that gives none


@dataclass(frozen=True)
class Marker:
    """One thing that is drawn beside the objects; nothing touches it.

    Attributes:
        position: [3] m, in the contract's frame; an arrow's end without the head.
        axes: its orientation [6] as in `tasks/orientation.py`. None: it has none to show. With one, its x, y and z axis
            are drawn in red, green and blue.
        shape: an arrow points along its x axis.
        size: m: a sphere's radius, a box's edges along its x, y and z axis, an arrow's length.
    """

    position: Array
    axes: Array | None = None
    shape: Literal["sphere", "box", "arrow"] = "sphere"
    size: tuple[float, ...] = (RADIUS,)

    def __post_init__(self) -> None:
        object.__setattr__(self, "position", _numbers("position", self.position, 3))
        if self.axes is not None:
            object.__setattr__(self, "axes", _numbers("axes", self.axes, 6))
        if self.shape not in SIZES:
            raise ValueError(f"marker: shape is one of {', '.join(SIZES)}, got {self.shape!r}")
        if len(self.size) != SIZES[self.shape] or not all(0 < length < np.inf for length in self.size):
            raise ValueError(f"marker: size of a {self.shape}: {SIZES[self.shape]} positive lengths, got {self.size}")

    @property
    def rotation(self) -> Array:
        """Rotation matrix [3, 3]."""
        return axes_to_matrix(IDENTITY if self.axes is None else self.axes)


Markers: TypeAlias = "Sequence[Marker] | Array"  # or points [K, 3] (m)


def as_markers(found: Markers | None) -> list[Marker]:
    """What a task gives as markers: points become spheres."""
    return [one if isinstance(one, Marker) else Marker(one) for one in (() if found is None else found)]


def _numbers(what: str, given: Array, count: int) -> Array:
    value = np.asarray(given, dtype=float)
    if value.shape != (count,) or not np.isfinite(value).all():
        raise ValueError(f"marker: {what} is {count} finite numbers, got {given!r:.100}")
    return value
