# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""`mbrl soak`: the service for hours, and whether it stays what it was: time kept, memory, threads, files, log."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from mbrl_controller.base.console import console
from mbrl_controller.base.errors import MbrlError
from mbrl_controller.base.files import write_json
from mbrl_controller.base.resources import home_dir
from mbrl_controller.base.tables import print_rows
from mbrl_controller.stack.launcher import STOP_ORDER, ServicePlan, run_service, watch
from mbrl_controller.stack.processes import ProcessGroup
from mbrl_controller.stack.resource_usage import footprint, trend
from mbrl_controller.stack.timed_run import describe, line, not_granted, plan_timed, show
from mbrl_controller.stack.timing import TickFigures

SAMPLES = 360  # in a run, as far as there are SHORTEST_S to LONGEST_S between them
SHORTEST_S, LONGEST_S = 0.5, 60.0
PLAIN_EVERY_S = 60.0
MIB = 2.0**20


class Soak:
    """Samples of a running service, each written to `file` as a line of JSON as soon as it is taken."""

    def __init__(self, plan: ServicePlan, figures: TickFigures, every: float, file: IO[str]) -> None:
        self.samples: list[dict[str, Any]] = []
        self._plan, self._figures, self._every, self._file = plan, figures, every, file
        self._due = 0.0

    def look(self, elapsed: float, group: ProcessGroup) -> None:
        """Take a sample if it is time for one, `elapsed` s after the start."""
        if elapsed >= self._due:
            self._due = elapsed + self._every
            self.take(elapsed, group)

    def take(self, elapsed: float, group: ProcessGroup) -> None:
        """Take a sample; raises MbrlError for a node that is gone."""
        try:
            nodes = {name: asdict(footprint(child.process.pid)) for name, child in group.children.items()}
        except MbrlError:
            group.check()
            raise
        sample = {
            "elapsed_s": elapsed,
            **self._figures.counts(),
            "worst_lateness_ms": self._figures.take_worst_ms(),
            "log_mib": _size(self._plan.folder) / MIB,
            "nodes": nodes,
        }
        self.samples.append(sample)
        self._file.write(json.dumps(sample, allow_nan=False) + "\n")
        self._file.flush()

    def summary(self) -> dict[str, Any]:
        """Figures of the whole run: the log, and for each node memory, threads and files."""
        if not self.samples:
            return {"samples": 0, "log_mib": 0.0, "nodes": {}}
        last, times = self.samples[-1], [sample["elapsed_s"] for sample in self.samples]
        nodes = {}
        for name in STOP_ORDER:
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
    busy_cores: int = 0,
    realtime: bool = True,
    model: str = "current",
    seed: int = 0,
    json_file: Path | None = None,
) -> dict[str, Any]:
    """Run the service for `minutes` at `rate` (Hz); print and return the figures (and write them to `json_file`).

    Episodes and samples are kept in a folder of their own below soak/ of MBRL_HOME. A node that fails ends the soak:
    what there is until then is reported, then MbrlError is raised. KeyboardInterrupt after an orderly stop.
    """
    seconds = 60.0 * minutes
    plan = plan_timed("soak", task, home_dir() / "soak", rate=rate, realtime=realtime, model=model, seed=seed)
    figures = TickFigures(1.0 / plan.rate)
    report = describe(plan, busy_cores, realtime) | {"minutes": minutes, "refused": [], "ended": "not yet"}
    failure: MbrlError | None = None
    if json_file is not None:
        write_json(json_file, report)  # what cannot be written is told before the hours and not after them
    with ExitStack() as stack:
        progress = _open(plan.log_dir / f"{plan.session}.jsonl", stack)
        every = min(max(SHORTEST_S, seconds / SAMPLES), LONGEST_S)
        console.print(f"samples, one each {every:g} s, in {progress.name}", soft_wrap=True)
        soak = Soak(plan, figures, every, progress)

        def control(group: ProcessGroup) -> None:
            from mbrl_controller.stack.monitor import ServiceMonitor

            with ServiceMonitor(plan.contract, figures.add) as monitor:
                monitor.prepare(group)
                monitor.begin(group)
                try:
                    watch(
                        seconds, group, lambda elapsed: line(elapsed, figures), plain_every=PLAIN_EVERY_S,
                        each=lambda elapsed: soak.look(elapsed, group),
                    )  # fmt: skip
                    monitor.catch_up(group)
                    soak.take(seconds, group)
                finally:
                    report["refused"] = not_granted(monitor.reports)

        try:
            finished = run_service(plan, control, busy_cores)
            report["ended"] = "in time" if finished else "interrupted"
        except MbrlError as error:
            failure = error
            report["ended"] = str(error)
    report |= figures.summary() | soak.summary()
    report |= {"seconds": figures.seconds, "folder": str(plan.folder), "progress": progress.name}
    show(report)
    show_nodes(report)
    if json_file is not None:
        write_json(json_file, report)
    if failure is not None:
        raise failure
    if report["ended"] == "interrupted":
        raise KeyboardInterrupt
    return report


def show_nodes(report: dict[str, Any]) -> None:
    """Print what each node took, and the log."""
    rows = []
    for name, node in report["nodes"].items():
        pss, threads, files, memory = (node[key] for key in ("pss_mib", "threads", "files", "memory"))
        rows.append({
            "node": name,
            "rss MiB": node["rss_mib"]["last"],
            "pss MiB": pss["last"],
            "highest": pss["highest"],
            "MiB/h": memory["slope_mib_per_h"],
            "scatter MiB": memory["scatter_mib"],
            "memory": memory["verdict"],
            "threads": f"{threads['first']} to {threads['last']}",
            "open files": f"{files['first']} to {files['last']}",
        })  # fmt: skip
    print_rows(f"what the nodes take, {report['samples']} samples; slopes of pss after the first fifth", rows)
    console.print(f"log: {report['log_mib']:.1f} MiB in {report['folder']}", soft_wrap=True)
    console.print(f"samples: {report['progress']}", soft_wrap=True)


def _open(path: Path, stack: ExitStack) -> IO[str]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return stack.enter_context(path.open("w"))
    except OSError as error:
        raise MbrlError(f"{path}: cannot be written: {error.strerror}") from error


def _size(folder: Path) -> int:
    """Bytes in all files below `folder`; those that are renamed meanwhile may be left out."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size
        except OSError:
            continue
    return total
