# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbrl_controller.tasks import orientation
from mbrl_controller.tasks.rigid_object import RigidObject

seeds = st.integers(0, 2**32 - 1)


def state_of(cube: RigidObject, axes: np.ndarray) -> np.ndarray:
    state = np.zeros((*axes.shape[:-1], 2 + len(cube.names)))
    state[..., cube.part("orientation")] = axes
    return state


def test_entries_follow_each_other_from_the_first_on() -> None:
    cube = RigidObject("cube", first=2)
    assert len(cube.names) == len(cube.units) == 15
    state = np.arange(17.0)
    assert cube.position(state).tolist() == [2, 3, 4]
    assert cube.height(state) == 4
    assert cube.axes(state).tolist() == [8, 9, 10, 11, 12, 13]
    assert cube.names[cube.part("angular_velocity").start - 2] == "cube.angular_velocity.x"


def test_only_the_quantities_that_a_task_uses() -> None:
    ball = RigidObject("ball", first=0, quantities=("position", "orientation"))
    assert ball.names[3] == "ball.orientation.x_axis.x"
    assert len(ball.names) == 9
    with pytest.raises(KeyError):
        ball.part("velocity")


@given(seed=seeds)
def test_the_quick_angle_is_that_of_the_rotation_between(seed: int) -> None:
    rng = np.random.default_rng(seed)
    cube = RigidObject("cube", first=2)
    one = orientation.quaternion_to_axes(rng.standard_normal((5, 4)))
    other = orientation.random_orientation(rng)
    np.testing.assert_allclose(
        cube.angle(state_of(cube, one), other), orientation.angle_between(one, other), atol=1e-6, rtol=0
    )


@given(angle=st.floats(0, np.pi), seed=seeds)
def test_a_turn_by_an_angle_is_seen_as_that_angle(angle: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    cube = RigidObject("cube", first=2)
    start = orientation.random_orientation(rng)
    turned = orientation.compose(orientation.about(rng.standard_normal(3), np.array(angle)), start)
    assert cube.angle(state_of(cube, turned), start) == pytest.approx(angle, abs=1e-6)


def test_the_third_axis_is_the_matrix_s_last_column() -> None:
    axes = orientation.random_orientation(np.random.default_rng(1))
    pencil = RigidObject("pencil", first=2)
    np.testing.assert_allclose(
        pencil.third_axis(state_of(pencil, axes)), orientation.axes_to_matrix(axes)[:, 2], atol=1e-12
    )
