# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbrl_controller.tasks.orientation import (
    AXES,
    IDENTITY,
    about,
    angle_between,
    angle_between_axes,
    angle_to_symmetric,
    angular_velocity,
    axes_to_matrix,
    axes_to_quaternion,
    compose,
    cube_group,
    inverse,
    matrix_to_axes,
    orthonormal,
    quaternion_to_axes,
    random_orientation,
    rotation_vector,
)

component = st.floats(-1, 1)
quaternions = (
    st.tuples(component, component, component, component).map(np.array).filter(lambda q: np.linalg.norm(q) > 0.1)
)
orientations = quaternions.map(quaternion_to_axes)
directions = st.tuples(component, component, component).map(np.array).filter(lambda v: np.linalg.norm(v) > 0.1)
angles = st.floats(-np.pi, np.pi)


def close(one: np.ndarray, other: np.ndarray) -> bool:
    return bool(np.allclose(one, other, atol=1e-7))


@given(quaternions, st.floats(0.1, 5.0))
def test_sign_and_length_of_a_quaternion_do_not_matter(q: np.ndarray, length: float) -> None:
    assert close(quaternion_to_axes(q), quaternion_to_axes(-length * q))


@given(quaternions)
def test_quaternions_return(q: np.ndarray) -> None:
    unit = q / np.linalg.norm(q)
    returned = axes_to_quaternion(quaternion_to_axes(q))
    assert returned[3] >= 0
    assert close(returned, unit) or close(returned, -unit)


@pytest.mark.parametrize("axis", np.eye(3))
def test_half_turns_are_as_exact_as_others(axis: np.ndarray) -> None:
    assert axes_to_quaternion(about(axis, np.array(np.pi))) == pytest.approx([*axis, 0.0], abs=1e-12)
    assert angle_between(IDENTITY, about(axis, np.array(np.pi))) == pytest.approx(np.pi, abs=1e-7)
    assert angle_between(IDENTITY, about(axis, np.array(1e-7))) == pytest.approx(1e-7, rel=1e-6)


@given(orientations)
def test_matrices_are_rotations(axes: np.ndarray) -> None:
    matrix = axes_to_matrix(axes)
    assert close(matrix @ matrix.T, np.eye(3))
    assert np.linalg.det(matrix) == pytest.approx(1.0)
    assert close(matrix_to_axes(matrix), axes)
    assert close(compose(axes, inverse(axes)), IDENTITY)


@given(orientations, directions)
def test_a_whole_turn_returns(axes: np.ndarray, axis: np.ndarray) -> None:
    steps = about(axis, np.full(12, 2 * np.pi / 12))
    turned = axes
    for step in steps:
        turned = compose(step, turned)
    assert close(turned, axes)


@given(orientations, directions, angles)
def test_the_angle_is_that_of_the_rotation(axes: np.ndarray, axis: np.ndarray, angle: float) -> None:
    turned = compose(about(axis, np.array(angle)), axes)
    assert angle_between(axes, turned) == pytest.approx(abs(angle), abs=1e-6)
    if abs(angle) < 3.1:
        expected = angle * axis / np.linalg.norm(axis)
        assert rotation_vector(axes, turned) == pytest.approx(expected, abs=1e-6)
        assert angular_velocity(axes, turned, 0.1) == pytest.approx(10 * expected, abs=1e-5)


@given(orientations, orientations, orientations)
def test_angles_do_not_depend_on_the_frame(one: np.ndarray, other: np.ndarray, frame: np.ndarray) -> None:
    assert angle_between(compose(frame, one), compose(frame, other)) == pytest.approx(
        angle_between(one, other), abs=1e-6
    )


