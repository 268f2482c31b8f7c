# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Quadratic programmes in a box."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mbrl_controller.planning.box_qp import solve_box_qp


def problem(seed: int, size: int, condition: float):
    rng = np.random.default_rng(seed)
    turned = np.linalg.qr(rng.normal(size=(size, size)))[0]
    hessian = turned * np.geomspace(1.0, condition, size) @ turned.T
    lower = -rng.uniform(0, 1, size)
    return 0.5 * (hessian + hessian.T), rng.normal(size=size) * 3, lower, lower + rng.uniform(0, 2, size)


@given(seed=st.integers(0, 10_000), size=st.integers(1, 9), condition=st.sampled_from([1.0, 10.0, 1e4]))
@settings(max_examples=60, deadline=None)
def test_the_solution_fulfils_the_conditions_of_a_minimum(seed: int, size: int, condition: float) -> None:
    hessian, gradient, lower, upper = problem(seed, size, condition)
    found = solve_box_qp(hessian, gradient, lower, upper, np.zeros(size))
    slope = gradient + hessian @ found.x
    tolerance = 1e-6 * condition
    assert (found.x >= lower).all()
    assert (found.x <= upper).all()
    inside = (found.x > lower) & (found.x < upper)
    assert np.abs(slope[inside]).max(initial=0.0) < tolerance
    assert (slope[found.x == lower] > -tolerance).all() or (lower == upper).any()
    assert (slope[found.x == upper] < tolerance).all() or (lower == upper).any()


def test_without_an_active_bound_it_is_newtons_step() -> None:
    hessian, gradient, *_ = problem(3, 5, 10.0)
    wide = np.full(5, 1e3)
    found = solve_box_qp(hessian, gradient, -wide, wide, np.zeros(5))
    assert found.free.all()
    assert found.x == pytest.approx(-np.linalg.solve(hessian, gradient))


def test_entries_at_their_bounds_are_not_free() -> None:
    found = solve_box_qp(np.eye(2), np.array([-5.0, 0.1]), -np.ones(2), np.ones(2), np.zeros(2))
    assert found.x == pytest.approx([1.0, -0.1])
    assert found.free.tolist() == [False, True]


def test_an_indefinite_hessian_is_refused() -> None:
    with pytest.raises(np.linalg.LinAlgError):
        solve_box_qp(-np.eye(2), np.ones(2), -np.ones(2), np.ones(2), np.zeros(2))
