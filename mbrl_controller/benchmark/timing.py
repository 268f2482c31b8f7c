# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Processor and wall time of functions called in turn, and percentiles of what came out."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from mbrl_controller.tasks.spaces import Array

WARM_UP = 3  # calls of each function before any is timed
BLOCK = 4  # calls of one function in a row, the first of them not timed: it finds the caches full of another's data


@dataclass(frozen=True)
class Times:
    """Time of each call, s."""

    cpu: Array  # of the whole process
    wall: Array


def in_turn(functions: Mapping[str, Callable[[], object]], repeats: int, block: int = BLOCK) -> dict[str, Times]:
    """Time at least `repeats` calls of each function, a few of each in turn, so that what disturbs the machine disturbs
    all."""
    cpu: dict[str, list[float]] = {name: [] for name in functions}
    wall: dict[str, list[float]] = {name: [] for name in functions}
    rounds = -(-repeats // (block - 1))
    for i in range(-1, rounds):
        for name, function in functions.items():
            for j in range(block):
                cpu_began, wall_began = time.process_time(), time.perf_counter()
                function()
                cpu_ended, wall_ended = time.process_time(), time.perf_counter()
                if i >= 0 and j > 0:
                    cpu[name].append(cpu_ended - cpu_began)
                    wall[name].append(wall_ended - wall_began)
    return {name: Times(np.array(cpu[name]), np.array(wall[name])) for name in functions}


def paced(function: Callable[[], object], period: float, repeats: int, warm_up: int = WARM_UP) -> Times:
    """Time `repeats` calls, each begun `period` s after the one before (or at once when that took longer)."""
    cpu, wall = np.empty(repeats), np.empty(repeats)
    due = time.monotonic()
    for i in range(-warm_up, repeats):
        time.sleep(max(0.0, due - time.monotonic()))
        cpu_began, wall_began = time.process_time(), time.perf_counter()
        function()
        if i >= 0:
            cpu[i], wall[i] = time.process_time() - cpu_began, time.perf_counter() - wall_began
        due = max(due + period, time.monotonic())
    return Times(cpu, wall)


def percentiles(name: str, values: Array, points: tuple[int, ...] = (50, 95, 99)) -> dict[str, float]:
    """`{name}_p50` and so on of `values`, in the values' unit; NaN where there are none."""
    found = np.percentile(values, points) if len(values) else np.full(len(points), np.nan)
    return {f"{name}_p{point}": float(value) for point, value in zip(points, found, strict=True)}


@contextmanager
def one_core() -> Iterator[None]:
    """Keep the calling thread, and threads it starts, on one of the cores it may use."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})  # interrupts tend to arrive at the first
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
