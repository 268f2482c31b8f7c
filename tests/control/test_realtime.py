# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What is asked of the process is granted, or denied in words; and garbage waits for its turn."""

from __future__ import annotations

import gc
import json
import os
import resource
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterator

import pytest

from mbrl_controller.control import realtime
from mbrl_controller.control.realtime import YOUNG_OBJECTS, RealtimeProcess, SlackCollector, locked_mib, sleep_until

LOCK = """
import json, resource, sys
from mbrl_controller.control.realtime import RealtimeProcess, locked_mib
limit, keep = json.loads(sys.argv[1])
if limit is not None:
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (limit, limit))
if not keep:
    import ctypes
    # the right to lock whatever the limit says, where this user has it
    ctypes.CDLL(None).prctl(24, 14, 0, 0, 0)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    data = (ctypes.c_uint32 * 6)()
    ctypes.CDLL(None).capset(header, data)
process = RealtimeProcess(lock_memory=True)
process.start()
while_running = locked_mib()
denied = process.denied
process.stop()
print(json.dumps([denied, while_running, locked_mib()]))
"""


def lock(limit: int | None, keep_rights: bool) -> tuple[list[str], float, float]:
    """What a process of its own was denied, and what it had locked while running and afterwards (MiB)."""
    done = subprocess.run(
        [sys.executable, "-c", LOCK, json.dumps([limit, keep_rights])], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    denied, running, after = json.loads(done.stdout)
    return denied, running, after


def test_a_refused_memory_lock_is_told_with_its_limit_and_locks_nothing() -> None:
    denied, running, after = lock(64 * 1024, keep_rights=False)
    assert len(denied) == 1
    assert denied[0].startswith("locked memory: ")
    assert "64 KiB" in denied[0]
    assert running == after == 0.0


def test_memory_is_locked_while_running_where_the_system_grants_it() -> None:
    hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)[1]
    if hard != resource.RLIM_INFINITY and not realtime._may_lock_all():
        pytest.skip("this user may not lock memory")
    denied, running, after = lock(None, keep_rights=True)
    if denied:
        pytest.skip(f"not granted here: {denied[0]}")
    assert running > 1.0
    assert after == 0.0


def standing() -> tuple[object, ...]:
    """All that a process can change."""
    threads = map(int, os.listdir("/proc/self/task"))
    return (
        gc.isenabled(),
        gc.get_freeze_count(),
        sys.getswitchinterval(),
        locked_mib(),
        {os.sched_getscheduler(thread) for thread in threads},
    )


def test_afterwards_everything_is_as_before() -> None:
    gc.unfreeze()  # a node that an earlier test configured in this process froze what there was
    before = standing()
    process = RealtimeProcess(priority=1, gc_in_slack=True)
    process.stop()  # never started: nothing to undo
    process.start()
    assert not gc.isenabled()
    assert sys.getswitchinterval() < before[2]  # type: ignore[operator]
    process.stop()
    process.stop()
    assert standing() == before
    assert process.denied == []


def test_without_options_memory_garbage_and_scheduling_are_left_alone() -> None:
    before = standing()
    process = RealtimeProcess()
    process.start()
    after = standing()
    process.stop()
    assert process.in_slack is None
    assert (after[:2], after[3:]) == (before[:2], before[3:])


@pytest.mark.parametrize("granted", [True, False])
def test_all_threads_are_scheduled_first_or_the_refusal_is_told(granted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether this user may is the system's to say; so what it says is made up."""
    asked: list[tuple[int, int]] = []

    def answer(thread: int, policy: int, parameters: os.sched_param) -> None:
        asked.append((thread, parameters.sched_priority))
        if not granted:
            raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "sched_setscheduler", answer)
    leave = threading.Event()
    other = threading.Thread(target=leave.wait)
    other.start()
    process = RealtimeProcess(priority=7)
    process.start()
    leave.set()
    other.join()
    if granted:
        assert {(threading.get_native_id(), 7), (other.native_id, 7)} <= set(asked)
        assert process.denied == []
    else:
        assert process.denied == ["SCHED_FIFO priority 7: Operation not permitted"]
    process.stop()


@pytest.fixture
def collector() -> Iterator[SlackCollector]:
    """Running."""
    made = SlackCollector()
    made.start()
    yield made
    made.stop()
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0


class Knot:
    """Refers to itself: only a collection finds it."""

    def __init__(self) -> None:
        self.self = self


def fill() -> list[list[int]]:
    """More new objects than a collection waits for."""
    return [[i] for i in range(2 * YOUNG_OBJECTS)]


def test_garbage_stays_until_there_is_time_for_it(collector: SlackCollector) -> None:
    knot = weakref.ref(Knot())
    kept = [fill() for _ in range(50)]
    assert knot() is not None  # Python itself would have collected long ago
    collector.collect(0.0)
    assert knot() is not None
    assert (collector.collections, collector.postponed) == (0, 1)
    collector.collect(60.0)
    assert knot() is None
    assert collector.collections == 1
    assert len(kept) == 50


def test_a_knot_that_grew_old_is_found_too(collector: SlackCollector) -> None:
    old = Knot()
    knot = weakref.ref(old)
    kept = []
    for _ in range(3):
        kept.append(fill())
        collector.collect(60.0)
    del old
    for _ in range(150):
        kept.append(fill())
        collector.collect(60.0)
    assert knot() is None


def test_little_garbage_is_left_alone(collector: SlackCollector) -> None:
    gc.collect()
    collector.collect(60.0)
    assert collector.collections == collector.postponed == 0


def test_one_slow_collection_is_not_the_last(collector: SlackCollector) -> None:
    collector._expected = [100.0] * 3
    kept = fill()
    for _ in range(100):
        collector.collect(1.0)
    assert collector.postponed > 0
    assert collector.collections > 0
    assert kept


def test_it_sleeps_until_a_moment_and_not_past_one_that_is_over() -> None:
    moment = time.monotonic() + 0.02
    sleep_until(moment)
    assert time.monotonic() >= moment
    sleep_until(moment - 1000.0)
