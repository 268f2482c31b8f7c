# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np
import pytest

from mbrl_controller.tasks.markers import Marker, as_markers
from mbrl_controller.tasks.orientation import about


def test_points_are_spheres_without_orientation() -> None:
    one, two = as_markers(np.array([[0.0, 0.1, 0.2], [0.3, 0.4, 0.5]]))
    assert (one.shape, one.axes, two.position.tolist()) == ("sphere", None, [0.3, 0.4, 0.5])
    assert as_markers(np.zeros((0, 3))) == as_markers(()) == as_markers(None) == []


def test_an_orientation_turns_the_marker() -> None:
    quarter = Marker(np.zeros(3), about(np.array([0.0, 0.0, 1.0]), np.array(np.pi / 2)), "arrow", (0.1,))
    np.testing.assert_allclose(quarter.rotation @ [1, 0, 0], [0, 1, 0], atol=1e-12)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"position": np.zeros(2)}, "position"),
        ({"position": np.array([0.0, 0.0, np.nan])}, "position"),
        ({"axes": np.zeros(4)}, "axes"),
        ({"shape": "cone"}, "sphere, box, arrow"),
        ({"shape": "box", "size": (0.1,)}, "3 positive lengths"),
        ({"size": (0.0,)}, "1 positive lengths"),
    ],
)
def test_what_cannot_be_drawn_is_named(fault: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Marker(**{"position": np.zeros(3), **fault})
