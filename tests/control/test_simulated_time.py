# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Simulated time passes as the clock says, but never jumps; and a loop ticks by it."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbrl_controller.control.loop import TickTime
from mbrl_controller.control.simulated_time import JUMP_S, SimulatedRateLoop, SimulatedTime

PERIOD = 0.05


def told(steps: list[tuple[float, float]]) -> SimulatedTime:
    """One that was told of these steps of the clock: s of wall time, s of simulated time."""
    clock, wall, stamp = SimulatedTime(), 100.0, 1000.0
    clock.tell(stamp, wall)
    for real, simulated in steps:
        wall, stamp = wall + real, stamp + simulated
        clock.tell(stamp, wall)
    return clock


@given(st.lists(st.floats(-1000.0, 1000.0), max_size=30))
def test_it_never_goes_back_and_never_jumps(steps: list[float]) -> None:
    clock, stamp, before = SimulatedTime(), 0.0, 0.0
    for i, step in enumerate([0.0, *steps]):
        stamp += step
        clock.tell(stamp, 100.0 + i)
        assert before <= clock.now() <= before + JUMP_S
        before = clock.now()


@pytest.mark.parametrize("speed", [0.1, 0.5, 1.0, 4.0])
def test_its_speed_is_that_of_the_clock_and_survives_jumps_and_pauses(speed: float) -> None:
    run = [(0.01, 0.01 * speed)] * 100
    assert told(run).speed == pytest.approx(speed)
    assert told([*run, (0.01, 50.0), *run]).speed == pytest.approx(speed)
    assert told([*run, (0.01, -50.0), *run]).speed == pytest.approx(speed)
    assert told([*run, (30.0, 0.01 * speed), *run]).speed == pytest.approx(speed)
    assert told([*run, (30.0, 0.01 * speed)]).speed == pytest.approx(speed)


def test_what_had_elapsed_is_known_for_a_while() -> None:
    clock = told([(0.1, 0.05)] * 10)
    assert clock.at(100.0) == 0.0
    assert clock.at(100.55) == pytest.approx(0.25)
    assert clock.at(200.0) == clock.now() == pytest.approx(0.5)


class Bench:
    """A loop by a clock that runs on a thread at a `speed` that can be set; 0: it stands still."""

    def __init__(self) -> None:
        self.clock, self.speed, self.jump = SimulatedTime(), 1.0, 0.0
        self.ticks: list[tuple[TickTime, float]] = []  # and what had elapsed then
        self.stalls: list[tuple[float, float]] = []  # when, and for how long
        self.errors: list[Exception] = []
        self.work: Any = lambda: None
        self.loop = SimulatedRateLoop(
            PERIOD, self._tick, clock=self.clock, stalled=self._stalled, on_error=self.errors.append
        )
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _tick(self, when: TickTime) -> None:
        self.ticks.append((when, self.clock.now()))
        self.work()

    def _stalled(self, seconds: float) -> None:
        self.stalls.append((time.monotonic(), seconds))

    def _run(self) -> None:
        stamp, before = 1000.0, time.monotonic()
        while not self._end.wait(0.005):
            now = time.monotonic()
            stamp += self.speed * (now - before) + self.jump
            before, self.jump = now, 0.0
            if self.speed:
                self.clock.tell(stamp)

    def wait_for(self, condition: Any) -> None:
        end = time.monotonic() + 30.0
        while not condition():
            assert time.monotonic() < end
            time.sleep(0.005)

    def close(self) -> None:
        self._end.set()
        self._thread.join()
        self.loop.stop()


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.close()


@pytest.mark.parametrize("speed", [0.5, 1.0, 3.0])
def test_it_ticks_once_in_a_period_of_simulated_time_however_fast_that_passes(bench: Bench, speed: float) -> None:
    bench.speed = speed
    bench.wait_for(lambda: bench.clock.speed == pytest.approx(speed, rel=0.1))
    bench.loop.start()
    bench.wait_for(lambda: len(bench.ticks) >= 20)
    bench.loop.stop()
    first = bench.ticks[0]
    for when, elapsed in bench.ticks:
        due = first[1] + when.index * PERIOD
        assert due - 1e-9 <= elapsed <= due + 0.75 * PERIOD
        assert when.lateness >= 0
    assert [b[0].index - a[0].index for a, b in itertools.pairwise(bench.ticks)] == [
        when.missed + 1 for when, _ in bench.ticks[1:]
    ]
    assert bench.loop.wall_period == pytest.approx(PERIOD / speed, rel=0.2)
    assert not bench.errors


