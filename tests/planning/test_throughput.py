# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The time of a chunk: fits by value, and what is made of too little to fit."""

from __future__ import annotations

import pytest

from mbrl_controller.planning.throughput import SLOW, WINDOW, ThroughputEstimator


def measured(*chunks: tuple[int, float]) -> ThroughputEstimator:
    pace = ThroughputEstimator()
    for count, seconds in chunks:
        pace.add(count, seconds)
    pace.learn()
    return pace


def test_before_the_first_chunk_nothing_is_known() -> None:
    assert not ThroughputEstimator()
    assert ThroughputEstimator().seconds(100) == 0.0
    assert ThroughputEstimator().affordable(9.0) == 0


def test_both_parts_of_a_chunks_time_are_found() -> None:
    pace = measured((10, 0.012), (20, 0.022), (40, 0.042))
    assert pace.seconds(100) == pytest.approx(0.102)
    assert pace.affordable(0.0525) == 50
    assert pace.affordable(0.0515) == 49
    assert pace.affordable(0.001) == pace.affordable(-1.0) == 0
    assert measured((10, 0.012), (11, 0.013)).seconds(100) == pytest.approx(0.102)  # sizes that hardly differ


def test_chunks_of_one_size_tell_the_time_of_each_candidate_alone() -> None:
    pace = measured((10, 0.01), (10, 0.01))
    assert pace.seconds(30) == pytest.approx(0.03)
    assert pace.affordable(0.0305) == 30


@pytest.mark.parametrize("chunks", [((10, 0.02), (20, 0.02)), ((10, 0.04), (20, 0.02)), ((10, 0.001), (20, 0.039))])
def test_a_fit_that_cannot_be_is_replaced_by_the_mean_of_each_candidate(chunks: tuple) -> None:
    """More candidates in no more time, or a fixed part below nothing."""
    pace = measured(*chunks)
    each = sum(seconds for _, seconds in chunks) / 30
    assert pace._fixed == 0.0
    assert pace._each == pytest.approx(each, rel=0.7)
    assert pace.seconds(100) >= 100 * pace._each


def test_the_first_two_chunks_are_learnt_from_at_once_later_ones_when_asked() -> None:
    pace = ThroughputEstimator()
    pace.add(10, 0.01)
    assert pace.seconds(10) == pytest.approx(0.01)
    pace.add(20, 0.018)  # 0.8 ms each, and 2 ms
    assert pace.seconds(100) == pytest.approx(0.082)
    pace.add(20, 9.0)
    assert pace.seconds(100) == pytest.approx(0.082)
    for _ in range(50):
        pace.add(10, 0.1)
        pace.add(20, 0.2)
    assert pace.seconds(100) == pytest.approx(0.082)
    pace.learn()
    assert pace.seconds(100) == pytest.approx(1.0)


def test_only_so_many_chunks_are_looked_back_on() -> None:
    assert WINDOW == 48
    pace = measured(*[(10, 1.0)] * 100, *[(10, 0.01)] * 24, *[(20, 0.02)] * 24)
    assert pace.seconds(100) == pytest.approx(0.1)
    pace = measured(*[(10, 1.0)] * 100, *[(10, 0.01)] * 23, *[(20, 0.02)] * 24)
    assert pace._chunks[0] == (10.0, 1.0)


def test_the_delay_is_that_of_the_latest_tenth() -> None:
    """One chunk in five was held up by a second; then one in twenty, which is no delay to reckon with."""
    assert SLOW == 0.9

    def held_up(one_in: int) -> ThroughputEstimator:
        counts = [100 + 50 * (i % 7) for i in range(40)]
        return measured(*[(n, 1e-3 * n + (1.0 if i % one_in == 0 else 0.0)) for i, n in enumerate(counts)])

    often, seldom = held_up(5), held_up(20)
    for pace in (often, seldom):
        assert (pace._fixed, pace._each) == (pytest.approx(0.0, abs=1e-9), pytest.approx(1e-3))
    assert often.seconds(100) == pytest.approx(1.1)
    assert often.affordable(1.1005) == 100
    assert seldom.seconds(100) == pytest.approx(0.1)


def test_a_chunk_that_took_no_time_is_not_believed() -> None:
    pace = measured((10, 0.0), (10, -1.0))
    assert pace.seconds(10) == pytest.approx(1e-7)
    assert pace.affordable(1.0) > 0
