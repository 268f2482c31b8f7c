# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What a run of the service that is timed has: how the loop is asked to keep time, and how it did."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mbrl_controller.base import machine
from mbrl_controller.base.console import console
from mbrl_controller.base.tables import print_rows
from mbrl_controller.stack.launcher import ServicePlan, plan_service
from mbrl_controller.stack.timing import FIGURES, TickFigures

# What docs/timing.md says to set on a robot, and what the nodes do by default.
REALTIME = {"scheduling_priority": 50, "lock_memory": True, "gc_in_slack": True}
ORDINARY = {"scheduling_priority": 0, "lock_memory": False, "gc_in_slack": True}
REPORT = "controller: control"


def plan_timed(
    kind: str, task: str, log_dir: Path, *, rate: float | None, realtime: bool, model: str, seed: int
) -> ServicePlan:
    """A service whose loop ticks at `rate` (Hz), whatever the model's own is (None); raises MbrlError."""
    settings = REALTIME if realtime else ORDINARY
    return plan_service(
        kind, task, log_dir, rate=rate, any_rate=True, model=model, seed=seed, controller=dict(settings)
    )


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
