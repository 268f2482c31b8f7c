# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbrl_controller.tasks import paths


@given(seed=st.integers(0, 2**32 - 1), reach=st.floats(1e-3, 0.1))
def test_random_curves_begin_at_the_pen_and_stay_within_reach(seed: int, reach: float) -> None:
    curve = paths.random_curve(np.random.default_rng(seed), reach)
    assert curve[0] == pytest.approx([0, 0])
    far = np.linalg.norm(curve, axis=-1).max()
    assert 0.5 * reach - 1e-12 <= far <= reach + 1e-12


@pytest.mark.parametrize("name", paths.DIGITS)
def test_digits_begin_at_the_pen_and_are_as_high_as_asked(name: str) -> None:
    points = paths.digit(name, 0.02)
    assert points[0].tolist() == [0, 0]
    assert np.ptp(points[:, 1]) == pytest.approx(0.02)


def test_a_circle_goes_through_the_origin_around_a_centre_beside_it() -> None:
    points = paths.circle(0.01)
    assert points[0] == pytest.approx([0, 0])
    assert points[-1] == pytest.approx([0, 0], abs=1e-12)
    assert np.linalg.norm(points - [-0.01, 0], axis=-1) == pytest.approx(np.full(len(points), 0.01))


@given(seconds=st.floats(0.5, 20), seed=st.integers(0, 1000))
def test_a_path_is_drawn_at_constant_speed_in_its_time(seconds: float, seed: int) -> None:
    points = paths.random_curve(np.random.default_rng(seed), 0.01)
    goal = paths.at_constant_speed(points, seconds)
    assert goal.at(np.array(0.0)) == pytest.approx(points[0])
    assert goal.at(np.array(seconds)) == pytest.approx(points[-1])
    assert goal.at(np.array(seconds + 5)) == pytest.approx(points[-1])
    length = np.linalg.norm(np.diff(points, axis=0), axis=-1).sum()
    # On corners of the polyline the way is as long as the time allows, elsewhere the chord is shorter.
    steps = np.linalg.norm(np.diff(goal.at(np.linspace(0, seconds, 50)), axis=0), axis=-1)
    assert (steps <= length / 49 * (1 + 1e-9)).all()
    assert goal.at(np.zeros((3, 4))).shape == (3, 4, 2)
