# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""How wide candidates are drawn, per joint and step."""

from __future__ import annotations

import numpy as np
import pytest

from mbrl_controller.planning.catalog import make_planner
from mbrl_controller.planning.noise import _normal_quantiles, noise_basis

H, A = 6, 3


def drawn(**options) -> np.ndarray:
    p = make_planner("cem", A, {"num_samples": 20_000, "horizon": H, "keep_mean": False, **options})
    return p.candidates(p.initial_state(0))


@pytest.mark.parametrize("kind", ["white", "filtered", "coloured", "knots"])
def test_steps_vary_together_as_the_kind_of_noise_says(kind: str) -> None:
    found = drawn(noise=kind, beta=0.5, colour=1.5, knots=3, sigma=0.2)
    basis = noise_basis(kind, H, beta=0.5, colour=1.5, knots=3)  # type: ignore[arg-type]
    for joint in range(A):
        assert np.cov(found[:, :, joint].T) == pytest.approx(0.04 * basis @ basis.T, abs=0.0025)
    assert np.corrcoef(found[:, 0, 0], found[:, 0, 1])[0, 1] == pytest.approx(0.0, abs=0.03)


def test_a_joint_of_scale_zero_stays_where_the_plan_has_it() -> None:
    p = make_planner(
        "pddm", A, {"num_samples": 50, "horizon": H, "joint_scale": (1.0, 0.0, 0.5), "filter_variant": "paper"}
    )
    found = p.candidates(p.initial_state(0))
    assert not found[:, :, 1].any()
    assert found[:, :, 0].any()


def test_joints_that_are_all_alike_need_no_scale() -> None:
    np.testing.assert_array_equal(drawn(sigma=0.2), drawn(sigma=0.2, joint_scale=(1.0, 1.0, 1.0)))


def test_the_table_of_normal_numbers_is_there_before_the_first_plan() -> None:
    _normal_quantiles.cache_clear()
    make_planner("pddm", A)
    assert _normal_quantiles.cache_info().currsize == 1
