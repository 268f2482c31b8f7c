# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""PDDM's samples and its weighting, by value."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mbrl_controller.planning.base import PlannerState
from mbrl_controller.planning.catalog import make_planner
from mbrl_controller.planning.pddm import adapted_inverse_temperature, soft_weights

H, A = 4, 2


def planner(**options: Any):
    return make_planner("pddm", A, {"num_samples": 400, "horizon": H, "keep_mean": False, **options})


def candidates(mean: np.ndarray, last: np.ndarray, **options: Any) -> np.ndarray:
    p = planner(**options)
    return p.candidates(PlannerState(mean, last, 0))


MEAN = np.array([[0.2, -0.1], [0.3, 0.0], [-0.2, 0.1], [0.1, 0.4]])
LAST = np.array([0.5, -0.6])


def test_the_released_filter_smooths_the_plan_itself_from_the_last_action_on() -> None:
    """Without noise all candidates are the filtered mean: a_t = beta mu_t + (1 - beta) a_{t-1}."""
    for beta in (0.3, 0.6, 1.0):
        found = candidates(MEAN, LAST, sigma=1e-9, beta=beta)
        before = LAST
        for step in range(H):
            before = beta * MEAN[step] + (1 - beta) * before
            np.testing.assert_allclose(found[:, step], np.tile(before, (400, 1)), atol=1e-6)


@pytest.mark.parametrize(
    "options", [{"filter_variant": "paper"}, {"noise": "white"}, {"noise": "knots", "filter_variant": "released"}]
)
def test_other_noise_is_added_to_the_plan(options: dict[str, str]) -> None:
    np.testing.assert_allclose(candidates(MEAN, LAST, sigma=1e-9, **options), np.tile(MEAN, (400, 1, 1)), atol=1e-6)


@pytest.mark.parametrize(("fraction", "calm"), [(0.0, 0), (0.1, 40), (0.25, 100), (0.5, 200), (1.0, 400)])
def test_so_many_candidates_are_calm_and_they_are_spread_over_all(fraction: float, calm: int) -> None:
    wild = candidates(np.zeros((H, A)), np.zeros(A), sigma=0.1, low_noise_fraction=0.0)
    found = candidates(np.zeros((H, A)), np.zeros(A), sigma=0.1, low_noise_fraction=fraction)
    ratio = (found / wild)[:, 0, 0]
    is_calm = np.isclose(ratio, 0.3, rtol=1e-4)
    assert np.allclose(ratio[~is_calm], 1.0)
    assert is_calm.sum() == calm
    for part in range(0, 400, 40):
        assert is_calm[part : part + 40].sum() == pytest.approx(40 * fraction, abs=1)


def test_weights_grow_with_the_exponential_of_the_return() -> None:
    assert soft_weights(np.array([0.0, np.log(2)]), 1.0) == pytest.approx([1 / 3, 2 / 3])
    assert soft_weights(np.array([0.0, np.log(2), -np.inf]), 2.0) == pytest.approx([0.2, 0.8, 0.0])


def test_the_plan_is_the_weighted_mean_of_the_candidates_and_so_is_its_return() -> None:
    p, seen = planner(inverse_temperature=0.7), []

    def objective(c: np.ndarray) -> np.ndarray:
        returns = 3 * c[:, 0, 0].astype(float)
        returns[::7] = np.nan
        seen.append((c.copy(), returns))
        return returns

    result, _ = p.plan(objective, PlannerState(MEAN, LAST, 0))
    tried, returns = seen[0]
    good = np.isfinite(returns)
    weights = np.exp(0.7 * returns[good]) / np.exp(0.7 * returns[good]).sum()
    np.testing.assert_allclose(result.actions, np.einsum("n,nha->ha", weights, tried[good]), atol=1e-5)
    assert result.predicted_return == pytest.approx(float((weights * returns[good]).sum()))


def test_an_effective_share_is_kept_to_where_it_is_asked_for() -> None:
    """Two thirds of the weight to one of two: kappa is what makes the sample size 1 / (1/9 + 4/9)."""
    returns = np.array([0.0, 1.0])
    assert adapted_inverse_temperature(returns, 0.9) == pytest.approx(np.log(2), rel=0.01)
    assert adapted_inverse_temperature(returns - 5, 0.9) == pytest.approx(np.log(2), rel=0.01)
    assert adapted_inverse_temperature(100 * returns, 0.9) == pytest.approx(np.log(2) / 100, rel=0.01)
    assert adapted_inverse_temperature(np.array([0.0, 1.0, -np.inf]), 0.9) == pytest.approx(np.log(2), rel=0.01)
    assert adapted_inverse_temperature(np.ones(3), 0.9) == 1.0
    with np.errstate(over="ignore"):
        assert adapted_inverse_temperature(np.array([-1e308, 1e308]), 0.9) == 1.0  # their difference is no number
