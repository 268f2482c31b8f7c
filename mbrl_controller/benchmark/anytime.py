# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What a deadline costs: whether plans keep to it, how many candidates they get, and how good they become."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from mbrl_controller.benchmark.settings import Settings, Table
from mbrl_controller.benchmark.subprocess_run import run_in_subprocess
from mbrl_controller.benchmark.timing import WARM_UP, percentiles
from mbrl_controller.benchmark.workload import served
from mbrl_controller.planning.base import Objective, Planner, PlannerState
from mbrl_controller.rollouts.statistics import bootstrap
from mbrl_controller.tasks.spaces import Array

DEADLINES_MS = (5.0, 10.0, 20.0, 50.0)
PERIOD = 0.1  # s from one plan to the next, as in control: the idle gap belongs to the measurement
ITERATIONS = 10  # at most


def run(settings: Settings) -> dict[str, Any]:
    """The part: see `measure`. Needs the simulator, for the states planned from."""
    states, seeds = (30, 1) if settings.quick else (50, 2)
    return run_in_subprocess(
        measure, task=settings.task, contract_file=settings.contract_file, states=states, seeds=seeds
    )


def measure(
    task: str, states: int, seeds: int, period: float = PERIOD, contract_file: str | None = None
) -> dict[str, Any]:
    """Plans of `task`'s served model from `states` simulated states and `seeds` seeds each, under each deadline."""
    from mbrl_controller.benchmark.start_states import start_states

    s = served(task, {"iterations": ITERATIONS}, contract_file=contract_file)
    problems = [(s.objective(state), lambda seed, state=state: s.fresh(state, seed))
                for state in start_states(s.contract, states)]  # fmt: skip
    return measure_planner(s.core.planner, problems, seeds, period)


def measure_planner(
    planner: Planner,
    problems: Sequence[tuple[Objective, Callable[[int], PlannerState]]],
    seeds: int,
    period: float = PERIOD,
    deadlines_ms: Sequence[float] = DEADLINES_MS,
) -> dict[str, Any]:
    """Rows by deadline. A problem is an objective and, from a seed, the planner's memory before the plan.

    `late_ms` is from the deadline to the plan's return, negative for a plan that was there before. `return_mean` is
    the return of the plan itself under the same objective; each problem and seed is planned under all deadlines, so
    that they can be compared in pairs.
    """
    late = np.empty((len(deadlines_ms), len(problems), seeds))
    evaluated, returns = np.empty_like(late), np.empty_like(late)
    due = time.monotonic()
    for p, (objective, fresh) in enumerate(problems):
        for _ in range(0 if p else WARM_UP):
            planner.plan(objective, fresh(0))
        for seed in range(seeds):
            for d, deadline_ms in enumerate(deadlines_ms):
                time.sleep(max(0.0, due - time.monotonic()))
                state = fresh(seed)
                deadline = time.monotonic() + 1e-3 * deadline_ms
                plan, _ = planner.plan(objective, state, deadline)
                late[d, p, seed] = 1e3 * (time.monotonic() - deadline)
                evaluated[d, p, seed] = plan.evaluated
                returns[d, p, seed] = objective(plan.actions[None])[0]
                due = max(due + period, time.monotonic())
    rows = [
        {
            "deadline_ms": deadline_ms,
            "plans": late[d].size,
            "on_time": float(np.mean(late[d] <= 0)),
            **percentiles("late_ms", late[d].ravel()),
            "late_ms_max": float(late[d].max()),
            "candidates": float(np.median(evaluated[d])),
            "return_mean": float(returns[d].mean()),
        }
        for d, deadline_ms in enumerate(deadlines_ms)
    ]
    # Seeds of one start are averaged: it is the starts that are independent.
    by_problem = returns.mean(-1)
    return {"rows": rows, "gains": [_gain(deadlines_ms, by_problem, i, j) for i, j in pairwise(range(len(rows)))]}


def _gain(deadlines_ms: Sequence[float], returns: Array, i: int, j: int) -> dict[str, Any]:
    """What the longer deadline gains in return: the mean of the paired differences and its 95 % interval."""
    difference = returns[j] - returns[i]
    return {
        "from_ms": deadlines_ms[i],
        "to_ms": deadlines_ms[j],
        "gain_mean": float(difference.mean()),
        "gain_mean_ci95": bootstrap(difference, np.mean),
    }


def tables(figures: dict[str, Any]) -> list[Table]:
    """Titles and rows of the tables to print."""
    return [
        (f"plans under a deadline, one every {1e3 * PERIOD:g} ms", figures["rows"]),
        ("return gained by the longer deadline, paired by start", figures["gains"]),
    ]
