# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""`mbrl benchmark loop`: how well the service keeps time, as it is on a robot: three processes over DDS."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from mbrl_controller.base.files import write_json
from mbrl_controller.base.resources import home_dir
from mbrl_controller.stack.launcher import run_service, watch
from mbrl_controller.stack.processes import ProcessGroup
from mbrl_controller.stack.timed_run import describe, line, not_granted, plan_timed, show
from mbrl_controller.stack.timing import TickFigures

PLAIN_EVERY_S = 10.0


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
