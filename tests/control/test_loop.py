# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The loop's promises, none of which depend on how fast this machine is."""

from __future__ import annotations

import itertools
import math
import os
import threading
import time

import pytest

from mbrl_controller.control.event_loop import EventTriggeredLoop
from mbrl_controller.control.loop import FixedRateLoop, TickTime, apply_scheduling


def run_loop(period: float, ticks: int, work: dict[int, float] | None = None) -> tuple[list[TickTime], FixedRateLoop]:
    """`ticks` ticks, the n-th of which takes `work[n]` s."""
    seen: list[TickTime] = []
    done = threading.Event()

    def tick(when: TickTime) -> None:
        seen.append(when)
        if len(seen) >= ticks:
            done.set()
        end = time.monotonic() + (work or {}).get(len(seen) - 1, 0.0)
        while time.monotonic() < end:
            time.sleep(0.001)

    loop = FixedRateLoop(period, tick, on_error=lambda error: done.set())
    loop.start()
    assert done.wait(30)
    loop.stop()
    return seen, loop


def test_due_times_lie_on_one_grid() -> None:
    seen, _ = run_loop(0.01, 20)
    for when in seen:
        assert when.due == pytest.approx(seen[0].due + when.index * 0.01, abs=1e-9)
        assert when.began >= when.due


def test_an_overrun_skips_whole_periods_and_is_counted() -> None:
    seen, loop = run_loop(0.02, 6, {2: 0.07})
    gap = seen[3].index - seen[2].index
    assert gap >= 4
    assert seen[3].missed == gap - 1
    assert seen[3].due >= seen[2].began + 0.07 - 1e-6  # not made up for
    assert [b.index - a.index for a, b in itertools.pairwise(seen)] == [w.missed + 1 for w in seen[1:]]
    assert loop.statistics.missed == sum(when.missed for when in seen)
    assert loop.statistics.ticks == len(seen)


def test_stop_joins_and_the_loop_can_start_again() -> None:
    seen: list[TickTime] = []
    loop = FixedRateLoop(60.0, seen.append, on_error=lambda error: None)
    for _ in range(2):
        loop.start()
        with pytest.raises(RuntimeError, match="runs already"):
            loop.start()
        loop.stop()  # in the middle of a minute's wait
        assert not loop.running
    loop.stop()


def test_an_exception_ends_the_loop_through_on_error() -> None:
    caught: list[Exception] = []
    ended = threading.Event()

    def on_error(error: Exception) -> None:
        caught.append(error)
        ended.set()

    def tick(when: TickTime) -> None:
        raise ValueError(when.index)

    loop = FixedRateLoop(0.01, tick, on_error=on_error)
    loop.start()
    assert ended.wait(30)
    loop.stop()
    assert [error.args for error in caught] == [(0,)]


def test_stop_from_within_a_tick() -> None:
    seen: list[TickTime] = []
    loop = FixedRateLoop(0.001, lambda when: (seen.append(when), loop.stop()), on_error=lambda error: None)  # type: ignore[func-returns-value, arg-type, return-value]
    loop.start()
    loop._thread.join(30)
    assert len(seen) == 1


def test_what_the_system_refuses_is_told() -> None:
    loop = FixedRateLoop(60.0, lambda when: None, on_error=lambda error: None, cpus=[100_000])
    loop.start()
    loop.stop()
    assert len(loop.denied) == 1
    assert loop.denied[0].startswith("CPUs [100000]")


def test_slack_is_told_after_each_tick_and_ends_where_the_next_one_is_due() -> None:
    told: list[float] = []
    seen: list[TickTime] = []
    enough = threading.Event()

    def in_slack(left: float) -> None:
        told.append(time.monotonic() + left)
        if len(told) == 10:
            enough.set()

    loop = FixedRateLoop(0.01, seen.append, on_error=lambda error: None, in_slack=in_slack)
    loop.start()
    assert enough.wait(30)
    loop.stop()
    for next_due, following in zip(told, seen[1:], strict=False):
        begun_late = following.due - next_due  # whole periods that passed before it began
        assert begun_late <= following.missed * 0.01 + 1e-6


