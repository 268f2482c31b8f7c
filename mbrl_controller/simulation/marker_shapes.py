# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Markers as the spheres, boxes and arrows that the camera and the viewer draw."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mbrl_controller.simulation.hand_simulation import HandSimulation
from mbrl_controller.simulation.state_reader import Frame
from mbrl_controller.tasks.markers import Marker, Markers, as_markers
from mbrl_controller.tasks.spaces import Array

Color = tuple[float, float, float, float]  # red, green, blue, opacity, 0 to 1
COLORS: tuple[Color, ...] = ((0.92, 0.47, 0.41, 1.0), (0.43, 0.59, 0.94, 1.0))
AXIS_COLORS: tuple[Color, ...] = ((0.9, 0.2, 0.2, 1.0), (0.2, 0.75, 0.2, 1.0), (0.25, 0.35, 0.95, 1.0))
GLASS = 0.35  # opacity of a box: the object is to be seen in it
AXIS_LENGTH, THICKNESS = 0.03, 0.0015  # m, of a drawn axis; radius
ALONG_X = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])  # columns: its z axis points along x


@dataclass(frozen=True)
class Shape:
    """A solid in the world's frame. `size` (m): a sphere's radius, a box's edges, an arrow's length.

    An arrow begins at `position` and points along the z axis of `rotation` [3, 3].
    """

    kind: Literal["sphere", "box", "arrow"]
    size: tuple[float, ...]
    position: Array
    rotation: Array
    color: Color


class MarkerShapes:
    """The shapes of a simulation's markers, which are given in the contract's frame."""

    def __init__(self, simulation: HandSimulation) -> None:
        self._simulation = simulation
        self._frame = Frame(simulation.model, simulation.scene.file.frame)

    def __call__(self, markers: Markers | None) -> list[Shape]:
        """In the world's frame, at this moment."""
        data = self._simulation.data
        rotation, origin = self._frame.twist(data.qpos, data.qvel)[:2]
        return shapes_of(markers, rotation, origin)


def shapes_of(markers: Markers | None, rotation: Array, origin: Array) -> list[Shape]:
    """Shapes in the world of markers in a frame, which `rotation` [3, 3] and `origin` [3] (m) place in the world."""
    return [shape for i, one in enumerate(as_markers(markers)) for shape in _shapes(one, i, rotation, origin)]


def _shapes(marker: Marker, number: int, rotation: Array, origin: Array) -> Iterator[Shape]:
    color = COLORS[number % len(COLORS)]
    position, turned = origin + rotation @ marker.position, rotation @ marker.rotation
    if marker.shape == "arrow":
        yield Shape("arrow", marker.size, position, turned @ ALONG_X, color)
        return
    yield Shape(marker.shape, marker.size, position, turned, (*color[:3], GLASS) if marker.shape == "box" else color)
    if marker.axes is not None:
        along = ALONG_X
        for axis_color in AXIS_COLORS:
            yield Shape("arrow", (AXIS_LENGTH + max(marker.size) / 2,), position, turned @ along, axis_color)
            along = np.roll(along, 1, axis=0)  # of the next axis
