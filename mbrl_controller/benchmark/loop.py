# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""`mbrl benchmark loop`: how well the nodes keep time as on a robot, in three processes over DDS."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mbrl_controller.base.files import write_json
from mbrl_controller.base.resources import home_dir
from mbrl_controller.stack.launcher import SimulatedHand
from mbrl_controller.stack.timed_run import describe, run_timed, timed_config
from mbrl_controller.stack.timing import LoopTimingStats


def run(
    task: str = "baoding",
    *,
    seconds: float = 60.0,
    rate: float | None = None,
    stress_cores: int = 0,
    realtime: bool = True,
    model: str = "current",
    seed: int = 0,
    hand: SimulatedHand | None = None,
    json_file: Path | None = None,
    on_progress: Callable[[float, LoopTimingStats], None] = lambda elapsed, stats: None,
) -> tuple[dict[str, Any], bool]:
    """Run the nodes and measure their timing; returns the report, and False if Ctrl-C ended it. No episode is kept.

    Args:
        task: name of the task.
        seconds: length of the run.
        rate: of the loop, Hz; None for the model's own.
        stress_cores: number of processes that load the machine meanwhile.
        realtime: ask the system for SCHED_FIFO and locked memory.
        model: model version.
        seed: seed of the planner and of the simulated hand.
        hand: that is simulated; None: the task's own.
        json_file: where the report is written.
        on_progress: called a few times a second with the time passed (s) and the figures so far.

    Raises:
        MbrlError: the nodes cannot be run, or one of them fails.
    """
    config = timed_config(
        "loop", task, home_dir() / "benchmark", rate=rate, realtime=realtime, model=model, seed=seed, hand=hand
    )
    stats = LoopTimingStats(1.0 / config.rate)
    report = describe(config, stress_cores, realtime) | {"seconds": seconds}
    try:
        finished = run_timed(config, stats, seconds, report, lambda elapsed, group: on_progress(elapsed, stats))
    finally:
        shutil.rmtree(config.folder, ignore_errors=True)
    report |= stats.summary()
    if json_file is not None:
        write_json(json_file, report)
    return report, finished
