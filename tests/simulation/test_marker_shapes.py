# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mbrl_controller.simulation import marker_shapes
from mbrl_controller.simulation.marker_shapes import MarkerShapes
from mbrl_controller.tasks.markers import Marker
from mbrl_controller.tasks.orientation import IDENTITY, axes_to_matrix, quaternion_to_axes

axes = (
    st.tuples(*[st.floats(-1, 1)] * 4)
    .filter(lambda q: np.linalg.norm(q) > 0.1)
    .map(lambda q: quaternion_to_axes(np.array(q)))
)


@given(axes=axes)
def test_an_oriented_box_shows_its_three_axes(axes: np.ndarray) -> None:
    shapes = list(marker_shapes._shapes(Marker(np.ones(3), axes, "box", (0.1, 0.2, 0.3)), 0, np.eye(3), np.zeros(3)))
    box, *arrows = shapes
    assert (box.kind, box.size, box.color[3] < 1) == ("box", (0.1, 0.2, 0.3), True)
    drawn = np.column_stack([arrow.rotation @ [0, 0, 1] for arrow in arrows])
    np.testing.assert_allclose(drawn, axes_to_matrix(axes), atol=1e-9)
    for shape in shapes:
        np.testing.assert_allclose(np.linalg.det(shape.rotation), 1.0)


@given(axes=axes, frame=axes)
def test_markers_are_given_in_the_contracts_frame(axes: np.ndarray, frame: np.ndarray) -> None:
    rotation, origin = axes_to_matrix(frame), np.array([0.1, 0.2, 0.3])
    marker = Marker(np.array([1.0, 0.0, 0.0]), axes, "arrow", (0.1,))
    (arrow,) = marker_shapes._shapes(marker, 0, rotation, origin)
    np.testing.assert_allclose(arrow.position, origin + rotation[:, 0], atol=1e-9)
    np.testing.assert_allclose(arrow.rotation[:, 2], rotation @ axes_to_matrix(axes)[:, 0], atol=1e-9)


def test_points_of_todays_tasks_are_spheres_where_they_were(hand) -> None:
    one, two = MarkerShapes(hand)(np.array([[0.0, 0.0, 0.2], [0.1, 0.0, 0.2]]))
    assert (one.kind, one.position.tolist(), two.position.tolist()) == ("sphere", [0, 0, 0.2], [0.1, 0, 0.2])
    assert one.color != two.color
    assert MarkerShapes(hand)(None) == []
    assert len(MarkerShapes(hand)([Marker(np.zeros(3), IDENTITY)])) == 4
