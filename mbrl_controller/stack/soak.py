# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""`mbrl soak`: the nodes for hours, and how timing, memory, threads, open files and the log develop."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.base.files import write_json
from mbrl_controller.base.resources import home_dir
from mbrl_controller.stack.launcher import SimulatedHand, StackConfig
from mbrl_controller.stack.processes import ProcessGroup
from mbrl_controller.stack.resource_usage import resource_usage, trend
from mbrl_controller.stack.timed_run import describe, run_timed, timed_config
from mbrl_controller.stack.timing import LoopTimingStats

SAMPLES = 360  # per run, unless that is more often than SHORTEST_S or less often than LONGEST_S
SHORTEST_S, LONGEST_S = 0.5, 60.0
MIB = 2.0**20
FINISHED, INTERRUPTED = "in time", "interrupted"  # `ended` of a report; otherwise the error's text


class SoakLog:
    """Samples of the running nodes, each written to `file` at once as a line of JSON.

    Args:
        config: the nodes' configuration.
        stats: timing of the loop so far.
        every: time between samples, s.
        file: open for writing.
    """

    def __init__(self, config: StackConfig, stats: LoopTimingStats, every: float, file: IO[str]) -> None:
        self.samples: list[dict[str, Any]] = []
        self._config, self._stats, self._every, self._file = config, stats, every, file
        self._due = 0.0

    def sample_if_due(self, elapsed: float, group: ProcessGroup) -> None:
        """Take a sample if it is time for one, `elapsed` s after the start."""
        if elapsed >= self._due:
            self._due = elapsed + self._every
            self.sample(elapsed, group)

    def sample(self, elapsed: float, group: ProcessGroup) -> None:
        """Take a sample; raises MbrlError if a node has ended."""
        try:
            nodes = {name: asdict(resource_usage(child.process.pid)) for name, child in group.children.items()}
        except MbrlError:
            group.check()
            raise
        sample = {
            "elapsed_s": elapsed,
            **self._stats.counts(),
            "worst_lateness_ms": self._stats.take_worst_ms(),
            "log_mib": _size(self._config.folder) / MIB,
            "nodes": nodes,
        }
        self.samples.append(sample)
        self._file.write(json.dumps(sample, allow_nan=False) + "\n")
        self._file.flush()

    def summary(self) -> dict[str, Any]:
        """The whole run: size of the log, and memory, threads and files by node."""
        if not self.samples:
            return {"samples": 0, "log_mib": 0.0, "nodes": {}}
        last, times = self.samples[-1], [sample["elapsed_s"] for sample in self.samples]
        nodes = {}
        for name in last["nodes"]:
            rows = [sample["nodes"][name] for sample in self.samples]
            nodes[name] = {
                key: {"first": rows[0][key], "last": rows[-1][key], "highest": max(row[key] for row in rows)}
                for key in rows[0]
            }
            found = trend(times, [row["pss_mib"] for row in rows])
            nodes[name]["memory"] = {
                "slope_mib_per_h": found.slope,
                "scatter_mib": found.spread,
                "verdict": found.verdict,
            }
        return {"samples": len(self.samples), "log_mib": last["log_mib"], "nodes": nodes}


def run(
    task: str = "baoding",
    *,
    minutes: float = 60.0,
    rate: float | None = None,
    stress_cores: int = 0,
    realtime: bool = True,
    model: str = "current",
    seed: int = 0,
    hand: SimulatedHand | None = None,
    json_file: Path | None = None,
    on_begin: Callable[[float, Path], None] = lambda every, file: None,
    on_progress: Callable[[float, LoopTimingStats], None] = lambda elapsed, stats: None,
) -> dict[str, Any]:
    """Run the nodes for `minutes`; episodes and samples are kept in a new folder below soak/ of MBRL_HOME.

    Returns the report. A node that fails and Ctrl-C end the run early: `ended` is then the error's text or INTERRUPTED,
    else FINISHED.

    Args:
        task: name of the task.
        minutes: length of the run.
        rate: of the loop, Hz; None for the model's own.
        stress_cores: number of processes that load the machine meanwhile.
        realtime: ask the system for SCHED_FIFO and locked memory.
        model: model version.
        seed: seed of the planner and of the simulated hand.
        hand: that is simulated; None: the task's own.
        json_file: where the report is written, at the start and at the end.
        on_begin: called with the time between samples (s) and their file.
        on_progress: called a few times a second with the time passed (s) and the figures so far.

    Raises:
        MbrlError: the nodes cannot be run, or a file cannot be written.
    """
    seconds = 60.0 * minutes
    config = timed_config(
        "soak", task, home_dir() / "soak", rate=rate, realtime=realtime, model=model, seed=seed, hand=hand
    )
    stats = LoopTimingStats(1.0 / config.rate)
    report = describe(config, stress_cores, realtime) | {"minutes": minutes, "ended": "not yet"}
    if json_file is not None:
        write_json(json_file, report)  # an error here comes before the hours, not after
    every = min(max(SHORTEST_S, seconds / SAMPLES), LONGEST_S)
    with ExitStack() as stack:
        file = _open(config.log_dir / f"{config.session}.jsonl", stack)
        on_begin(every, Path(file.name))
        log = SoakLog(config, stats, every, file)

        def each(elapsed: float, group: ProcessGroup) -> None:
            log.sample_if_due(elapsed, group)
            on_progress(elapsed, stats)

        try:
            finished = run_timed(config, stats, seconds, report, each, lambda group: log.sample(seconds, group))
            report["ended"] = FINISHED if finished else INTERRUPTED
        except MbrlError as error:
            report["ended"] = str(error)
    report |= stats.summary() | log.summary()
    report |= {"seconds": stats.seconds, "folder": str(config.folder), "progress": file.name}
    if json_file is not None:
        write_json(json_file, report)
    return report


def _open(path: Path, stack: ExitStack) -> IO[str]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return stack.enter_context(path.open("w"))
    except OSError as error:
        raise MbrlError(f"{path}: cannot be written: {error.strerror}") from error


def _size(folder: Path) -> int:
    """Bytes in all files below `folder`; without those renamed at this moment."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size
        except OSError:
            continue
    return total
