# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Ticks by triggers: one each, when ready, until stopped or until one fails."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator

import pytest

from mbrl_controller.control.event_loop import EventTriggeredLoop

FAR = 60.0  # s
SOON = 0.1  # s in which a tick that nothing holds up has long been made


class Ticks:
    """Counts ticks, each of which takes `work` s; the n-th may fail."""

    def __init__(self, work: float = 0.0, fails: int | None = None) -> None:
        self.work, self.fails, self.count, self.made = work, fails, 0, threading.Semaphore(0)
        self.errors: list[Exception] = []
        self.ended = threading.Event()

    def tick(self) -> None:
        self.count += 1
        if self.count == self.fails:
            raise ValueError("broken")
        time.sleep(self.work)
        self.made.release()

    def failed(self, error: Exception) -> None:
        self.errors.append(error)
        self.ended.set()

    def wait(self) -> None:
        assert self.made.acquire(timeout=FAR)

    def loop(self, **options) -> EventTriggeredLoop:
        return EventTriggeredLoop(self.tick, on_error=self.failed, **options)


@pytest.fixture
def started() -> Iterator[list[EventTriggeredLoop]]:
    loops: list[EventTriggeredLoop] = []
    yield loops
    for loop in loops:
        loop.stop()


def run(ticks: Ticks, count: int, started: list[EventTriggeredLoop]) -> EventTriggeredLoop:
    loop = ticks.loop()
    started.append(loop)
    loop.start()
    for _ in range(count):
        loop.trigger()
        ticks.wait()
    return loop


def test_without_a_trigger_there_is_no_tick(started: list[EventTriggeredLoop]) -> None:
    ticks = Ticks()
    loop = run(ticks, 2, started)
    assert not ticks.made.acquire(timeout=SOON)
    assert ticks.count == 2
    assert loop.running


def test_a_trigger_that_comes_while_a_tick_is_made_is_not_lost(started: list[EventTriggeredLoop]) -> None:
    ticks = Ticks(work=0.05)
    loop = ticks.loop()
    started.append(loop)
    loop.start()
    loop.trigger()
    while not ticks.count:
        time.sleep(0.001)
    loop.trigger()
    ticks.wait()
    ticks.wait()
    assert ticks.count == 2


def test_it_waits_until_all_is_ready_and_stops_all_the_same(started: list[EventTriggeredLoop]) -> None:
    ticks, ready = Ticks(), threading.Event()
    loop = ticks.loop(ready=ready.is_set)
    loop.start()
    loop.trigger()
    assert not ticks.made.acquire(timeout=SOON)
    ready.set()
    ticks.wait()
    ready.clear()
    loop.trigger()
    loop.stop()
    assert not loop.running
    assert ticks.count == 1


def test_it_can_be_started_again(started: list[EventTriggeredLoop]) -> None:
    ticks = Ticks()
    loop = run(ticks, 1, started)
    loop.stop()
    assert not loop.running
    loop.trigger()
    assert not ticks.made.acquire(timeout=SOON)
    loop.start()
    loop.trigger()
    ticks.wait()
    assert loop.running


def test_a_tick_that_fails_is_told_and_the_last(started: list[EventTriggeredLoop]) -> None:
    ticks = Ticks(fails=2)
    loop = run(ticks, 1, started)
    loop.trigger()
    assert ticks.ended.wait(FAR)
    loop.trigger()
    assert not ticks.made.acquire(timeout=SOON)
    assert [str(error) for error in ticks.errors] == ["broken"]
    assert loop.statistics.ticks == 1
    loop.stop()
    assert not loop.running


def test_it_can_be_stopped_from_within_a_tick(started: list[EventTriggeredLoop]) -> None:
    ticks = Ticks()
    loop = ticks.loop()
    loop._tick = lambda: (ticks.tick(), loop.stop())
    loop.start()
    loop.trigger()
    ticks.wait()
    assert loop._thread is not None
    loop._thread.join(FAR)
    assert not loop.running
    assert ticks.count == 1


def test_times_of_ticks_are_kept(started: list[EventTriggeredLoop]) -> None:
    ticks = Ticks(work=0.02)
    loop = ticks.loop(name="mine")
    started.append(loop)
    loop.start()
    assert "mine" in {thread.name for thread in threading.enumerate()}
    begin = time.monotonic()
    for _ in range(4):
        loop.trigger()
        ticks.wait()
        time.sleep(0.02)
    took = time.monotonic() - begin
    statistics = loop.statistics
    execution, period, lateness = (s.summary() for s in (statistics.execution, statistics.period, statistics.lateness))
    assert (statistics.ticks, execution.count, period.count, lateness.count) == (4, 4, 3, 4)
    assert 0.02 <= execution.min <= execution.max < took
    assert period.min >= 0.04
    assert 3 * period.mean < took
    assert lateness.max == 0.0
    assert not math.isnan(period.last)
    assert loop.denied == []
