# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Real-time settings of the whole process: scheduling of threads, locked memory, garbage collection in slack time."""

from __future__ import annotations

import ctypes
import gc
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True)
_MCL_CURRENT, _MCL_FUTURE = 1, 2
_CAP_IPC_LOCK = 14
_TIMER_ABSTIME = 1

SWITCH_S = 5e-4  # s that another thread may keep the GIL when the loop wakes; Python's default is 5 ms

YOUNG_OBJECTS = 700  # new objects that make a collection worth its time
PER_GENERATION = 10  # collections of a generation before the next older one: Python's own thresholds
EXPECTED_S = 0.002  # of a collection, before the first
MARGIN = 2.0  # times what the last one took, to be expected of the next
FADING = 0.9  # of that expectation each time there was no room: one slow collection must not be the last


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


def sleep_until(moment: float) -> None:
    """Sleep until `moment` (s, time.monotonic), or until a signal comes.

    With an absolute time, a delay on the way into the sleep does not make the sleep end later.
    """
    whole = int(moment)
    wanted = _Timespec(whole, int(1e9 * (moment - whole)))
    _LIBC.clock_nanosleep(time.CLOCK_MONOTONIC, _TIMER_ABSTIME, ctypes.byref(wanted), None)


def lock_memory() -> list[str]:
    """Keep this process's memory, present and future, in RAM; returns what was denied, as apply_scheduling does.

    Under a finite limit nothing is locked: allocations beyond it would fail, in the middle of the run.
    """
    limit, hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    if limit != resource.RLIM_INFINITY and hard == resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (hard, hard))
        limit = hard
    if limit != resource.RLIM_INFINITY and not _may_lock_all():
        return [f"locked memory: limited to {limit // 1024} KiB (memlock in limits.conf must be unlimited)"]
    if _LIBC.mlockall(_MCL_CURRENT | _MCL_FUTURE) != 0:
        return [f"locked memory: {os.strerror(ctypes.get_errno())}"]
    return []


def unlock_memory() -> None:
    """Undo lock_memory."""
    _LIBC.munlockall()


def schedule_all(policy: int, priority: int) -> list[str]:
    """Schedule every thread of this process, those of libraries too, by `policy` (os.SCHED_*); what was denied."""
    for thread in map(int, os.listdir("/proc/self/task")):
        try:
            os.sched_setscheduler(thread, policy, os.sched_param(priority))
        except ProcessLookupError:
            continue  # ended meanwhile
        except OSError as error:
            return [f"SCHED_FIFO priority {priority}: {error.strerror}"]
    return []


def locked_mib() -> float:
    """Memory that this process has locked, MiB."""
    return float(_status("VmLck").split()[0]) / 1024


def _may_lock_all() -> bool:
    return bool(int(_status("CapEff"), 16) >> _CAP_IPC_LOCK & 1)


def _status(name: str) -> str:
    """An entry of /proc/self/status."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(f"{name}:")), "0")


class RealtimeProcess:
    """Settings of the process while its loop runs.

    A thread descheduled while it holds the GIL or a DDS mutex stalls the loop, so with `priority` all threads get
    SCHED_FIFO (0: left as they are); loop and planner request more themselves. Threads give up the GIL soon (SWITCH_S).
    `lock_memory` keeps memory in RAM. With `gc_in_slack`, garbage is collected in `in_slack` only.
    """

    def __init__(self, *, priority: int = 0, lock_memory: bool = False, gc_in_slack: bool = False) -> None:
        self.denied: list[str] = []  # what the system did not grant
        self._priority, self._lock = priority, lock_memory
        self._collector = SlackCollector() if gc_in_slack else None
        self._switch_before: float | None = None  # None: not started

    @property
    def in_slack(self) -> Callable[[float], None] | None:
        """Call it after each tick with the time left (s), unless it is None."""
        return self._collector.collect if self._collector is not None else None

    def start(self) -> None:
        """Apply the settings, once everything is loaded and before the loop's threads are made."""
        self._switch_before = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH_S)
        if self._collector is not None:
            self._collector.start()
        if self._priority:
            self.denied += schedule_all(os.SCHED_FIFO, self._priority)
        if self._lock:
            self.denied += lock_memory()

    def stop(self) -> None:
        """Restore what was before `start`, if that was called. The loop's threads must have ended."""
        if self._switch_before is None:
            return
        sys.setswitchinterval(self._switch_before)
        self._switch_before, self.denied = None, []
        if self._collector is not None:
            self._collector.stop()
        if self._priority:
            schedule_all(os.SCHED_OTHER, 0)
        if self._lock:
            unlock_memory()

    def values(self) -> dict[str, object]:
        """Values for /diagnostics."""
        values: dict[str, object] = {"locked memory (MiB)": locked_mib()}
        collector = self._collector
        if collector is not None:
            values |= {
                "garbage collections": collector.collections,
                "garbage collections postponed": collector.postponed,
                "garbage collection.max (ms)": 1e3 * collector.longest,
            }
        return values


class SlackCollector:
    """Keeps Python's garbage collector out of the ticks: it runs only in the slack between them.

    Objects from before the start are frozen. Later ones are collected as Python would, new ones often and old ones
    seldom, but only in `collect`, and only if the next tick is further away than the collection should take.
    """

    def __init__(self) -> None:
        self.collections = self.postponed = 0  # postponed: there was garbage, but not the time
        self.longest = 0.0  # s
        self._expected = [EXPECTED_S] * 3  # s, by generation
        self._since = [0, 0]  # collections of a generation since the last one of an older
        self._was_enabled = True

    def start(self) -> None:
        """Collect everything, set aside what is left, and switch automatic collection off."""
        self._was_enabled = gc.isenabled()
        gc.disable()
        gc.collect()
        gc.freeze()

    def stop(self) -> None:
        """Restore what was before `start`."""
        gc.unfreeze()
        if self._was_enabled:
            gc.enable()

    def collect(self, left: float) -> None:
        """Collect if there is enough garbage and collecting it should take less than `left` (s)."""
        if gc.get_count()[0] < YOUNG_OBJECTS:
            return
        oldest = 0
        while oldest < 2 and self._since[oldest] >= PER_GENERATION:
            oldest += 1
        for generation in range(oldest, -1, -1):
            if self._expected[generation] < left:
                self._collect(generation)
                return
            self._expected[generation] *= FADING
        self.postponed += 1

    def _collect(self, generation: int) -> None:
        began = time.monotonic()
        gc.collect(generation)
        took = time.monotonic() - began
        self._expected[generation] = MARGIN * took
        self._since[:generation] = [0] * generation
        if generation < 2:
            self._since[generation] += 1
        self.collections += 1
        self.longest = max(self.longest, took)
