"""Streaming statistics against NumPy's."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbrl_controller.control.timing import RunningStatistics

values = st.lists(st.floats(-1e3, 1e3, allow_nan=False), min_size=1, max_size=200)


@given(values, st.integers(1, 50))
def test_agrees_with_numpy(given_values: list[float], window: int) -> None:
    statistics = RunningStatistics(window)
    for value in given_values:
        statistics.add(value)
    summary = statistics.summary()
    array = np.array(given_values)
    assert summary.count == len(array)
    assert summary.mean == pytest.approx(array.mean(), abs=1e-9)
    assert summary.std == pytest.approx(array.std(), abs=1e-7)
    assert (summary.min, summary.max, summary.last) == (array.min(), array.max(), array[-1])
    recent = array[-window:]
    for found, percent in ((summary.p50, 50), (summary.p99, 99), (summary.p999, 99.9)):
        assert found == pytest.approx(np.percentile(recent, percent), abs=1e-9)


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
