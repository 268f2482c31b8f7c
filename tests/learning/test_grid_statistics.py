# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What the cells of a grid say, and when a claim holds."""

from __future__ import annotations

import numpy as np
import pytest

from mbrl_controller.learning.grid_statistics import Estimate, difference, estimate, overall, verdict
from mbrl_controller.rollouts.statistics import student


def runs(*values: list[float], figure: str = "return_mean") -> dict[int, list[dict[str, float]]]:
    return {seed: [{figure: value} for value in of] for seed, of in enumerate(values)}


def between(low: float, high: float) -> Estimate:
    return Estimate((low + high) / 2, (low, high), (low, high), 3, 10)


def test_the_interval_of_a_few_runs_is_students() -> None:
    low, high = student(np.array([1.0, 2.0, 3.0]))
    assert (low, high) == pytest.approx((2 - 4.303 / np.sqrt(3), 2 + 4.303 / np.sqrt(3)))
    assert np.isnan(student(np.array([1.0]))).all()


def test_runs_count_and_not_their_episodes() -> None:
    many = estimate(runs([0.0] * 50, [10.0] * 50), "return_mean")
    assert many is not None
    assert many.mean == 5.0
    assert many.ci95[0] < 0 < 10 < many.ci95[1]  # two runs say little, however many episodes they have
    assert many.episodes_ci95 == (5.0, 5.0)


def test_a_share_of_one_run_has_an_interval_even_at_its_end() -> None:
    all_kept = estimate(runs([1.0] * 10, figure="kept_rate"), "kept_rate")
    assert all_kept is not None
    assert all_kept.ci95[0] < 0.8
    assert all_kept.ci95[1] == 1.0


def test_differences_are_paired_episode_by_episode() -> None:
    hard = np.random.default_rng(0).normal(0, 100, 40)
    first, arm = runs(list(hard)), runs(list(hard + 1.0))
    apart = difference(arm, first, "return_mean")
    assert apart is not None
    assert apart.ci95 == pytest.approx((1.0, 1.0))
    assert difference(arm, runs([1.0]), "return_mean") is None
    assert estimate(runs([1.0, float("nan")]), "return_mean") is None


@pytest.mark.parametrize(
    ("ci95", "expect", "better", "margin", "told"),
    [
        ((1, 2), "better", 1, 0, "holds"),
        ((-2, -1), "better", 1, 0, "does not"),
        ((-1, 2), "better", 1, 0, "cannot be told"),
        ((-1, 2), "better", 1, 3, "does not"),  # not by as much as matters
        ((1, 2), "better", -1, 0, "does not"),
        ((-2, -1), "worse", 1, 0, "holds"),
        ((1, 2), "worse", -1, 0, "holds"),
        ((-1, 2), "worse", 1, 0, "cannot be told"),
        ((-1, 2), "not_worse", 1, 1, "holds"),
        ((-3, 2), "not_worse", 1, 1, "cannot be told"),
        ((-3, -2), "not_worse", 1, 1, "does not"),
        ((-1, 1), "alike", 1, 1, "holds"),
        ((2, 3), "alike", 1, 1, "does not"),
        ((0, 3), "alike", 1, 1, "cannot be told"),
        ((float("nan"), float("nan")), "better", 1, 0, "cannot be told"),
        ((1, 2), "", 1, 0, ""),
    ],
)
def test_a_verdict_follows_from_the_whole_interval(
    ci95: tuple[float, float], expect: str, better: int, margin: float, told: str
) -> None:
    assert verdict(between(*ci95), expect, better, margin) == told  # type: ignore[arg-type]


def test_a_claim_holds_if_all_its_arms_do() -> None:
    assert overall(["", "holds", "holds"]) == "holds"
    assert overall(["holds", "cannot be told"]) == "cannot be told"
    assert overall(["cannot be told", "does not"]) == "does not"
    assert overall(["", ""]) == ""
    assert verdict(None, "better", 1) == "cannot be told"
