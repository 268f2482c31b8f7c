# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Shapes in a viser scene that move, come and go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mbrl_controller.simulation.marker_shapes import THICKNESS, Shape
from mbrl_controller.tasks.orientation import axes_to_quaternion, matrix_to_axes

OPACITY = 0.8  # of a marker, at most


class MarkerHandles:
    """The shapes of one group. `shapes` shows these and no others."""

    def __init__(self, server: Any, name: str = "/markers") -> None:
        self._server, self._name = server, name
        self.handles: list[Any] = []
        self._looks: list[object] = []

    def show(self, shapes: Sequence[Shape]) -> None:
        """Move those that are shown; make anew those that are something else by now."""
        for handle in self.handles[len(shapes) :]:
            handle.remove()
        del self.handles[len(shapes) :], self._looks[len(shapes) :]
        for i, shape in enumerate(shapes):
            look = (shape.kind, shape.size, shape.color)
            if i == len(self.handles):
                self.handles.append(self._add(f"{self._name}/{i}", shape))
                self._looks.append(look)
            elif self._looks[i] != look:
                self.handles[i].remove()
                self.handles[i], self._looks[i] = self._add(f"{self._name}/{i}", shape), look
            handle = self.handles[i]
            handle.position = shape.position
            handle.wxyz = np.roll(axes_to_quaternion(matrix_to_axes(shape.rotation)), 1)

    def _add(self, name: str, shape: Shape) -> Any:
        scene = self._server.scene
        red, green, blue = (round(255 * part) for part in shape.color[:3])
        look = {"color": (red, green, blue), "opacity": min(shape.color[3], OPACITY)}
        if shape.kind == "sphere":
            return scene.add_icosphere(name, radius=shape.size[0], **look)
        if shape.kind == "box":
            return scene.add_box(name, dimensions=shape.size, **look)
        ends = np.array([[[0.0, 0.0, 0.0], [0.0, 0.0, shape.size[0]]]])
        widths = {"shaft_radius": THICKNESS, "head_radius": 2.5 * THICKNESS, "head_length": 5 * THICKNESS}
        return scene.add_arrows(name, ends, (red, green, blue), **widths)