@given(orientations, orientations, orientations)
def test_angles_are_a_distance(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> None:
    assert angle_between(a, b) == pytest.approx(angle_between(b, a), abs=1e-7)
    assert angle_between(a, c) <= angle_between(a, b) + angle_between(b, c) + 1e-6


numbers = st.floats(-2, 2)


@given(st.lists(numbers, min_size=6, max_size=6).map(np.array))
def test_any_six_numbers_become_axes_and_axes_stay(six: np.ndarray) -> None:
    made = orthonormal(six)
    matrix = axes_to_matrix(six)
    assert close(matrix.T @ matrix, np.eye(3))
    assert close(orthonormal(made), made)
    if np.linalg.norm(six[:3]) > 1e-3:
        assert close(made[:3], six[:3] / np.linalg.norm(six[:3]))


@pytest.mark.parametrize(
    "six", [np.zeros(6), np.ones(6), np.array([0, 0, 1.0, 0, 0, 1]), np.array([1e-12] * 3 + [1] * 3)]
)
def test_degenerate_predictions_become_axes(six: np.ndarray) -> None:
    matrix = axes_to_matrix(six)
    assert close(matrix.T @ matrix, np.eye(3))
    assert np.linalg.det(matrix) == pytest.approx(1.0)


def test_shapes_broadcast_and_floats_stay_small() -> None:
    many = np.stack([random_orientation(np.random.default_rng(i)) for i in range(6)]).reshape(2, 3, 6)
    assert orthonormal(many.astype(np.float32)).dtype == np.float32
    assert axes_to_quaternion(many).shape == (2, 3, 4)
    assert angle_between(many, IDENTITY).shape == (2, 3)
    assert compose(IDENTITY, many) == pytest.approx(many)
    one_by_one = [[axes_to_quaternion(axes) for axes in row] for row in many]
    assert axes_to_quaternion(many) == pytest.approx(np.array(one_by_one))


@given(orientations, st.integers(0, 23))
def test_a_cube_turned_onto_itself_looks_the_same(axes: np.ndarray, which: int) -> None:
    group = cube_group()
    assert group.shape == (24, 6)
    turned = matrix_to_axes(axes_to_matrix(axes) @ axes_to_matrix(group[which]))
    assert angle_to_symmetric(axes, turned, group) == pytest.approx(0.0, abs=1e-6)


@given(orientations, orientations)
def test_symmetry_only_brings_nearer(one: np.ndarray, other: np.ndarray) -> None:
    nearest = angle_to_symmetric(one, other, cube_group())
    assert nearest <= angle_between(one, other) + 1e-9
    assert nearest <= np.radians(62.8)  # no orientation is further from a cube's


def test_cubes_rotations_differ() -> None:
    group = cube_group()
    apart = angle_between(group[:, None], group[None]) + 9 * np.eye(24)
    assert apart.min() == pytest.approx(np.pi / 2)


@given(directions, directions)
def test_the_angle_of_directions(one: np.ndarray, other: np.ndarray) -> None:
    cosine = one @ other / np.linalg.norm(one) / np.linalg.norm(other)
    assert np.cos(angle_between_axes(one, other)) == pytest.approx(cosine, abs=1e-7)


@given(quaternions)
def test_it_agrees_with_mujoco(q: np.ndarray) -> None:
    mujoco = pytest.importorskip("mujoco")
    unit = q / np.linalg.norm(q)
    flat = np.zeros(9)
    mujoco.mju_quat2Mat(flat, unit[[3, 0, 1, 2]])
    assert close(axes_to_matrix(quaternion_to_axes(q)), flat.reshape(3, 3))


def test_random_orientations_turn_everything_everywhere() -> None:
    rng = np.random.default_rng(0)
    drawn = np.stack([random_orientation(rng) for _ in range(2000)])
    assert np.abs(drawn.mean(0)).max() < 0.06
    assert np.abs((drawn**2).mean(0) - 1 / 3).max() < 0.03


def test_names_of_a_states_entries() -> None:
    assert AXES == ("x_axis.x", "x_axis.y", "x_axis.z", "y_axis.x", "y_axis.y", "y_axis.z")
