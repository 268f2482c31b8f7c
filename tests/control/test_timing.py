# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Streaming statistics against NumPy's."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbrl_controller.control.timing import LoopStatistics, RunningStatistics

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


def test_after_clearing_nothing_of_before_is_left() -> None:
    statistics, fresh = RunningStatistics(0.1), RunningStatistics(0.1)
    for value in (5.0, -3.0, 0.1):
        statistics.add(value)
    statistics.clear()
    for one in (statistics, fresh):
        one.add(0.2)
        one.add(0.3)
    assert statistics.summary() == fresh.summary()
    assert statistics.last == 0.3


def test_all_of_a_summary_is_nan_before_the_first_value() -> None:
    summary = RunningStatistics().summary()
    assert summary.count == 0
    assert all(math.isnan(value) for name, value in vars(summary).items() if name != "count")


def test_a_loops_statistics_count_from_zero_and_are_cleared_together() -> None:
    statistics = LoopStatistics(0.1)
    assert (statistics.ticks, statistics.missed) == (0, 0)
    for i in range(100):
        statistics.period.add(0.1 + (-1) ** i * 1e-5)
        statistics.lateness.add(1e-4)
        statistics.execution.add(1e-3)
        statistics.ticks += 1
        statistics.missed += 2
    assert statistics.period.summary().p99 == pytest.approx(0.1 + 1e-5, abs=1e-7)  # most exact at the period
    assert statistics.lateness.summary().p50 == pytest.approx(1e-4, rel=0.005)
    statistics.clear()
    assert (statistics.ticks, statistics.missed) == (0, 0)
    for series in (statistics.period, statistics.lateness, statistics.execution):
        assert series.summary().count == 0


def test_values_that_threads_add_at_once_are_all_counted() -> None:
    statistics = RunningStatistics()

    def add() -> None:
        for i in range(5000):
            statistics.add(1e-3 * (i % 10 + 1))

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    summary = statistics.summary()
    assert summary.count == 20_000
    assert summary.mean == pytest.approx(5.5e-3)


def test_percentiles_lie_on_the_right_side_of_the_centre_and_within_the_extremes() -> None:
    """With values far out on both sides, so that nothing is put right by the extremes."""
    statistics = RunningStatistics(centre=0.1)
    for value, count in ((-5.0, 1), (0.09, 600), (0.13, 380), (0.2, 18), (9.0, 1)):
        for _ in range(count):
            statistics.add(value)
    summary = statistics.summary()
    assert summary.p50 == pytest.approx(0.1 - 0.01, abs=0.005 * 0.01)
    assert summary.p99 == pytest.approx(0.1 + 0.1, abs=0.005 * 0.1)
    assert summary.p999 == pytest.approx(0.1 + 0.1, abs=0.005 * 0.1)
    assert (summary.min, summary.max) == (-5.0, 9.0)


def test_of_ten_thousand_the_ten_worst_are_beyond_the_last_percentile() -> None:
    statistics = RunningStatistics()
    for i in range(10_000):
        statistics.add(1.0 if i < 10 else 2e-3)
    assert statistics.summary().p999 == pytest.approx(2e-3, rel=0.005)
    statistics.add(1.0)
    assert statistics.summary().p999 == pytest.approx(1.0, rel=0.005)


class Watched(np.ndarray):
    """Counts that let something happen as they are read or changed."""

    happens: Callable[[], None]

    def __setitem__(self, key: object, value: object) -> None:
        self.happens()
        super().__setitem__(key, value)

    def copy(self, order: str = "C") -> np.ndarray:
        self.happens()
        return np.array(self)


USES = {
    "add": lambda statistics: statistics.add(2.0),
    "summary": lambda statistics: statistics.summary(),
    "clear": lambda statistics: statistics.clear(),
}


@pytest.mark.parametrize("one", ["add", "summary"])
@pytest.mark.parametrize("other", USES)
def test_what_is_added_and_what_is_read_wait_for_each_other(one: str, other: str) -> None:
    statistics = RunningStatistics()
    statistics.add(1.0)
    back, came_back = threading.Event(), []
    thread = threading.Thread(target=lambda: (USES[other](statistics), back.set()))

    def happens() -> None:
        if thread.ident is None:
            thread.start()
            came_back.append(back.wait(0.1))

    counts = statistics._counts.view(Watched)
    counts.happens = happens
    statistics._counts = counts
    USES[one](statistics)
    thread.join(60)
    assert came_back == [False]
    assert back.is_set()
