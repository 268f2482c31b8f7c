# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What is asked of the system word for word, and what is made of its answers: with a system made up."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from mbrl_controller.control import realtime
from mbrl_controller.control.realtime import RealtimeProcess, lock_memory, schedule_all

NONE = -1  # no limit


class System:
    """Limits of locked memory (bytes), the right to exceed them, and what mlockall answers."""

    RLIMIT_MEMLOCK, RLIM_INFINITY = 8, NONE

    def __init__(self, soft: int, hard: int, may: bool, answer: int) -> None:
        self.limits, self.may, self.answer = (soft, hard), may, answer
        self.locked: list[int] = []
        self.unlocked = 0

    def getrlimit(self, what: int) -> tuple[int, int]:
        assert what == self.RLIMIT_MEMLOCK
        return self.limits

    def setrlimit(self, what: int, limits: tuple[int, int]) -> None:
        assert what == self.RLIMIT_MEMLOCK
        self.limits = limits

    def mlockall(self, flags: int) -> int:
        self.locked.append(flags)
        return self.answer

    def munlockall(self) -> None:
        self.unlocked += 1


def system(monkeypatch: pytest.MonkeyPatch, soft: int = NONE, hard: int = NONE, may: bool = False, answer: int = 0):
    made = System(soft, hard, may, answer)
    monkeypatch.setattr(realtime, "resource", made)
    monkeypatch.setattr(realtime, "_LIBC", made)
    monkeypatch.setattr(realtime, "_may_lock_all", lambda: made.may)
    monkeypatch.setattr(realtime, "ctypes", SimpleNamespace(get_errno=lambda: 12))
    return made


ALL_NOW_AND_LATER = 1 | 2


def test_without_a_limit_memory_is_locked_now_and_later(monkeypatch: pytest.MonkeyPatch) -> None:
    made = system(monkeypatch)
    assert lock_memory() == []
    assert made.locked == [ALL_NOW_AND_LATER]


def test_a_limit_that_may_be_lifted_is(monkeypatch: pytest.MonkeyPatch) -> None:
    made = system(monkeypatch, soft=65536)
    assert lock_memory() == []
    assert made.limits == (NONE, NONE)
    assert made.locked == [ALL_NOW_AND_LATER]


def test_under_a_limit_nothing_is_locked_but_by_who_may_exceed_it(monkeypatch: pytest.MonkeyPatch) -> None:
    made = system(monkeypatch, soft=64 * 1024, hard=128 * 1024)
    assert lock_memory() == ["locked memory: limited to 64 KiB (memlock in limits.conf must be unlimited)"]
    assert (made.locked, made.limits) == ([], (64 * 1024, 128 * 1024))
    made.may = True
    assert lock_memory() == []
    assert made.locked == [ALL_NOW_AND_LATER]


def test_what_the_system_says_to_a_refusal_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    system(monkeypatch, answer=-1)
    assert lock_memory() == [f"locked memory: {os.strerror(12)}"]


def test_a_thread_that_has_ended_meanwhile_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int, int]] = []

    def schedule(thread: int, policy: int, parameters: os.sched_param) -> None:
        asked.append((thread, policy, parameters.sched_priority))
        if thread == 12:
            raise ProcessLookupError(3, "No such process")

    monkeypatch.setattr(os, "listdir", lambda path: ["11", "12", "13"] if path == "/proc/self/task" else [])
    monkeypatch.setattr(os, "sched_setscheduler", schedule)
    assert schedule_all(os.SCHED_FIFO, 5) == []
    assert asked == [(thread, os.SCHED_FIFO, 5) for thread in (11, 12, 13)]


@pytest.mark.parametrize(
    ("rights", "may"),
    [("0000000000004000", True), ("0000000000003fff", False), ("000001ffffffffff", True), ("8000", False)],
)
def test_the_right_to_lock_is_read_from_the_processs_rights(
    rights: str, may: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = f"Name:\tpython\nCapInh:\t000001ffffffffff\nCapEff:\t{rights}\nVmLck:\t    3072 kB\n"
    monkeypatch.setattr(Path, "read_text", lambda path: text if str(path) == "/proc/self/status" else "")
    assert realtime._may_lock_all() is may
    assert realtime.locked_mib() == 3.0
    assert realtime._status("Nothing") == "0"


def test_a_process_asks_for_what_it_was_told_to_and_gives_it_back(monkeypatch: pytest.MonkeyPatch) -> None:
    made = system(monkeypatch, answer=-1)
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(realtime, "schedule_all", lambda *arguments: asked.append(arguments) or ["no priority"])
    before = sys.getswitchinterval()
    process = RealtimeProcess(priority=7, lock_memory=True)
    for _ in range(2):
        process.start()
        assert sys.getswitchinterval() == pytest.approx(5e-4)
        assert process.denied == ["no priority", f"locked memory: {os.strerror(12)}"]
        process.stop()
        assert sys.getswitchinterval() == before
        assert process.denied == []
        process.stop()
    assert asked == [(os.SCHED_FIFO, 7), (os.SCHED_OTHER, 0)] * 2
    assert made.unlocked == 2


def test_a_process_that_was_told_nothing_asks_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    made = system(monkeypatch)
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(realtime, "schedule_all", lambda *arguments: asked.append(arguments) or [])
    process = RealtimeProcess()
    process.stop()
    process.start()
    process.stop()
    assert (asked, made.locked, made.unlocked, process.in_slack) == ([], [], 0, None)
