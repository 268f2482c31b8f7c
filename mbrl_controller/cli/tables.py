# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Results as tables on stdout."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mbrl_controller.cli.console import console, error_console, say
from mbrl_controller.tasks.metrics import specs_in

if TYPE_CHECKING:
    from mbrl_controller.training.retrain import RetrainResult

FILE_WIDTH = 160  # characters per line if stdout is not a terminal
INTERVAL = "_ci95"
_PERCENTILE = re.compile(r"(.+)_(p\d+)")


def print_rows(title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Print rows of plain values: a column for each key of any row, and one for all percentiles of a quantity."""
    table = Table(title=escape(title), box=None, title_justify="left", padding=(0, 2, 0, 0))
    columns = _columns(rows)
    for title, keys in columns.items():
        text = any(isinstance(row.get(key), str) for row in rows for key in keys)
        table.add_column(title, justify="left" if text else "right", overflow="fold")
    for row in rows:
        table.add_row(*(" / ".join(_text(row[k]) for k in keys if k in row) for keys in columns.values()))
    (console if console.is_terminal else Console(width=FILE_WIDTH)).print(table)


def print_entries(report: Mapping[str, Any], hidden: Sequence[str] = ()) -> None:
    """Print a line for each entry of `report`, without those that are None or `hidden`."""
    table = Table(show_header=False, box=None)
    for name, value in report.items():
        if value is not None and name not in hidden:
            table.add_row(name, f"{value:.4g}" if isinstance(value, float) else escape(str(value)))
    console.print(table)


def print_evaluation(report: Mapping[str, Any]) -> None:
    """Print an evaluation's figures with their 95 % intervals, units, and which way is better."""
    who = report["model"] if report["model"] == report["policy"] else f"{report['policy']} {report['model']}"
    title = f"{report['task']}, {who}, seeds from {report['seed']}"
    if report.get("precision"):
        title += f", {report['precision']}"
    if report.get("precision_fallback"):
        error_console.print(f"not in 8 bit: {report['precision_fallback']}", markup=False, soft_wrap=True)
    table = Table("figure", "value", "95 % interval", "unit", "better", title=title, box=None, title_justify="left")
    about = {metric.median_key: (metric.unit, metric.better) for metric in specs_in(report)}
    for name, value in report.items():
        if isinstance(value, float) and math.isfinite(value):
            low, high = report.get(f"{name}{INTERVAL}", (math.nan, math.nan))
            interval = f"{low:.4g} to {high:.4g}" if math.isfinite(low) else ""
            table.add_row(name, f"{value:.4g}", interval, *about.get(name, ()))
    table.add_row("episodes", str(report["episodes"]))
    console.print(table)


def print_comparison(row: Mapping[str, Any]) -> None:
    """Print what one report says less another on the same seeds, with 95 % intervals."""
    ending = "_difference"
    print_rows(
        f"{row['report']} less the first, {row['episodes']} pairs; kept by the first alone: {row['only_first_kept']}, "
        f"by this alone: {row['only_this_kept']}",
        [
            {"figure": name.removesuffix(ending), "difference": value, "95 % interval": row[name + INTERVAL]}
            for name, value in row.items()
            if name.endswith(ending)
        ],
    )


def print_retrain(result: RetrainResult) -> None:
    """Print the new model's validation metrics beside its parent's, and the outcome."""
    if result.metrics:
        table = Table("held-out figure", "new", "parent", box=None)
        for name, value in result.metrics.items():
            before = result.baseline.get(name, math.nan)
            table.add_row(name, f"{value:.4g}", "" if math.isnan(before) else f"{before:.4g}")
        console.print(table)
    name = f"{result.version.task} {result.version.name} " if result.version else ""
    console.print(f"{name}{result.status}: {result.reason}", markup=False, soft_wrap=True)


def print_timing(report: Mapping[str, Any]) -> None:
    """Print how well the control loop kept time."""
    from mbrl_controller.stack.timing import PERCENTILES

    counts = {name: report[name] for name in ("ticks", "missed", "late_plans", "rows_lost")}
    rates = f"{report['rate_hz']:g} Hz" + (f", {report['busy_cores']} stress cores" if report["busy_cores"] else "")
    print_rows(f"{report['task']} {report['model']}, {rates}, {report['seconds']:.0f} s", [counts])
    print_rows(
        "times, ms",
        [
            {"what": name} | {key.replace("_", "."): report[f"{name}_{key}_ms"] for key in PERCENTILES}
            for name in ("lateness", "execution", "period")
        ],
    )
    asked = ", ".join(f"{name} {value}" for name, value in report["asked"].items())
    say(f"asked of the system: {asked}; refused: {'; '.join(report['refused']) or 'nothing'}")


def print_resources(report: Mapping[str, Any]) -> None:
    """Print what each node uses, and the size of the log."""
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
    print_rows(f"resources of the nodes, {report['samples']} samples; slopes of pss after the first fifth", rows)
    console.print(f"log: {report['log_mib']:.1f} MiB in {report['folder']}", soft_wrap=True)
    console.print(f"samples: {report['progress']}", soft_wrap=True)


def _columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Keys by the title of the column that shows them."""
    keys = list(dict.fromkeys(key for row in rows for key in row))
    groups: dict[str, list[str]] = {}
    for key in keys:
        match = _PERCENTILE.fullmatch(key)
        groups.setdefault(match[1] if match and match[1] not in keys else key, []).append(key)
    return {_title(name, members): members for name, members in groups.items()}


def _title(name: str, keys: list[str]) -> str:
    percentiles = " / ".join(match[2] for key in keys if key != name and (match := _PERCENTILE.fullmatch(key)))
    return f"{name} {percentiles}".strip().replace("_", " ")


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        if abs(value) < 0.01:
            return f"{round(value, 3) + 0.0:.3f}"  # the sum turns -0 into 0
        return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    if isinstance(value, list | tuple):
        return " to ".join(_text(item) for item in value)
    return escape(str(value))
