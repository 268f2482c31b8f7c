# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Runs of the nodes that measure how well the control loop keeps time: for `mbrl benchmark loop` and `mbrl soak`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from mbrl_controller.base import machine
from mbrl_controller.stack.launcher import SimulatedHand, StackConfig, make_config, run_stack, watch
from mbrl_controller.stack.processes import ProcessGroup
from mbrl_controller.stack.timing import LoopTimingStats

# What docs/timing.md recommends on a robot, and what the nodes do by default.
REALTIME = {"scheduling_priority": 50, "lock_memory": True, "gc_in_slack": True}
ORDINARY = {"scheduling_priority": 0, "lock_memory": False, "gc_in_slack": True}
STATUS = "controller: control"


def timed_config(
    kind: str,
    task: str,
    log_dir: Path,
    *,
    rate: float | None,
    realtime: bool,
    model: str,
    seed: int,
    hand: SimulatedHand | None = None,
) -> StackConfig:
    """A configuration whose loop may tick at any rate; see `make_config`. `realtime` asks the system for REALTIME."""
    return make_config(
        kind, task, log_dir, rate=rate, any_rate=True, model=model, seed=seed, hand=hand,
        controller=dict(REALTIME if realtime else ORDINARY),
    )  # fmt: skip


def describe(config: StackConfig, stress_cores: int, realtime: bool) -> dict[str, Any]:
    """The head of a report: what runs, on which machine, and what it asks of the system. Nothing is refused yet."""
    return {
        "machine": machine.describe(),
        "task": config.contract.task.name,
        "model": config.version,
        "rate_hz": config.rate,
        "model_rate_hz": 1.0 / config.contract.action.period,
        "busy_cores": stress_cores,
        "asked": dict(REALTIME if realtime else ORDINARY),
        "refused": [],
    }


def run_timed(
    config: StackConfig,
    stats: LoopTimingStats,
    seconds: float,
    report: dict[str, Any],
    each: Callable[[float, ProcessGroup], None],
    at_end: Callable[[ProcessGroup], None] = lambda group: None,
) -> bool:
    """Run the nodes for `seconds`; False after Ctrl-C. Raises MbrlError if a node fails.

    Args:
        config: the nodes' configuration.
        stats: gets the row of each tick.
        seconds: from the first tick on.
        report: what `describe` returned; `refused` is filled with what the system did not grant, also after a failure.
        each: called a few times a second with the time passed (s) and the processes.
        at_end: called once all rows have arrived, while the nodes still run.
    """
    from mbrl_controller.stack.monitor import StackMonitor

    def control(group: ProcessGroup) -> None:
        with StackMonitor(config.contract, stats.add) as monitor:
            monitor.prepare(group)
            monitor.begin(group)
            try:
                watch(seconds, group, lambda elapsed: each(elapsed, group))
                monitor.catch_up(group)
                at_end(group)
            finally:
                not_granted = monitor.reports.get(STATUS, {}).get("not granted", "")
                report["refused"] = [text for text in not_granted.split("; ") if text]

    return run_stack(config, control, report["busy_cores"])
