# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Tables and progress of the commands."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from mbrl_controller.base.console import console, error_console

INTERVAL = "_ci95"


@contextmanager
def progress_of_episodes(total: int) -> Iterator[Callable[[Any], None]]:
    """A bar on stderr; the callback takes each finished episode."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=error_console, transient=True) as progress:
        bar = progress.add_task("episodes", total=total)
        yield lambda record: progress.advance(bar)


def evaluation_table(report: dict[str, Any]) -> None:
    """Print an evaluation's figures with their 95 % intervals."""
    who = report["model"] if report["model"] == report["policy"] else f"{report['policy']} {report['model']}"
    title = f"{report['task']}, {who}, seeds from {report['seed']}"
    if report.get("precision"):
        title += f", {report['precision']}"
    if report.get("precision_fallback"):
        error_console.print(f"not in 8 bit: {report['precision_fallback']}", markup=False, soft_wrap=True)
    table = Table("figure", "value", "95 % interval", title=title, box=None, title_justify="left")
    for name, value in report.items():
        if isinstance(value, float) and math.isfinite(value):
            low, high = report.get(f"{name}{INTERVAL}", (math.nan, math.nan))
            table.add_row(name, f"{value:.4g}", f"{low:.4g} to {high:.4g}" if math.isfinite(low) else "")
    table.add_row("episodes", str(report["episodes"]), "")
    console.print(table)
