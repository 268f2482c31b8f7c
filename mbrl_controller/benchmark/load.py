# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The control loop while the machine is busy with other work, and what helps: cores, priorities, garbage collection."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np

from mbrl_controller.benchmark.settings import Settings, Table
from mbrl_controller.benchmark.subprocess_run import run_in_subprocess
from mbrl_controller.benchmark.timing import percentiles
from mbrl_controller.benchmark.workload import Served, served
from mbrl_controller.control.loop import FixedRateLoop, apply_scheduling, start_thread
from mbrl_controller.control.pacing import TickTime
from mbrl_controller.control.planner_thread import PlannerThread
from mbrl_controller.control.steps import Observation
from mbrl_controller.stack.cpu_load import cpu_load

RATES = (10.0, 20.0, 50.0)  # Hz
# The controller node's defaults: the share of the period after which a plan is late, and how much earlier the planner
# itself stops (nodes/controller_options.py and nodes/controller.py; they need ROS).
DEADLINE_FRACTION, REFINE_MARGIN = 0.8, 0.05
PRIORITY = 50  # SCHED_FIFO of the planner; the loop has one more
NICE_LOAD = 19


@dataclass(frozen=True)
class Conditions:
    """What one row is measured under."""

    name: str
    busy: bool = True
    pinned: bool = False  # loop and planner each on a core of its own
    priority: int = 0  # SCHED_FIFO
    load_niceness: int = 0
    frozen: bool = False  # garbage collector: what is there is frozen, and no collection
    required: bool = True  # when the system refuses something, there is nothing to measure


CONDITIONS = (
    Conditions("idle machine", busy=False),
    Conditions("cores busy"),
    Conditions("cores busy, loop and planner pinned", pinned=True),
    Conditions("cores busy, SCHED_FIFO", priority=PRIORITY),
    Conditions(f"cores busy, the load at nice {NICE_LOAD}", load_niceness=NICE_LOAD),
    Conditions("cores busy, no garbage collection", frozen=True),
    Conditions("cores busy, all of these", True, True, PRIORITY, NICE_LOAD, True, required=False),
)


def run(settings: Settings) -> dict[str, Any]:
    """The part: the task's served plan at each rate under all conditions, 10 s each (2 s when quick)."""
    return measure(
        rates=RATES, seconds=2.0 if settings.quick else 10.0, task=settings.task, contract_file=settings.contract_file
    )


def measure(
    task: str,
    rates: Sequence[float],
    seconds: float,
    conditions: Sequence[Conditions] = CONDITIONS,
    contract_file: str | None = None,
) -> dict[str, Any]:
    """Rows by condition and rate (Hz), times in ms; `refused` holds what the system did not grant, by condition."""
    cores = len(os.sched_getaffinity(0))
    rows: list[dict[str, Any]] = []
    refused: dict[str, list[str]] = {}
    for c in conditions:
        with cpu_load(cores, c.load_niceness) if c.busy else nullcontext():
            answer = run_in_subprocess(measure_loop, task=task, rates=list(rates), seconds=seconds, pinned=c.pinned,
                priority=c.priority, frozen=c.frozen, required=c.required, contract_file=contract_file,
            )  # fmt: skip
        if answer["refused"]:
            refused[c.name] = answer["refused"]
        rows += [{"conditions": c.name, **row} for row in answer["rows"]]
    return {"cores": cores, "seconds": seconds, "rows": rows, "refused": refused}


def measure_loop(
    task: str,
    rates: Sequence[float],
    seconds: float,
    pinned: bool,
    priority: int,
    frozen: bool,
    required: bool,
    contract_file: str | None = None,
) -> dict[str, Any]:
    """In a process of its own: rows by rate, and what the system refused; without rows if that was `required`."""
    cores = sorted(os.sched_getaffinity(0))
    loop_cpus, planner_cpus = ([cores[0]], [cores[-1]]) if pinned else ([], [])
    refused = _probe(priority, planner_cpus)
    if refused and required:
        return {"rows": [], "refused": refused}
    s = served(task, contract_file=contract_file)
    observation = s.rest()
    for _ in range(3):
        s.core.tick(observation, s.goal, 0.0, time.monotonic() + 1.0)
    if frozen:
        gc.collect()
        gc.freeze()
        gc.disable()
    rows = [loop_row(s, observation, rate, seconds, priority, loop_cpus, planner_cpus) for rate in rates]
    return {"rows": rows, "refused": refused}


def loop_row(
    s: Served,
    observation: Observation,
    rate: float,
    seconds: float,
    priority: int = 0,
    loop_cpus: Sequence[int] = (),
    planner_cpus: Sequence[int] = (),
) -> dict[str, Any]:
    """The real loop and planner thread at `rate` (Hz) for `seconds`: execution and lateness of its ticks, in ms."""
    core, period = s.core, 1.0 / rate
    core.reset(0)
    lateness: list[float] = []
    execution: list[float] = []
    evaluated: list[int] = []
    failures: list[Exception] = []

    def tick(when: TickTime) -> None:
        request = core.prepare(observation, s.goal, when.index * period)
        deadline = when.due + DEADLINE_FRACTION * period
        solution = planner.plan(request, deadline, deadline - REFINE_MARGIN * period)
        core.conclude(request, solution)
        lateness.append(when.lateness)
        execution.append(time.monotonic() - when.began)
        if solution is not None:
            evaluated.append(solution.plan.evaluated)

    planner = PlannerThread(core.solve, priority, planner_cpus)
    loop = FixedRateLoop(
        period, tick, on_error=failures.append, priority=priority + 1 if priority else 0, cpus=loop_cpus
    )
    try:
        loop.start()
        time.sleep(seconds)
        loop.stop()
    finally:
        planner.close()
    if failures:
        raise failures[0]
    return {
        "rate_hz": rate,
        "ticks": loop.statistics.ticks,
        "missed": loop.statistics.missed,
        "late_plans": planner.late,
        **percentiles("execution_ms", 1e3 * np.array(execution)),
        **percentiles("lateness_ms", 1e3 * np.array(lateness)),
        "candidates": float(np.median(evaluated)) if evaluated else float("nan"),
    }


def _probe(priority: int, cpus: Sequence[int]) -> list[str]:
    """What the system would refuse, tried on a thread that ends at once."""
    refused: list[str] = []
    start_thread(lambda: refused.extend(apply_scheduling(priority, cpus)), "probe").join()
    return refused


def tables(figures: dict[str, Any]) -> list[Table]:
    """Titles and rows of the tables to print; where the system refused something, the reason stands in for figures."""
    measured = {row["conditions"] for row in figures["rows"]}
    refused = {name: "; ".join(why) for name, why in figures["refused"].items()}
    rows = [
        *figures["rows"],
        *({"conditions": f"{n}: refused: {why}"} for n, why in refused.items() if n not in measured),
    ]
    found = [(f"control loop for {figures['seconds']:g} s each, {figures['cores']} processes as load", rows)]
    without = [{"conditions": name, "refused": why} for name, why in refused.items() if name in measured]
    return [*found, ("measured although the system refused", without)] if without else found
