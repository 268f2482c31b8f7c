# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Rows of figures as a table on stdout."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mbrl_controller.base.console import console

FILE_WIDTH = 160  # characters of a line where no terminal says how many it has
_PERCENTILE = re.compile(r"(.+)_(p\d+)")


def print_rows(title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Print rows of plain values, one column for each key that any of them has; percentiles of one figure share one."""
    table = Table(title=escape(title), box=None, title_justify="left", padding=(0, 2, 0, 0))
    columns = _columns(rows)
    for title, keys in columns.items():
        text = any(isinstance(row.get(key), str) for row in rows for key in keys)
        table.add_column(title, justify="left" if text else "right", overflow="fold")
    for row in rows:
        table.add_row(*(" / ".join(_text(row[k]) for k in keys if k in row) for keys in columns.values()))
    (console if console.is_terminal else Console(width=FILE_WIDTH)).print(table)


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
