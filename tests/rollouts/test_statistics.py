# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Intervals of rates, means and medians."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbrl_controller.rollouts.statistics import bootstrap, wilson


@given(st.integers(0, 200), st.integers(0, 200))
def test_wilson_holds_the_rate_and_stays_in_the_unit_interval(a: int, b: int) -> None:
    successes, trials = min(a, b), max(a, b)
    low, high = wilson(successes, trials)
    assert 0 <= low <= high <= 1
    if trials:
        assert low <= successes / trials <= high


def test_wilson_against_published_values() -> None:
    """15 of 20: .531 to .888; the others are table I of Newcombe 1998, method 3."""
    assert wilson(15, 20) == pytest.approx((0.531, 0.888), abs=1e-3)
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson(15, 148) == pytest.approx((0.0624, 0.1605), abs=1e-4)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)
    assert wilson(1, 29) == pytest.approx((0.0061, 0.1718), abs=1e-4)
    assert wilson(29, 29) == pytest.approx((1 - 0.1170, 1.0), abs=1e-4)
    assert wilson(0, 0) == (0.0, 1.0)


def test_of_all_or_none_the_interval_ends_at_1_or_at_0() -> None:
    """Whatever the rounding of the formula, which may go past it."""
    for trials in range(1, 500):
        assert wilson(trials, trials)[1] == 1.0
        assert wilson(0, trials)[0] == 0.0


def test_bootstrap_narrows_with_more_episodes() -> None:
    rng = np.random.default_rng(1)
    widths = [np.ptp(bootstrap(rng.normal(size=n), np.mean)) for n in (10, 1000)]
    assert widths[1] < widths[0] / 4


@pytest.mark.parametrize("center", [0.0, 5.0])
def test_the_interval_of_a_mean_is_that_of_95_percent(center: float) -> None:
    values = np.random.default_rng(2).normal(center, 3.0, size=400)
    low, high = bootstrap(values, np.mean)
    half = 1.96 * values.std() / np.sqrt(len(values))
    assert bootstrap(values, np.mean) == (low, high)  # the same each time
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.06 * half)


def test_the_interval_is_of_the_statistic_that_is_asked_for() -> None:
    """Of four values one of which is far away: the mean may be anywhere between, the median is mostly not."""
    values = [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1001.0]
    assert bootstrap(values, np.median) == (1.0, 1.0)
    low, high = bootstrap(values, np.mean)
    assert low == 1.0
    assert 200 < high < 400  # 3 draws of it in 10 have a chance of 7 %, 4 of 1 %


def test_one_value_has_no_interval_and_two_have_one() -> None:
    assert np.isnan(bootstrap([1.0], np.mean)).all()
    assert bootstrap([1.0, 3.0], np.mean) == (1.0, 3.0)
