# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""`mbrl demo`: the simulated hand, the controller and the logger as the processes they are on a robot."""

from __future__ import annotations

import importlib.util
import os
import re
import socket
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.table import Table

from mbrl_controller.base.console import console, error_console
from mbrl_controller.base.extras import how_to_install
from mbrl_controller.base.resources import home_dir
from mbrl_controller.stack.demo_recorder import DemoRecord
from mbrl_controller.stack.launcher import ServicePlan, plan_service, run_service, watch
from mbrl_controller.stack.processes import ProcessGroup, wait_for

WATCHER_NICE = 5  # to look on must not cost the controller its pace
VIEWER_PORT = 8080
VIEWER_S = 60.0
PLAIN_EVERY_S = 5.0  # a line this often where there is no terminal


def run(
    task: str = "baoding",
    *,
    seconds: float = 30.0,
    rate: float | None = None,
    headless: bool = False,
    model: str = "current",
    seed: int = 0,
    json_file: Path | None = None,
) -> dict[str, Any]:
    """Run the demo and print its table; returns (and writes to `json_file`) the figures.

    Raises MbrlError for what cannot be run, and when a process fails; KeyboardInterrupt after an orderly stop.
    """
    began = time.monotonic()
    plan = plan_service("demo", task, home_dir() / "episodes", rate=rate, model=model, seed=seed)
    viewer = not headless
    if viewer and importlib.util.find_spec("mjviser") is None:
        error_console.print(f"no viewer: {how_to_install('viewer')} (or --headless)", markup=False, soft_wrap=True)
        viewer = False
    if viewer:
        plan = replace(plan, sim={"viewer_port": _free_port()})
    record = DemoRecord(plan.contract.task, plan.contract.action.period)
    finished = run_service(plan, lambda group: _control(plan, seconds, record, group))
    report = _report(plan, seconds, record, began)
    console.print(_table(report))
    console.print(f"episodes in {report['folder']}", soft_wrap=True)
    if json_file is not None:
        from mbrl_controller.base.files import write_json

        write_json(json_file, report)
    if not finished:
        raise KeyboardInterrupt
    return report


def _control(plan: ServicePlan, seconds: float, record: DemoRecord, group: ProcessGroup) -> None:
    """From the first process to the end of the time asked for."""
    from mbrl_controller.stack.demo_monitor import DemoMonitor

    task = plan.contract.task.name
    console.print(f"{task}: model {plan.version}, {plan.rate:g} Hz, {seconds:g} s")
    with ExitStack() as stack:
        starting = stack.enter_context(console.status("starting the sim, the controller and the logger"))
        os.nice(WATCHER_NICE)
        monitor = stack.enter_context(DemoMonitor(plan.contract, record))
        monitor.prepare(group)
        if "viewer_port" in plan.sim:
            console.print(f"watch at {_viewer_url(group)}")
        monitor.begin(group)
        starting.stop()
        watch(seconds, group, lambda elapsed: _line(plan, record, elapsed), plain_every=PLAIN_EVERY_S)


def _free_port() -> int:
    """The usual port of the viewer, or another where that is taken."""
    for port in (VIEWER_PORT, 0):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    return VIEWER_PORT


def _viewer_url(group: ProcessGroup) -> str:
    """The address that the sim has logged."""
    found: list[str] = []

    def logged() -> bool:
        found[:] = re.findall(r"watch at (\S+)", group.children["sim"].log.read_text(errors="replace"))
        return bool(found)

    wait_for(logged, "the viewer does not start", VIEWER_S, group)
    return found[0]


def _line(plan: ServicePlan, record: DemoRecord, elapsed: float) -> str:
    row = record.rows[-1]
    task = plan.contract.task
    parts = [
        f"{elapsed:5.1f} s",
        f"tick {len(record.rows)}",
        f"missed {row['missed_ticks']:.0f}",
        f"late {1e3 * row['lateness']:.2f} ms",
        f"reward {row['reward']:.3g}",
    ]
    metrics = record.episodes[-1].metrics(task, plan.contract.action.period) if record.episodes else None
    if metrics is not None:
        parts.append(f"return {metrics.episode_return:.3g}")
        parts.append(f"turned {metrics.degrees_turned:.0f} deg")
        parts.append(f"goal error {metrics.final_goal_error:.3g} {task.goal_unit}")
    return " | ".join(part for part in parts if "nan" not in part)


def _report(plan: ServicePlan, seconds: float, record: DemoRecord, began: float) -> dict[str, Any]:
    first = None if record.first_plan is None else record.first_plan - began
    return {
        "task": plan.contract.task.name,
        "model": plan.version,
        "seed": plan.seed,
        "seconds": seconds,
        "time to first motion (s)": first,
        "time in all (s)": time.monotonic() - began,
        **record.summary(),
        "episode files": len(list(plan.folder.glob("*.mcap"))),
        "folder": str(plan.folder),
    }


def _table(report: dict[str, Any]) -> Table:
    table = Table(show_header=False, box=None)
    for name, value in report.items():
        if value is not None and name != "folder":
            table.add_row(name, f"{value:.4g}" if isinstance(value, float) else str(value))
    return table
