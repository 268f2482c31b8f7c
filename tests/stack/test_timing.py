# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Figures of ticks from the rows that the controller publishes."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbrl_controller.stack.timing import LoopTimingStats

PERIOD = 0.1


def row(index: int, missed: int = 0, lateness: float = 0.0, execution: float = 0.02, late: int = 0) -> dict[str, float]:
    """The row of the tick that was due `index` periods after the start."""
    return {
        "stamp": 1.7e9 + index * PERIOD + lateness,
        "lateness": lateness,
        "previous_execution": execution,
        "missed_ticks": float(missed),
        "late_plans": float(late),
    }


def test_a_run_in_time() -> None:
    figures = LoopTimingStats(PERIOD)
    for i in range(100):
        figures.add(row(i, lateness=1e-4 if i != 50 else 3e-3, execution=math.nan if i == 0 else 0.02))
    found = figures.summary()
    assert (found["ticks"], found["missed"], found["rows_lost"]) == (100, 0, 0)
    assert figures.seconds == pytest.approx(10.0)
    assert found["lateness_p50_ms"] == pytest.approx(0.1, rel=0.01)
    assert found["lateness_max_ms"] == pytest.approx(3.0)
    assert found["execution_p99_ms"] == pytest.approx(20.0, rel=0.01)
    assert found["period_p50_ms"] == pytest.approx(100.0, abs=0.002)
    assert found["period_max_ms"] == pytest.approx(102.9)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=50))
def test_ticks_and_misses_add_up_to_the_time(skipped: list[int]) -> None:
    figures, index, missed = LoopTimingStats(PERIOD), 0, 0
    figures.add(row(0))
    for gap in skipped:
        missed += gap
        index += gap + 1
        figures.add(row(index, missed, lateness=1e-3))
    counts = figures.counts()
    assert counts["ticks"] + counts["missed"] == pytest.approx(figures.seconds / PERIOD, abs=0.02)
    assert counts["missed"] == sum(skipped)
    assert counts["rows_lost"] == 0
    assert figures.summary()["period_max_ms"] == pytest.approx(100.0 * (max(skipped) + 1), abs=1.1)


def test_rows_that_did_not_arrive_are_no_misses() -> None:
    figures = LoopTimingStats(PERIOD)
    for index in (0, 1, 2, 6, 7):
        figures.add(row(index))
    assert figures.counts() == {"ticks": 5, "missed": 0, "late_plans": 0, "rows_lost": 3}


def test_the_worst_is_that_since_it_was_asked_for() -> None:
    figures = LoopTimingStats(PERIOD)
    assert figures.take_worst_ms() is None
    figures.add(row(0, lateness=0.002))
    figures.add(row(1, lateness=0.001))
    assert figures.take_worst_ms() == pytest.approx(2.0)
    figures.add(row(2, lateness=0.001))
    assert figures.take_worst_ms() == pytest.approx(1.0)
    assert figures.take_worst_ms() is None


def test_nothing_heard_is_nothing_counted() -> None:
    figures = LoopTimingStats(PERIOD)
    assert set(figures.counts().values()) == {0}
    assert figures.seconds == 0.0
    assert math.isnan(figures.summary()["lateness_p99_9_ms"])
