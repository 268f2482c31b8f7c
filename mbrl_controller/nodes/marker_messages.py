# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Shapes to visualization_msgs, which RViz and Foxglove draw."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from geometry_msgs.msg import Point
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from mbrl_controller.nodes.messages import to_duration, to_time
from mbrl_controller.simulation.marker_shapes import THICKNESS, Color, shapes_of
from mbrl_controller.simulation.world_shapes import Solid
from mbrl_controller.tasks.markers import Markers
from mbrl_controller.tasks.orientation import axes_to_quaternion, matrix_to_axes
from mbrl_controller.tasks.spaces import Array

SHOWN_S = 1.0  # a viewer takes away what no newer message confirms
HAND_COLOR: Color = (0.7, 0.7, 0.75, 1.0)
PLAN_COLOR: Color = (0.2, 0.7, 0.9, 0.9)
LINE_WIDTH = 0.002  # m
_SOLIDS = {"box": Marker.CUBE, "cylinder": Marker.CYLINDER, "ellipsoid": Marker.SPHERE}


class MarkerList:
    """Collects the markers of one moment; each namespace can be switched off in RViz."""

    def __init__(self, frame: str, stamp: float) -> None:
        """`frame`: in which all positions are; `stamp` (s): of the measurement."""
        self._frame, self._stamp = frame, to_time(stamp)
        self.message = MarkerArray()

    def add_solids(self, namespace: str, solids: Iterable[Solid]) -> None:
        """Parts of objects."""
        for solid in solids:
            self._add(namespace, _SOLIDS[solid.kind], solid.position, solid.rotation, solid.extents, solid.color)

    def add_markers(self, namespace: str, markers: Markers | None) -> None:
        """What a task shows of its goal, or objects of which only the pose is known."""
        for shape in shapes_of(markers, np.eye(3), np.zeros(3)):
            size = shape.size
            if shape.kind == "arrow":  # the message's arrows point along x, a shape's along its z axis
                scale = np.array([size[0], 2 * THICKNESS, 2 * THICKNESS])
                self._add(
                    namespace, Marker.ARROW, shape.position, np.roll(shape.rotation, 1, axis=1), scale, shape.color
                )
            elif shape.kind == "box":
                self._add(namespace, Marker.CUBE, shape.position, shape.rotation, np.array(size), shape.color)
            else:
                self._add(
                    namespace, Marker.SPHERE, shape.position, shape.rotation, np.full(3, 2 * size[0]), shape.color
                )

    def add_lines(self, namespace: str, ends: Array, color: Color) -> None:
        """Separate lines [n, 2, 3]."""
        self._add_line(namespace, Marker.LINE_LIST, ends.reshape(-1, 3), color)

    def add_path(self, namespace: str, points: Array, color: Color) -> None:
        """A line through points [n, 3]."""
        self._add_line(namespace, Marker.LINE_STRIP, points, color)

    def _add_line(self, namespace: str, kind: int, points: Array, color: Color) -> None:
        width = np.array([LINE_WIDTH, 0.0, 0.0])
        marker = self._add(namespace, kind, np.zeros(3), np.eye(3), width, color)
        marker.points = [_point(row) for row in points]

    def _add(
        self, namespace: str, kind: int, position: Array, rotation: Array, scale: Array, color: Sequence[float]
    ) -> Marker:
        marker = Marker(ns=namespace, id=len(self.message.markers), type=kind, action=Marker.ADD)
        marker.header.frame_id, marker.header.stamp = self._frame, self._stamp
        marker.lifetime = to_duration(SHOWN_S)
        marker.pose.position = _point(position)
        turn = marker.pose.orientation
        turn.x, turn.y, turn.z, turn.w = map(float, axes_to_quaternion(matrix_to_axes(rotation)))
        marker.scale.x, marker.scale.y, marker.scale.z = map(float, scale)
        marker.color = ColorRGBA(**dict(zip("rgba", map(float, color), strict=True)))
        self.message.markers.append(marker)
        return marker


def _point(position: Array) -> Point:
    x, y, z = map(float, position)
    return Point(x=x, y=y, z=z)
