# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The fixed-rate loop without real time: a clock that goes on by what sleeps and ticks take, so that all is exact."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from mbrl_controller.control import loop as module
from mbrl_controller.control.loop import NEAR, SPIN, FixedRateLoop, TickTime

PERIOD = 0.1
LOOK = 1e-6  # s that each look at the clock takes


class World:
    """Its time, a sleep that may be too long, and an event to wait for."""

    def __init__(self) -> None:
        self.now, self.oversleep, self.stopped = 100.0, 0.0, False
        self.waits: list[float] = []
        self.sleeps: list[float] = []
        self.stop_at = math.inf

    def monotonic(self) -> float:
        self.now += LOOK
        return self.now

    def sleep_until(self, moment: float) -> None:
        self.sleeps.append(moment)
        self.now = max(self.now, moment + self.oversleep)

    # the event
    def is_set(self) -> bool:
        return self.stopped

    def set(self) -> None:
        self.stopped = True

    def wait(self, timeout: float) -> bool:
        self.waits.append(timeout)
        self.now += timeout
        self.stopped |= self.now >= self.stop_at
        return self.stopped


class Run:
    """A loop in a world of its own, for so many ticks; `work` s for each."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, ticks: int, work: dict[int, float] | None = None,
                 **options: Callable) -> None:  # fmt: skip
        self.world, self.seen, self.errors = World(), [], []
        self.work, self.ticks = work or {}, ticks
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=self.world.monotonic))
        monkeypatch.setattr(module, "sleep_until", self.world.sleep_until)
        self.loop = FixedRateLoop(PERIOD, self.tick, on_error=self.errors.append, **options)
        self.loop._stop = self.world  # type: ignore[assignment]

    def tick(self, when: TickTime) -> None:
        self.seen.append(when)
        self.world.now += self.work.get(len(self.seen) - 1, 0.0)
        if len(self.seen) == self.ticks:
            self.world.set()

    def __call__(self) -> Run:
        self.loop._run(threading.Event())
        return self


def test_ticks_begin_when_they_are_due(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(monkeypatch, 5)()
    start = run.seen[0].due
    assert start == pytest.approx(100.0, abs=1e-5)
    for k, when in enumerate(run.seen):
        assert (when.index, when.missed) == (k, 0)
        assert when.due == pytest.approx(start + k * PERIOD, abs=1e-9)
        assert 0 <= when.began - when.due < 10 * LOOK


def test_far_from_a_tick_it_can_be_stopped_near_it_it_sleeps_and_at_last_it_watches_the_clock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert (NEAR, SPIN) == (0.01, 2e-4)
    run = Run(monkeypatch, 3)()
    assert run.world.waits == pytest.approx([PERIOD - NEAR] * 2, abs=1e-4)
    assert run.world.sleeps == pytest.approx([run.seen[1].due - SPIN, run.seen[2].due - SPIN], abs=1e-9)
    short = Run(monkeypatch, 2, {0: PERIOD - 0.5 * NEAR})()
    assert short.world.waits == []
    assert len(short.world.sleeps) == 1
    shorter = Run(monkeypatch, 2, {0: PERIOD - 0.5 * SPIN})()
    assert shorter.world.waits == shorter.world.sleeps == []


def test_while_it_waits_it_ends_as_soon_as_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(monkeypatch, 99)
    run.world.stop_at = 100.25
    run()
    assert len(run.seen) == 3


def test_times_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(monkeypatch, 4, {0: 0.01, 1: 0.03, 2: 0.02})()
    statistics = run.loop.statistics
    execution, period, lateness = (
        series.summary() for series in (statistics.execution, statistics.period, statistics.lateness)
    )
    assert (statistics.ticks, statistics.missed) == (4, 0)
    assert (execution.count, period.count, lateness.count) == (4, 3, 4)
    assert execution.max == pytest.approx(0.03, abs=1e-5)
    assert execution.mean == pytest.approx(0.015, abs=1e-5)
    assert (period.min, period.max) == (pytest.approx(PERIOD, abs=1e-4), pytest.approx(PERIOD, abs=1e-4))
    assert 0 <= lateness.min <= lateness.max < 1e-4


def test_periods_that_a_tick_covers_are_missed_and_not_made_up_for(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(monkeypatch, 4, {1: 2.3 * PERIOD})()
    assert [when.index for when in run.seen] == [0, 1, 4, 5]
    assert [when.missed for when in run.seen] == [0, 0, 2, 0]
    assert run.loop.statistics.missed == 2
    assert run.loop.statistics.ticks == 4
    assert run.loop.statistics.period.summary().max == pytest.approx(3 * PERIOD, abs=1e-4)


def test_a_tick_that_would_begin_too_late_is_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(monkeypatch, 3)
    sleep = run.world.sleep_until

    def sleep_until(moment: float) -> None:
        run.world.oversleep = 0.6 * PERIOD if len(run.world.sleeps) == 0 else 0.0
        sleep(moment)

    monkeypatch.setattr(module, "sleep_until", sleep_until)
    run()
    assert [when.index for when in run.seen] == [0, 2, 3]
    assert [when.missed for when in run.seen] == [0, 1, 0]
    assert run.loop.statistics.missed == 1


def test_the_slack_is_the_time_until_the_next_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[float] = []
    Run(monkeypatch, 3, {0: 0.03, 1: 0.25 * PERIOD, 2: 1.4 * PERIOD}, in_slack=told.append)()
    assert told == pytest.approx([0.07, 0.75 * PERIOD, 0.6 * PERIOD], abs=1e-4)


def test_a_tick_that_fails_is_the_last_and_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(monkeypatch, 9)
    tick = run.loop._tick

    def failing(when: TickTime) -> None:
        tick(when)
        if when.index == 2:
            raise ValueError("broken")

    run.loop._tick = failing
    run()
    assert [str(error) for error in run.errors] == ["broken"]
    assert len(run.seen) == 3
    assert run.loop.statistics.ticks == 2
    assert run.loop.statistics.execution.summary().count == 2
