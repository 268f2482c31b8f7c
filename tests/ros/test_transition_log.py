# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What the log tells of changes of state: no stop is left out, and of others how many were."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy")

from mbrl_controller.control.safety import SafetyState
from mbrl_controller.control.standing import Standing
from mbrl_controller.nodes.transition_log import TransitionLog

READY, RUNNING, HOLDING = SafetyState.READY, SafetyState.RUNNING, SafetyState.HOLDING
STOPPED, INACTIVE, HANDED_OVER = SafetyState.STOPPED, SafetyState.INACTIVE, SafetyState.HANDED_OVER


class Bench:
    """A log whose lines are kept, and a clock that is set."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []
        self.now = 100.0
        self.standing = Standing()
        self.log = TransitionLog(self.standing, self, lambda: self.now)

    def info(self, text: str) -> None:
        self.lines.append(("info", text))

    def warning(self, text: str) -> None:
        self.lines.append(("warning", text))

    def change(self, *changes: tuple[SafetyState, SafetyState, str]) -> list[str]:
        """The lines that these lead to."""
        self.lines.clear()
        for before, after, reason in changes:
            self.standing.record(before, after, reason, self.now)
        assert self.log.write() is bool(changes)
        return [text for _, text in self.lines]


@pytest.mark.parametrize("after", [STOPPED, INACTIVE, HANDED_OVER])
def test_changes_into_silence_are_never_left_out(after: SafetyState) -> None:
    bench = Bench()
    lines = []
    for number in range(10):
        lines += bench.change((RUNNING, after, f"reason {number}"), (after, READY, "reset"))
    told = [line for line in lines if f"-> {after.value}" in line]
    assert told == [f"running -> {after.value}: reason {number}" for number in range(10)]


def test_others_are_told_once_a_second_with_how_many_were_left_out() -> None:
    bench = Bench()
    flicker = [(RUNNING, HOLDING, f"silent {i}") for i in range(5)]
    assert bench.change(*flicker) == ["running -> holding: silent 0"]
    bench.now += 0.5
    assert bench.change() == []
    bench.now += 0.6
    assert bench.change() == ["running -> holding: silent 4 (3 more like this left out)"]
    bench.now += 0.5
    assert bench.change((RUNNING, HOLDING, "late")) == []
    bench.now += 0.6
    assert bench.change() == ["running -> holding: late"]
    bench.now += 5.0
    assert bench.change() == []


def test_each_kind_has_its_own_second() -> None:
    bench = Bench()
    assert bench.change((RUNNING, HOLDING, "silent"), (HOLDING, RUNNING, "planning")) == [
        "running -> holding: silent",
        "holding -> running: planning",
    ]


def test_what_was_kept_back_comes_before_a_stop() -> None:
    """Or the last line would say that it holds."""
    bench = Bench()
    lines = bench.change((RUNNING, HOLDING, "a"), (RUNNING, HOLDING, "b"), (HOLDING, STOPPED, "e-stop"))
    assert lines == ["running -> holding: a", "running -> holding: b", "holding -> stopped: e-stop"]


def test_faults_are_warnings() -> None:
    bench = Bench()
    bench.change((READY, RUNNING, "planning"), (RUNNING, HOLDING, "silent"), (HOLDING, INACTIVE, "deactivated"))
    assert [level for level, _ in bench.lines] == ["info", "warning", "info"]


def test_more_changes_than_are_kept_are_told_of() -> None:
    bench = Bench()
    lines = bench.change(*[(RUNNING, STOPPED, str(i)) for i in range(1200)])
    assert lines[0] == "200 changes of state came too fast to be told"
    assert lines[1:] == [f"running -> stopped: {i}" for i in range(200, 1200)]
