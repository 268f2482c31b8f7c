# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Whether planning for long takes more and more memory."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from mbrl_controller.benchmark.settings import Settings, Table, UnavailableError
from mbrl_controller.benchmark.subprocess_run import run_in_subprocess
from mbrl_controller.benchmark.workload import served
from mbrl_controller.control.core import ControllerCore
from mbrl_controller.control.steps import Observation
from mbrl_controller.tasks.base import Goal

WARM_UP = 100  # plans before the first look: caches, pools and the allocator reach their size
EVERY = 100  # plans between looks
# Plans of all sizes, since it is a change of size that makes an allocator ask for more. None: the whole plan.
DEADLINES_MS = (5.0, 10.0, 20.0, None)


def run(settings: Settings) -> dict[str, Any]:
    """The part: see `measure`."""
    return run_in_subprocess(
        measure, task=settings.task, contract_file=settings.contract_file, plans=1_000 if settings.quick else 10_000
    )


def measure(task: str, plans: int, contract_file: str | None = None) -> dict[str, Any]:
    """Resident memory (MiB) after a warm-up and after `plans` further control steps, and its growth."""
    resident_kib()
    s = served(task, contract_file=contract_file)
    return measure_core(s.core, s.rest(), s.goal, plans)


def measure_core(
    core: ControllerCore, observation: Observation, goal: Goal, plans: int, every: int = EVERY, warm_up: int = WARM_UP
) -> dict[str, Any]:
    """Resident memory while `core` makes `plans` control steps, looked at after each `every` of them."""
    period = core.contract.action.period
    core.reset(0)

    def steps(begin: int, count: int) -> None:
        for i in range(begin, begin + count):
            limit = DEADLINES_MS[i % len(DEADLINES_MS)]
            deadline = None if limit is None else time.monotonic() + 1e-3 * limit
            core.tick(observation, goal, (i % 100) * period, deadline)

    steps(0, warm_up)
    done, seen = [0], [resident_kib()]
    while done[-1] < plans:
        count = min(every, plans - done[-1])
        steps(warm_up + done[-1], count)
        done.append(done[-1] + count)
        seen.append(resident_kib())
    slope = np.polyfit(done, seen, 1)[0]
    return {
        "plans": plans,
        "after_warm_up_mib": seen[0] / 1024,
        "after_mib": seen[-1] / 1024,
        "highest_mib": max(seen) / 1024,
        "growth_kib_per_1000_plans": float(1000 * slope),
        "resident_kib": seen,
        "looked_at_after_plans": done,
    }


def resident_kib() -> float:
    """This process's resident memory; raises UnavailableError where /proc does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError) as error:
        raise UnavailableError("resident memory is read from /proc/self/statm, which is not there") from error
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024


def tables(figures: dict[str, Any]) -> list[Table]:
    """Title and rows of the table to print."""
    names = ("plans", "after_warm_up_mib", "after_mib", "highest_mib", "growth_kib_per_1000_plans")
    return [("resident memory of a planning process", [{name: figures[name] for name in names}])]
