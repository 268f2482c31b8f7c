# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""`mbrl benchmark planner`: the parts one after the other, and the report they make together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mbrl_controller.base import machine
from mbrl_controller.base.errors import MbrlError
from mbrl_controller.base.files import write_json
from mbrl_controller.benchmark import anytime, backends, control_quality, external, latency, load, memory
from mbrl_controller.benchmark.settings import Settings, Table
from mbrl_controller.benchmark.subprocess_run import reason

HEADLINES = ("plan_cpu_ms", "gemm_fp32_cpu_ms", "ratio_to_gemm", "speedup_over_fastest_peer")  # null: not measured


def _rows(figures: dict[str, Any]) -> list[Table]:
    return [("", figures["rows"])] if figures["rows"] else []


@dataclass(frozen=True)
class Part:
    """One part of the benchmark."""

    run: Callable[[Settings], dict[str, Any]]
    tables: Callable[[dict[str, Any]], list[Table]] = _rows  # of what `run` returned


# In the order in which they run; each is also a key of the report.
PARTS = {
    "latency": Part(latency.run, latency.tables),
    "peers": Part(external.run),
    "torch": Part(backends.run),
    "memory": Part(memory.run, memory.tables),
    "anytime": Part(anytime.run, anytime.tables),
    "load": Part(load.run, load.tables),
    "quantised": Part(control_quality.quantised, control_quality.quantised_tables),
    "samples": Part(control_quality.samples, control_quality.samples_tables),
}


def chosen(names: Sequence[str] | None) -> list[str]:
    """The parts asked for, in their own order; None or none: all. Raises MbrlError for an unknown one."""
    unknown = sorted(set(names or ()) - set(PARTS))
    if unknown:
        raise MbrlError(f"unknown part {', '.join(map(repr, unknown))}; known: {', '.join(PARTS)}")
    return [name for name in PARTS if not names or name in names]


def run(
    settings: Settings,
    parts: Sequence[str] | None = None,
    json_file: Path | None = None,
    on_begin: Callable[[str], None] = lambda name: None,
    on_part: Callable[[str, dict[str, Any]], None] = lambda name, figures: None,
    on_machine: Callable[[dict[str, Any]], None] = lambda found: None,
) -> dict[str, Any]:
    """Measure `parts`; returns the report, and writes it to `json_file` at the start and after each part.

    A part that cannot be measured is `{"skipped": why}`, and the others go on. `unfinished` names the parts to come: a
    benchmark that was killed leaves what is done.
    """
    names = chosen(parts)
    settings = replace(settings, json_file=json_file)
    report: dict[str, Any] = {"machine": machine.describe(), "task": settings.task, "quick": settings.quick}
    on_machine(report["machine"])
    report |= dict.fromkeys(HEADLINES)
    report |= {"peers": {}, "peers_missing": {}}

    def write(unfinished: list[str]) -> None:
        report["unfinished"] = unfinished
        if json_file is not None:
            write_json(json_file, report)

    write(names)
    for i, name in enumerate(names):
        on_begin(name)
        try:
            figures = PARTS[name].run(settings)
            if name == "samples" and settings.plot is not None:
                from mbrl_controller.benchmark.plots import plot_samples

                plot_samples(figures["rows"], settings.plot)
        except (MbrlError, ModuleNotFoundError, OSError) as error:
            figures = {"skipped": reason(error)}
        _enter(report, name, figures)
        write(names[i + 1 :])
        on_part(name, figures)
    return report


def _enter(report: dict[str, Any], name: str, figures: dict[str, Any]) -> None:
    """Put a part's figures into the report, and what follows from them to its top."""
    if name == "peers":
        skipped = {"all": figures["skipped"]} if "skipped" in figures else {}
        report |= {"peers": figures.get("cpu_ms", {}), "peers_missing": figures.get("missing", skipped)}
        report["peer_rows"] = figures.get("rows", [])
    else:
        report[name] = figures
    if name == "latency":
        report |= latency.headline(figures)
    if report["peers"] and report["plan_cpu_ms"]:
        report["speedup_over_fastest_peer"] = min(report["peers"].values()) / report["plan_cpu_ms"]
