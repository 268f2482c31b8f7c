# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""CEM's refit to its elites, by value."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mbrl_controller.planning.catalog import make_planner
from mbrl_controller.planning.sampling import Search

H, A = 2, 3


def refitted(returns: list[float], mean: float = 0.5, std: float = 0.4, **options: Any) -> tuple[Search, np.ndarray]:
    """What is left after the candidates got these returns; the n-th is n / 10 everywhere."""
    p = make_planner("cem", A, {"horizon": H, "momentum": 0.25, "sigma_min": 0.05, **options})
    search = Search(mean=np.full((H, A), mean), best=np.zeros((H, A)), std=np.full((H, A), std))
    candidates = np.tile(0.1 * np.arange(len(returns))[:, None, None], (1, H, A)).astype(np.float32)
    p._refine(search, candidates, np.array(returns))
    return search, candidates


def test_mean_and_deviation_are_the_elites_but_for_the_share_that_is_kept() -> None:
    """Of ten the best three: 0.2, 0.5 and 0.8."""
    search, _ = refitted([0, 0, 7, 0, 0, 9, 0, 0, 8, 0], elite_fraction=0.3)
    np.testing.assert_allclose(search.mean, 0.25 * 0.5 + 0.75 * 0.5, atol=1e-6)
    np.testing.assert_allclose(search.std, 0.25 * 0.4 + 0.75 * np.std([0.2, 0.5, 0.8]), atol=1e-6)
    assert search.predicted_return == pytest.approx(8.0)
    search, _ = refitted([0, 0, 7, 0, 0, 9, 0, 0, 8, 0], elite_fraction=0.2, mean=-0.5)
    np.testing.assert_allclose(search.mean, 0.25 * -0.5 + 0.75 * 0.65, atol=1e-6)


def test_one_elite_at_least_and_none_that_is_no_number() -> None:
    search, _ = refitted([0, 5, 0], elite_fraction=0.01, momentum=0.0)
    np.testing.assert_allclose(search.mean, 0.1, atol=1e-6)
    assert search.predicted_return == 5.0
    search, _ = refitted([-np.inf, 5, -np.inf, 1], elite_fraction=1.0, momentum=0.0)
    np.testing.assert_allclose(search.mean, 0.2, atol=1e-6)
    assert search.predicted_return == 3.0


def test_the_deviation_has_a_floor() -> None:
    search, _ = refitted([0, 5, 0], elite_fraction=0.01, momentum=0.0, sigma_min=0.07)
    np.testing.assert_allclose(search.std, 0.07)


def test_each_plan_begins_with_the_width_asked_for_of_each_joint() -> None:
    p = make_planner("cem", A, {"num_samples": 20_000, "horizon": H, "sigma": 0.2, "joint_scale": (1.0, 0.5, 2.0)})
    first = p.candidates(p.initial_state(0))
    assert first.std(0) == pytest.approx(np.tile([0.2, 0.1, 0.4], (H, 1)), rel=0.03)


def test_the_next_refinement_draws_around_the_elites_as_widely_as_they_lie() -> None:
    seen: list[np.ndarray] = []
    p = make_planner("cem", A, {"num_samples": 20_000, "horizon": H, "iterations": 2, "sigma": 0.2, "momentum": 0.25,
                                "elite_fraction": 0.5, "joint_scale": (1.0, 0.5, 2.0), "keep_mean": False})  # fmt: skip

    def objective(c: np.ndarray) -> np.ndarray:
        seen.append(c.copy())
        return c[:, 0, 0].astype(float)

    p.plan(objective, p.initial_state(0))
    elites = seen[0][np.argsort(-seen[0][:, 0, 0])[:10_000]]
    start = np.tile([0.2, 0.1, 0.4], (H, 1))
    assert seen[1].mean(0) == pytest.approx(0.75 * elites.mean(0), abs=0.01)
    assert seen[1].std(0) == pytest.approx(0.25 * start + 0.75 * elites.std(0), rel=0.05)
