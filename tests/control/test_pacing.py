# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Due times never drift, and no tick is made up for: on clocks of our own, so for hours at once."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mbrl_controller.control.pacing import MAX_LATENESS, TickScheduler, TickTime

HOUR = 3600  # s
GRAIN = 1e-8  # s: rounding of times after four months of uptime


def run(pacer: TickScheduler, delays: list[tuple[float, float]]) -> list[tuple[TickTime, float]]:
    """Ticks that begin `delays[k][0]` s after they are due and take `delays[k][1]` s, and when each ended."""
    now, seen = pacer.due, []
    for late, work in delays:
        now = max(now, pacer.due) + late
        while (when := pacer.begin(now)) is None:
            now = max(now, pacer.due)
        now += work
        pacer.end(now)
        seen.append((when, now))
    return seen


@given(st.floats(0.0, 1e7), st.sampled_from([10, 20, 30, 50, 60, 90, 100, 240, 333, 1000]))
@example(0.0, 30)
def test_due_times_of_an_hour_are_those_of_exact_arithmetic(start: float, rate: int) -> None:
    pacer = TickScheduler(start, 1 / rate)
    for index in (1, 2, 3, 7, 36_000, HOUR * rate):
        pacer._index = index
        assert abs(Fraction(pacer.due) - (Fraction(start) + Fraction(index, rate))) < Fraction(5, 10**9)


@pytest.mark.parametrize("rate", [10, 30])
def test_36000_ticks_in_time_are_36000_periods(rate: int) -> None:
    pacer = TickScheduler(12345.678, 1 / rate)
    seen = run(pacer, [(0.3 / rate, 0.4 / rate)] * 36_000)
    assert [when.index for when, _ in seen] == list(range(36_000))
    assert not any(when.missed for when, _ in seen)
    assert pacer.due == pytest.approx(12345.678 + 36_000 / rate, abs=1e-8)


waits = st.floats(0.0, 5.0)  # periods
due_again = st.integers(0, 4).map(float)  # exactly at a due time, where rounding is at its worst


@given(
    st.floats(0.0, 1e7),
    st.sampled_from([0.1, 1 / 30, 0.02, 1e-3]),
    st.lists(st.tuples(waits | due_again, waits | due_again), max_size=60),
)
def test_what_is_missed_is_counted_and_never_bunched_up(
    start: float, period: float, delays: list[tuple[float, float]]
) -> None:
    pacer = TickScheduler(start, period)
    free, next_index, missed, begun = start, 0, 0, -math.inf  # when the tick before ended, ...
    for when, ended in run(pacer, [(late * period, work * period) for late, work in delays]):
        assert when.due >= free or when.lateness < period  # begun late itself, or not due before the last had ended
        assert 0 <= when.lateness <= MAX_LATENESS * period + GRAIN
        assert when.began >= begun + (1 - MAX_LATENESS) * period - GRAIN  # two ticks are never a bunch
        begun = when.began
        assert when.missed == when.index - next_index
        missed += when.missed
        next_index, free = when.index + 1, ended
    assert next_index == len(delays) + missed
    if delays:
        assert free <= pacer.due < free + period + GRAIN  # the next one is the first after the last one's end


@given(st.floats(0.0, 1e7), st.integers(0, 10_000), st.sampled_from([0.1, 1 / 30, 0.007]))
def test_a_tick_that_ends_as_the_next_is_due_costs_none(start: float, index: int, period: float) -> None:
    pacer = TickScheduler(start, period)
    pacer._index = index
    pacer.begin(pacer.due)
    following = pacer._due(index + 1)
    pacer.end(following)
    assert pacer.due == following
    assert pacer.begin(following).missed == 0


@pytest.mark.parametrize("period", [0.1, 1 / 30, 0.002])
@pytest.mark.parametrize("late", [0.0, 0.25, 0.49, 0.51, 0.75, 0.99])
def test_a_tick_up_to_half_a_period_late_begins_and_a_later_one_is_skipped(late: float, period: float) -> None:
    pacer = TickScheduler(5.0, period)
    pacer.begin(5.0)
    pacer.end(5.0 + 0.2 * period)
    when = pacer.begin(5.0 + (1 + late) * period)
    if late < 0.5:
        assert when is not None
        assert (when.index, when.missed) == (1, 0)
        assert when.lateness == pytest.approx(late * period)
    else:
        assert when is None
        assert pacer.due == pytest.approx(5.0 + 2 * period)
        following = pacer.begin(pacer.due)
        assert following is not None
        assert (following.index, following.missed) == (2, 1)


def test_half_a_period_itself_is_not_too_late() -> None:
    pacer = TickScheduler(0.0, 1.0)  # without rounding
    assert pacer.begin(0.5) is not None
    pacer.end(0.75)
    assert pacer.begin(1.5) is not None


def test_a_tick_begun_several_periods_late_is_the_newest_and_counts_the_others() -> None:
    pacer = TickScheduler(0.0, 0.1)
    when = pacer.begin(0.32)
    assert when is not None
    assert (when.index, when.missed) == (3, 3)
    assert when.due == pytest.approx(0.3)


# Where the quotient of time and period is off by one: just before a due time, after it, and at it.
@pytest.mark.parametrize(
    ("start", "rate", "index", "now"),
    [
        (0.0, 30, 4449, math.nextafter(148.3, 0.0)),
        (55.130652979501704, 30, 4013, 188.89731964616837),
        (965.4648863619171, 20, 2934, 1112.164886361917),
    ],
)
def test_a_tick_is_due_from_its_time_on_whatever_the_quotient_says(
    start: float, rate: int, index: int, now: float
) -> None:
    pacer = TickScheduler(start, 1 / rate)
    when, due = pacer.begin(now), start + index * (1 / rate)
    if now < due:
        assert when is None  # the one before is almost a period late
        assert pacer.due == due
    else:
        assert when is not None
        assert (when.index, when.due) == (index, due)
        pacer.end(now)
        assert pacer.due == start + (index + 1) * (1 / rate)
