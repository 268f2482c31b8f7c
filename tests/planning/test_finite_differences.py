# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Derivatives by differences: exact where they can be, sensible where there is no derivative."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mbrl_controller.planning.finite_differences import jacobians, positive_part, quadratics
from mbrl_controller.tasks.spaces import VectorSpec

STEPS = np.array([0.1, 0.5, 2.0])


@given(seed=st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_a_quadratic_function_is_found_exactly_whatever_the_steps(seed: int) -> None:
    rng = np.random.default_rng(seed)
    gradient, half, points = rng.normal(size=3), rng.normal(size=(3, 3)), rng.normal(size=(4, 3))
    hessian = half + half.T
    slopes, curvatures = quadratics(
        lambda z: z @ gradient + 0.5 * np.einsum("...i,ij,...j->...", z, hessian, z), points, STEPS
    )
    assert slopes == pytest.approx(gradient + points @ hessian, abs=1e-8)
    assert curvatures == pytest.approx(np.broadcast_to(hessian, (4, 3, 3)), abs=1e-8)


def test_each_row_is_of_its_own_point() -> None:
    factor = np.array([1.0, -2.0])
    slopes, _ = quadratics(lambda z: factor * z[..., 0], np.zeros((2, 1)), np.ones(1))
    assert slopes[:, 0] == pytest.approx(factor)


def test_a_jump_slopes_within_two_steps_and_not_beyond() -> None:
    points = np.array([[-0.25], [-0.15], [-0.04], [0.04], [0.15], [0.25]])
    slopes, _ = quadratics(lambda z: (z[..., 0] > 0).astype(float), points, np.array([0.1]))
    assert (slopes[1:5] > 0).all()
    assert not slopes[[0, -1]].any()
    assert slopes[2] > slopes[1]


def test_a_kink_has_the_curvature_of_what_is_seen_of_it() -> None:
    points = np.array([[0.0], [0.1], [5.0]])
    slopes, curvatures = quadratics(lambda z: np.abs(z[..., 0]), points, np.array([0.5]))
    assert slopes[0] == pytest.approx(0.0)
    assert curvatures[0] > curvatures[1] > 0
    assert slopes[2] == pytest.approx(1.0)
    assert curvatures[2] == pytest.approx(0.0, abs=1e-9)


def test_mixed_derivatives_can_be_left_out() -> None:
    _, curvatures = quadratics(lambda z: z[..., 0] * z[..., 1], np.zeros((1, 3)), STEPS, mixed=False)
    assert not curvatures.any()


def test_jacobians_of_a_linear_function_and_of_an_angle_that_wraps() -> None:
    spec = VectorSpec(("a", "valve"), ("", "rad"), periodic=(1,))
    matrix = np.array([[1.0, 2.0, 0.0], [0.0, 0.5, -1.0]])

    def function(z: np.ndarray) -> np.ndarray:
        values = z @ matrix.T
        values[:, 1] = (values[:, 1] + np.pi) % (2 * np.pi) - np.pi
        return values

    points = np.array([[0.0, 0.0, np.pi], [0.3, 0.1, 1.0]])
    found = jacobians(function, points, np.full(3, 0.2), spec.difference)
    assert found == pytest.approx(np.broadcast_to(matrix, (2, 2, 3)))


def test_the_positive_part_keeps_what_is_convex() -> None:
    rng = np.random.default_rng(0)
    half = rng.normal(size=(5, 3, 3))
    convex = half @ half.transpose(0, 2, 1)
    assert positive_part(convex, STEPS) == pytest.approx(convex)
    assert positive_part(-convex, STEPS) == pytest.approx(0.0, abs=1e-9)
    mixed = positive_part(half + half.transpose(0, 2, 1), STEPS)
    assert np.linalg.eigvalsh(mixed).min() > -1e-9