def test_an_exception_in_the_slack_ends_the_loop_through_on_error() -> None:
    caught: list[Exception] = []

    def in_slack(left: float) -> None:
        raise ValueError("no slack")

    loop = FixedRateLoop(0.001, lambda when: None, on_error=caught.append, in_slack=in_slack)
    loop.start()
    assert loop._thread is not None
    loop._thread.join(30)
    assert [str(error) for error in caught] == ["no slack"]
    assert loop.statistics.ticks == 1


@pytest.mark.parametrize("period", [0.0, -1.0, math.inf, math.nan])
def test_a_period_must_be_a_positive_number(period: float) -> None:
    with pytest.raises(ValueError, match="period must be positive"):
        FixedRateLoop(period, lambda when: None, on_error=lambda error: None)


def test_lockstep_ticks_once_a_trigger_and_when_ready() -> None:
    ready, ticked = threading.Event(), threading.Semaphore(0)
    loop = EventTriggeredLoop(ticked.release, on_error=lambda error: None, ready=ready.is_set)
    loop.start()
    loop.trigger()
    loop.trigger()
    ready.set()
    assert ticked.acquire(timeout=30)
    loop.trigger()
    assert ticked.acquire(timeout=30)
    loop.stop()
    assert not ticked.acquire(blocking=False)
    assert loop.statistics.ticks == 2


@pytest.mark.parametrize("kind", ["fixed rate", "lockstep"])
def test_stopping_waits_for_the_tick_in_progress(kind: str) -> None:
    begun, ended = threading.Event(), threading.Event()

    def tick(*_: object) -> None:
        begun.set()
        time.sleep(0.2)
        ended.set()

    loop: FixedRateLoop | EventTriggeredLoop
    if kind == "fixed rate":
        loop = FixedRateLoop(60.0, tick, on_error=lambda error: None)
    else:
        loop = EventTriggeredLoop(tick, on_error=lambda error: None)
    loop.start()
    if isinstance(loop, EventTriggeredLoop):
        loop.trigger()
    assert begun.wait(30)
    loop.stop()
    assert ended.is_set()
    assert not loop.running


def test_a_started_loop_has_asked_for_its_scheduling() -> None:
    loop = FixedRateLoop(60.0, lambda when: None, on_error=lambda error: None, cpus=[100_000])
    loop.start()
    assert len(loop.denied) == 1
    loop.stop()


def test_its_thread_has_its_name_a_small_stack_and_does_not_keep_the_process_alive() -> None:
    before = threading.stack_size()
    loop = FixedRateLoop(60.0, lambda when: None, on_error=lambda error: None, name="mine")
    loop.start()
    assert threading.stack_size() == before
    (thread,) = (t for t in threading.enumerate() if t.name == "mine")
    assert thread.daemon
    loop.stop()
    assert not thread.is_alive()


def test_a_thread_asks_for_itself_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether this user may is the system's to say; so what it says is made up."""
    asked: list[tuple] = []

    def scheduler(thread: int, policy: int, parameters: os.sched_param) -> None:
        asked.append((thread, policy, parameters.sched_priority))

    monkeypatch.setattr(os, "sched_setscheduler", scheduler)
    monkeypatch.setattr(os, "sched_setaffinity", lambda thread, cpus: asked.append((thread, cpus)))
    assert apply_scheduling(0, ()) == []
    assert asked == []
    assert apply_scheduling(7, (1, 2)) == []
    assert asked == [(0, os.SCHED_FIFO, 7), (0, (1, 2))]


def test_what_a_thread_is_refused_is_told_each_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    monkeypatch.setattr(os, "sched_setaffinity", refuse)
    assert apply_scheduling(7, (1, 2)) == [
        "SCHED_FIFO priority 7: Operation not permitted", "CPUs [1, 2]: Operation not permitted"
    ]  # fmt: skip
