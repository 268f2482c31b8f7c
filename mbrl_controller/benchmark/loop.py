# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""`mbrl benchmark loop`: how well the service keeps time, as it is on a robot: three processes over DDS."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from mbrl_controller.base import machine
from mbrl_controller.base.console import console
from mbrl_controller.base.resources import home_dir
from mbrl_controller.benchmark.tables import print_rows
from mbrl_controller.rollouts.evaluate import write_json
from mbrl_controller.stack.launcher import ServicePlan, plan_service, run_service, watch
from mbrl_controller.stack.processes import ProcessGroup
from mbrl_controller.stack.timing import FIGURES, TickFigures

# What docs/timing.md says to set on a robot, and what the nodes do by default.
REALTIME = {"scheduling_priority": 50, "lock_memory": True, "gc_in_slack": True}
ORDINARY = {"scheduling_priority": 0, "lock_memory": False, "gc_in_slack": True}
REPORT = "controller: control"
PLAIN_EVERY_S = 10.0


def plan_timed(
    kind: str, task: str, log_dir: Path, *, rate: float | None, realtime: bool, model: str, seed: int
) -> ServicePlan:
    """A service whose loop ticks at `rate` (Hz), whatever the model's own is (None); raises MbrlError."""
    settings = REALTIME if realtime else ORDINARY
    return plan_service(
        kind, task, log_dir, rate=rate, any_rate=True, model=model, seed=seed, controller=dict(settings)
    )


def run(
    task: str = "baoding",
    *,
    seconds: float = 60.0,
    rate: float | None = None,
    busy_cores: int = 0,
    realtime: bool = True,
    model: str = "current",
    seed: int = 0,
    json_file: Path | None = None,
) -> dict[str, Any]:
    """Run the service for `seconds` at `rate` (Hz), print how it kept time, return it (and write it to `json_file`).

    `busy_cores` processes load the machine meanwhile; `realtime` asks the system for REALTIME. The episodes are logged
    and thrown away. Raises MbrlError, also when a node fails, and KeyboardInterrupt after an orderly stop.
    """
    base = home_dir() / "benchmark"
    plan = plan_timed("loop", task, base, rate=rate, realtime=realtime, model=model, seed=seed)
    figures = TickFigures(1.0 / plan.rate)
    refused: list[str] = []
    report = describe(plan, busy_cores, realtime) | {"seconds": seconds}

    def control(group: ProcessGroup) -> None:
        from mbrl_controller.stack.monitor import ServiceMonitor

        with ServiceMonitor(plan.contract, figures.add) as monitor:
            monitor.prepare(group)
            monitor.begin(group)
            watch(seconds, group, lambda elapsed: line(elapsed, figures), plain_every=PLAIN_EVERY_S)
            monitor.catch_up(group)
            refused[:] = not_granted(monitor.reports)

    try:
        finished = run_service(plan, control, busy_cores)
    finally:
        shutil.rmtree(plan.folder, ignore_errors=True)
    report |= figures.summary() | {"refused": refused}
    show(report)
    if json_file is not None:
        write_json(json_file, report)
    if not finished:
        raise KeyboardInterrupt
    return report


def describe(plan: ServicePlan, busy_cores: int, realtime: bool) -> dict[str, Any]:
    """What a report is about: what is run, on which machine, and what the system is asked for."""
    return {
        "machine": machine.describe(),
        "task": plan.contract.task.name,
        "model": plan.version,
        "rate_hz": plan.rate,
        "model_rate_hz": 1.0 / plan.contract.action.period,
        "busy_cores": busy_cores,
        "asked": dict(REALTIME if realtime else ORDINARY),
    }


def not_granted(reports: dict[str, dict[str, str]]) -> list[str]:
    """What the controller says on /diagnostics that the system refused it."""
    return [text for text in reports.get(REPORT, {}).get("not granted", "").split("; ") if text]


def line(elapsed: float, figures: TickFigures) -> str:
    """The present, for the one who waits."""
    s = figures.summary()
    return (
        f"{elapsed:5.1f} s | tick {s['ticks']} | missed {s['missed']} | late plans {s['late_plans']} | lateness p99.9 "
        f"{s['lateness_p99_9_ms']:.3f} ms, max {s['lateness_max_ms']:.3f} ms"
    )


def show(report: dict[str, Any]) -> None:
    """Print the figures."""
    counts = {name: report[name] for name in ("ticks", "missed", "late_plans", "rows_lost")}
    rates = f"{report['rate_hz']:g} Hz" + ("" if not report["busy_cores"] else f", {report['busy_cores']} cores busy")
    print_rows(f"{report['task']} {report['model']}, {rates}, {report['seconds']:.0f} s", [counts])
    print_rows(
        "times, ms",
        [
            {"what": name} | {key.replace("_", "."): report[f"{name}_{key}_ms"] for key in FIGURES}
            for name in ("lateness", "execution", "period")
        ],
    )
    asked = ", ".join(f"{name} {value}" for name, value in report["asked"].items())
    refused = "; ".join(report["refused"]) or "nothing"
    console.print(f"asked of the system: {asked}; refused: {refused}", markup=False, highlight=False, soft_wrap=True)
