"""Streaming statistics against NumPy's."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbrl_controller.control.timing import RunningStatistics

times = st.floats(1e-6, 1e3)
values = st.lists(times | times.map(lambda time: -time) | st.just(0.0), min_size=1, max_size=200)


@given(values, st.sampled_from([0.0, 0.1, 1 / 30]))
def test_agrees_with_numpy(given_values: list[float], centre: float) -> None:
    statistics = RunningStatistics(centre)
    for value in given_values:
        statistics.add(value)
    summary = statistics.summary()
    array = np.array(given_values)
    assert summary.count == len(array)
    assert summary.mean == pytest.approx(array.mean(), abs=1e-9)
    assert summary.std == pytest.approx(array.std(), abs=1e-7)
    assert (summary.min, summary.max, summary.last) == (array.min(), array.max(), array[-1])
    for found, percent in ((summary.p50, 50), (summary.p99, 99), (summary.p999, 99.9)):
        exact = np.percentile(array, percent, method="inverted_cdf")  # one of the values, not one between two
        assert abs(found - exact) <= max(0.005 * abs(exact - centre), 1.01e-6)


def test_percentiles_are_of_all_values_however_many() -> None:
    statistics = RunningStatistics()
    for i in range(36_000):  # an hour at 10 Hz, whose first minute was bad
        statistics.add(0.05 if i < 600 else 1e-4)
    summary = statistics.summary()
    assert summary.p50 == pytest.approx(1e-4, rel=0.005)
    assert summary.p99 == summary.p999 == pytest.approx(0.05, rel=0.005)


@given(st.lists(times, min_size=1, max_size=50))
def test_percentiles_are_in_order_and_within_what_was_seen(given_values: list[float]) -> None:
    statistics = RunningStatistics()
    for value in given_values:
        statistics.add(value)
    s = statistics.summary()
    assert s.min <= s.p50 <= s.p99 <= s.p999 <= s.max


def test_microseconds_of_jitter_are_seen_in_a_period_of_tenths_of_a_second() -> None:
    statistics = RunningStatistics(centre=0.1)
    for i in range(1000):
        statistics.add(0.1 + (-1) ** i * (2e-5 if i < 100 else 3e-6))
    assert statistics.summary().p99 == pytest.approx(0.1 + 2e-5, abs=2e-7)


@pytest.mark.parametrize("value", [-1e6, -1.0, 0.0, 1e-12, 1e6])
def test_what_is_outside_of_the_buckets_counts_at_their_ends(value: float) -> None:
    statistics = RunningStatistics()
    statistics.add(value)
    assert statistics.summary().p50 == value


def test_small_deviations_of_large_values_keep_their_digits() -> None:
    statistics = RunningStatistics()
    for i in range(10_000):
        statistics.add(1e6 + (i % 2) * 1e-3)
    assert statistics.summary().std == pytest.approx(5e-4, rel=1e-3)


def test_empty_and_cleared_is_nan() -> None:
    statistics = RunningStatistics()
    assert statistics.summary().count == 0
    statistics.add(1.0)
    statistics.clear()
    assert math.isnan(statistics.summary().mean)
    assert math.isnan(statistics.last)
