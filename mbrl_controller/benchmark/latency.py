# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""One plan's processor time on one core and one thread, against its matrix products alone; and at the control rate."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, get_args

import numpy as np

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.benchmark import default_plan
from mbrl_controller.benchmark.default_plan import LIBRARIES
from mbrl_controller.benchmark.settings import Settings, Table, UnavailableError, measurable_tasks
from mbrl_controller.benchmark.subprocess_run import reason, run_in_subprocess
from mbrl_controller.benchmark.timing import Times, in_turn, one_core, paced, percentiles
from mbrl_controller.benchmark.workload import CANDIDATES, HORIZON, Case, model_files, paper_sized, served
from mbrl_controller.models.spec import Precision

RATE = 10.0  # Hz, the control rate
PRECISIONS: tuple[Precision, ...] = get_args(Precision)


def run(settings: Settings) -> dict[str, Any]:
    """The part: see `measure`, and `default_plan` of default_plan.py."""
    repeats, tasks = 10 if settings.quick else 60, measurable_tasks()
    figures = run_in_subprocess(measure, repeats=repeats, tasks=tasks)
    return {**figures, "default_plan": run_in_subprocess(default_plan.measure, repeats=repeats, tasks=tasks)}


def measure(
    repeats: int, tasks: Sequence[str], candidates: int = CANDIDATES, horizon: int = HORIZON, paper: bool = True
) -> dict[str, Any]:
    """Times in ms of a plan of `candidates` x `horizon` with PDDM's Baoding network and with each task's current model.

    What cannot be measured is in `missing`, with the reason.
    """
    cases: list[Case] = []
    missing: dict[str, str] = {}

    def attempt(name: str, make: Callable[[], Case]) -> None:
        try:
            cases.append(make())
        except (MbrlError, ModuleNotFoundError) as error:
            missing[name] = reason(error)

    with tempfile.TemporaryDirectory(prefix="mbrl-") as folder, one_core():
        if paper:
            for precision in PRECISIONS:
                attempt(f"paper {precision}", partial(paper_sized, Path(folder), precision))
        for task in tasks:
            try:
                files, refused = model_files(task)
            except MbrlError as error:
                missing[task] = reason(error)
                continue
            missing |= {f"{task} {file}": why for file, why in refused.items()}
            size = {"num_samples": candidates, "horizon": horizon, "iterations": 1}
            for precision in PRECISIONS:
                if precision in files:
                    attempt(f"{task} {precision}", partial(_served_case, task, size, files[precision]))
                else:
                    missing[f"{task} {precision}"] = "the current version has no such file that can be served"
        if not cases:
            raise UnavailableError("; ".join(f"{name}: {why}" for name, why in missing.items()))
        figures = measure_cases(cases, repeats, missing)
        figures["control_rate"] = measure_pace(cases, min(repeats, 40))
    return figures


def measure_cases(cases: Sequence[Case], repeats: int, missing: dict[str, str]) -> dict[str, Any]:
    """Times in ms of each case's plan and of its matrix products, all called in turn; adds to `missing`."""
    functions: dict[str, Callable[[], object]] = {}
    for case in cases:
        functions[f"{case.name} plan {case.spec.precision}"] = case
        config = case.planner.config
        for library, make in LIBRARIES.items():
            name = f"{case.name} gemm {library}"
            if name in functions or name in missing:
                continue
            try:
                functions[name] = make(case.spec.ensemble_size, case.widths, config.num_samples, config.horizon)
            except ModuleNotFoundError as error:
                missing[name] = reason(error)
    times = in_turn(functions, repeats)
    yardsticks = {}
    for name in dict.fromkeys(case.name for case in cases):
        # Strict: a library that does not know this processor must not make the plan look good.
        yardsticks[name] = min(_cpu_ms(t) for key, t in times.items() if key.startswith(f"{name} gemm "))
    networks = {case.name: case.network for case in cases}
    rows = []
    for key, t in times.items():
        name, what, how = key.split(" ")
        rows.append(
            {
                "case": name,
                "network": networks[name],
                "what": what,
                "by": how,
                "cpu_ms": _cpu_ms(t),
                "cpu_ms_p95": 1e3 * float(np.percentile(t.cpu, 95)),
                "wall_ms": 1e3 * float(np.median(t.wall)),
                "wall_ms_p95": 1e3 * float(np.percentile(t.wall, 95)),
                "ratio_to_gemm": _cpu_ms(t) / yardsticks[name],
            }
        )
    config = cases[0].planner.config
    return {
        "candidates": config.num_samples,
        "horizon": config.horizon,
        "repeats": repeats,
        "gemm_fp32_cpu_ms": yardsticks,
        "rows": sorted(rows, key=lambda row: list(networks).index(str(row["case"]))),
        "missing": missing,
    }


def measure_pace(cases: Sequence[Case], repeats: int) -> list[dict[str, Any]]:
    """Wall times in ms of one plan made back to back, and at the control rate with idle gaps, when the caches have
    gone cold and the clock has gone down. The served precision where there is one, else the first case."""
    case = next((case for case in cases if case.spec.precision == "int8"), cases[0])
    runs = {"back to back": in_turn({"": case}, repeats)[""], f"{RATE:g} Hz": paced(case, 1 / RATE, repeats)}
    label = f"{case.name} {case.spec.precision}"
    # The processor time tells waiting for a core, which others had, from slower work.
    return [
        {"case": label, "called": name, "cpu_ms": _cpu_ms(t), **percentiles("wall_ms", 1e3 * t.wall)}
        for name, t in runs.items()
    ]


def headline(figures: dict[str, Any]) -> dict[str, Any]:
    """The headlines: the plan of the size in PDDM's paper in 8 bit, its yardstick, and what is served by default."""
    found: dict[str, Any] = {"default_plan": figures["default_plan"]} if "default_plan" in figures else {}
    for row in figures.get("rows", []):
        if (row["case"], row["what"], row["by"]) == ("paper", "plan", "int8"):
            found |= {
                "plan_cpu_ms": row["cpu_ms"],
                "gemm_fp32_cpu_ms": figures["gemm_fp32_cpu_ms"]["paper"],
                "ratio_to_gemm": row["ratio_to_gemm"],
            }
    return found


def tables(figures: dict[str, Any]) -> list[Table]:
    """Titles and rows of the tables to print."""
    size = f"N={figures['candidates']}, H={figures['horizon']}, one core, one thread, {figures['repeats']} repeats"
    defaults = [{"task": task, **found} for task, found in figures.get("default_plan", {}).items()]
    columns = ("task", "acts", "file", "cpu_ms", "ratio_to_full_gemm", "network_evaluations", "candidates", "horizon")
    return [
        (f"one plan, {size}; ratio to the faster float32 GEMM", figures["rows"]),
        ("the same plan with and without idle gaps", figures["control_rate"]),
        (
            "one tick's plan as it is served by default",
            [{name: row[name] for name in columns} for row in defaults if "cpu_ms" in row],
        ),
    ]


def _served_case(task: str, options: dict[str, Any], file: Path) -> Case:
    return served(task, options, file).case(task)


def _cpu_ms(times: Times) -> float:
    return 1e3 * float(np.median(times.cpu))
