# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""`mbrl benchmark planner`: the parts one after the other, and the report they make together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from mbrl_controller.base import machine
from mbrl_controller.base.console import console
from mbrl_controller.base.errors import MbrlError
from mbrl_controller.base.files import write_json
from mbrl_controller.base.tables import print_rows
from mbrl_controller.benchmark import latency
from mbrl_controller.benchmark.settings import Settings
from mbrl_controller.benchmark.subprocess_run import reason

Part = Callable[[Settings], dict[str, Any]]
HEADLINES = ("plan_cpu_ms", "gemm_fp32_cpu_ms", "ratio_to_gemm", "speedup_over_fastest_peer")  # null: not measured


def _of(module: str, function: str) -> Callable[..., Any]:
    """`function` of this folder's `module`, imported when it is called: parts need different packages."""
    return lambda *arguments: getattr(import_module(f"{__package__}.{module}"), function)(*arguments)


# In the order in which they run; each is also a key of the report.
PARTS: dict[str, Part] = {
    "latency": _of("latency", "run"),
    "peers": _of("peers_part", "run"),
    "torch": _of("torch_part", "run"),
    "memory": _of("memory", "run"),
    "anytime": _of("anytime", "run"),
    "load": _of("load", "run"),
    "quantised": _of("control_quality", "quantised"),
    "samples": _of("control_quality", "samples"),
}
# How a part's figures are printed; without an entry, their `rows` are.
SHOW: dict[str, Callable[[dict[str, Any]], None]] = {
    "latency": _of("latency", "show"),
    "memory": _of("memory", "show"),
    "anytime": _of("anytime", "show"),
    "load": _of("load", "show"),
    "quantised": _of("control_quality", "show_quantised"),
    "samples": _of("control_quality", "show_samples"),
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
    """Measure `parts`; returns the report, and writes it to `json_file` after each part.

    A part that cannot be measured is `{"skipped": why}`, and the others go on.
    """
    names = chosen(parts)
    settings = replace(settings, json_file=json_file)
    report: dict[str, Any] = {"machine": machine.describe(), "task": settings.task, "quick": settings.quick}
    on_machine(report["machine"])
    report |= dict.fromkeys(HEADLINES)
    report |= {"peers": {}, "peers_missing": {}}
    for name in names:
        on_begin(name)
        try:
            figures = PARTS[name](settings)
            if name == "samples" and settings.plot is not None:
                _of("plots", "plot_samples")(figures["rows"], settings.plot)
        except (MbrlError, ModuleNotFoundError, OSError) as error:
            figures = {"skipped": reason(error)}
        _enter(report, name, figures)
        if json_file is not None:
            write_json(json_file, report)
        on_part(name, figures)
    return report


def show(name: str, figures: dict[str, Any]) -> None:
    """Print a part's figures, or why there are none."""
    if "skipped" in figures:
        console.print(f"{name}: skipped: {figures['skipped']}", markup=False, soft_wrap=True)
    elif name in SHOW:
        SHOW[name](figures)
    elif figures["rows"]:
        print_rows(name, figures["rows"])
    for what, why in figures.get("missing", {}).items():
        console.print(f"{name}: without {what}: {why}", markup=False, soft_wrap=True)


def show_machine(found: dict[str, Any]) -> None:
    """Print what the figures are measured on."""
    for name, value in found.items():
        console.print(f"{name.replace('_', ' ')}: {value}", markup=False, highlight=False, soft_wrap=True)


def show_headlines(report: dict[str, Any]) -> None:
    """Print the figures that come first in the report, as far as they were measured."""
    for name in HEADLINES:
        if report[name] is not None:
            console.print(f"{name}: {report[name]:.3g}", markup=False, highlight=False)


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
