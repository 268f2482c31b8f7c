# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What /diagnostics says of the loop's timing is what happened, and it complains of nothing else."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace

import pytest

pytest.importorskip("rclpy")

from mbrl_controller.control.loop import FixedRateLoop, TickTime
from mbrl_controller.control.safety import SafetyState
from mbrl_controller.control.timing import LoopStatistics
from mbrl_controller.nodes.controller_report import ControllerReport, Counters, Thresholds
from mbrl_controller.nodes.diagnostics import ERROR, OK, WARN, timing
from mbrl_controller.nodes.tick_shares import TickCounts

PERIOD = 0.02


@pytest.mark.parametrize("work", [0.0, 1.5 * PERIOD], ids=["in time", "every second period missed"])
def test_the_rate_is_that_of_the_ticks_that_were_made(work: float) -> None:
    began: list[float] = []
    enough = threading.Event()

    def tick(when: TickTime) -> None:
        began.append(when.began)
        time.sleep(work)
        if len(began) >= 20:
            enough.set()

    loop = FixedRateLoop(PERIOD, tick, on_error=lambda error: enough.set())
    loop.start()
    assert enough.wait(30)
    loop.stop()
    values = timing(loop.statistics, PERIOD)
    assert values["Actual frequency (Hz)"] == pytest.approx((len(began) - 1) / (began[-1] - began[0]))
    assert values["Target frequency (Hz)"] == pytest.approx(1 / PERIOD)
    assert values["ticks"] == len(began)


@pytest.fixture
def report(monkeypatch):
    """A running controller's level and message, from the statistics of its loop and its late plans so far."""
    monkeypatch.setattr(ControllerReport, "_details", lambda *arguments: {})
    maker, session = ControllerReport(), SimpleNamespace()
    session.core = SimpleNamespace(
        safety=SimpleNamespace(state=SafetyState.RUNNING, reason=""),
        contract=SimpleNamespace(action=SimpleNamespace(period=PERIOD)),
    )

    def make(loop: LoopStatistics, late: int = 0) -> tuple[int, str]:
        counters = Counters()
        counters.counted = TickCounts(loop.ticks, loop.missed, late)
        level, message, _ = maker.make(
            session,
            loop,
            counters,
            Thresholds(),
            period=PERIOD,
            lockstep=False,
            active=True,
            model={},
            denied=[],
            other_commanders=[],
        )
        return level, message

    return make


def add_ticks(loop: LoopStatistics, ticks: int, period: float = PERIOD, missed: int = 0) -> None:
    for _ in range(ticks):
        loop.ticks += 1
        loop.period.add(period)
        loop.lateness.add(1e-4)
        loop.execution.add(0.9 * PERIOD)
    loop.missed += missed


def test_a_loop_in_time_gives_no_warning_however_busy_it_is(report) -> None:
    loop = LoopStatistics()
    for _ in range(20):
        add_ticks(loop, 50)
        assert report(loop) == (OK, "running")


def test_a_warning_comes_with_misses_and_goes_with_them(report) -> None:
    loop = LoopStatistics()
    add_ticks(loop, 50)
    assert report(loop)[0] == OK
    add_ticks(loop, 48, missed=2)
    level, message = report(loop)
    assert (level, message) == (WARN, "running; missed ticks: 4 %")
    add_ticks(loop, 50)
    assert report(loop) == (OK, "running")
    add_ticks(loop, 25, missed=25)
    assert report(loop)[0] == ERROR


def test_late_plans_and_a_wrong_rate_are_told(report) -> None:
    loop = LoopStatistics()
    add_ticks(loop, 50)
    assert report(loop, late=5) == (WARN, "running; late plans: 10 %")
    assert report(loop, late=5)[0] == OK  # no ticks since: nothing new to complain of
    add_ticks(loop, 5000, period=1.1 * PERIOD)
    level, message = report(loop, late=5)
    assert level == WARN
    assert message.startswith("running; rate: 9")