def test_a_jump_makes_no_tick_and_misses_none(bench: Bench) -> None:
    bench.loop.start()
    for jump in (50.0, -80.0):
        count = len(bench.ticks)
        bench.wait_for(lambda: len(bench.ticks) >= count + 10)  # noqa: B023
        bench.jump = jump
    bench.wait_for(lambda: len(bench.ticks) >= 35)
    assert bench.loop.statistics.missed < 10  # of more than a thousand periods that were jumped over


def test_a_clock_that_stands_still_is_told_of_within_two_periods_and_costs_no_tick(bench: Bench) -> None:
    bench.loop.start()
    bench.wait_for(lambda: len(bench.ticks) >= 10)
    bench.speed = 0.0
    stopped = time.monotonic()
    bench.wait_for(lambda: bench.stalls and bench.stalls[-1][0] > stopped + 5 * PERIOD)
    count, index = len(bench.ticks), bench.ticks[-1][0].index
    stalls = [stall for stall in bench.stalls if stall[0] > stopped]
    assert stalls[0][1] >= PERIOD
    assert [b[1] > a[1] for a, b in itertools.pairwise(stalls)] == [True] * (len(stalls) - 1)
    assert len(stalls) <= 7
    bench.speed = 1.0
    bench.wait_for(lambda: len(bench.ticks) > count)
    assert bench.ticks[count][0].index <= index + 2


def test_an_error_while_the_clock_stands_still_ends_the_loop() -> None:
    caught: list[Exception] = []
    done = threading.Event()

    def stalled(seconds: float) -> None:
        raise ZeroDivisionError

    def on_error(error: Exception) -> None:
        caught.append(error)
        done.set()

    loop = SimulatedRateLoop(PERIOD, lambda when: None, clock=SimulatedTime(), stalled=stalled, on_error=on_error)
    loop.start()
    # The first tick is due at once, whether time passes or not.
    assert done.wait(10)
    loop.stop()
    assert isinstance(caught[0], ZeroDivisionError)


def test_the_longest_step_counts_and_a_longer_one_is_a_jump() -> None:
    assert told([(0.1, JUMP_S)]).now() == JUMP_S
    assert told([(0.1, JUMP_S + 1e-6)]).now() == 0.0
    assert told([(0.1, 0.5), (0.1, 0.5)]).now() == 1.0


def test_before_its_speed_can_be_measured_it_is_real_time() -> None:
    assert SimulatedTime().speed == 1.0
    assert told([]).speed == 1.0
    assert told([(0.1, 0.05)]).speed == 1.0


def test_what_had_elapsed_before_the_oldest_step_known_is_what_had_elapsed_then() -> None:
    clock = told([(0.01, 0.01)] * 2000)
    oldest = clock.at(0.0)
    assert 0.0 < oldest < clock.now()
    assert clock.at(100.0 + oldest + 0.005) == pytest.approx(oldest)
    assert clock.at(100.0 + oldest + 0.015) == pytest.approx(oldest + 0.01)


def test_a_time_said_again_is_no_step() -> None:
    clock = SimulatedTime()
    now = time.monotonic()
    clock.tell(7.0, now - 2.0)
    clock.tell(7.0, now)
    assert 2.0 <= clock.still_s() < 60.0
    clock.tell(7.5, now)
    assert clock.still_s() < 60.0
    assert clock.now() == 0.5


def test_waiting_ends_in_time_or_when_it_is_due() -> None:
    clock = told([(0.1, 0.5)])
    assert clock.wait(0.5, 0.0)
    began = time.monotonic()
    assert not clock.wait(0.6, -1.0)
    assert time.monotonic() - began < 0.9


def test_a_loop_hands_on_what_every_loop_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: dict[str, Any] = {}
    monkeypatch.setattr(
        "mbrl_controller.control.loop.FixedRateLoop.__init__", lambda self, *arguments, **more: taken.update(more)
    )
    kept: dict[str, Any] = {"on_error": print, "in_slack": print, "priority": 3, "cpus": (1,)}
    SimulatedRateLoop(PERIOD, print, clock=SimulatedTime(), stalled=print, **kept)
    assert taken == kept
    SimulatedRateLoop(PERIOD, print, clock=SimulatedTime(), stalled=print, on_error=print)
    assert (taken["priority"], taken["in_slack"], taken["cpus"]) == (0, None, ())
