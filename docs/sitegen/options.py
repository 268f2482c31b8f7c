# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Every option that `mbrl options` lists."""

from __future__ import annotations

from mbrl_controller.base.option_rows import option_rows
from mbrl_controller.cli.option_groups import GROUPS, options_model
from mbrl_controller.planning.catalog import PLANNERS
from sitegen.tables import code, table

HIDDEN = ("task", "contract", "contract_folder")  # of learn: what the command's other arguments are


def markdown() -> str:
    """A table for each group, and for each planner."""
    parts = []
    for name, group in GROUPS.items():
        parts.append(f"## {name}\n\nFor {group.taken_by}.\n")
        if name != "planner":
            parts.append(_rows(name))
            continue
        for planner in PLANNERS:
            parts += [f"### {planner}\n", _rows(name, planner)]
    return "\n".join(parts)


def _rows(group: str, planner: str = "pddm") -> str:
    rows = [
        row for row in option_rows(options_model(group, planner)) if group != "learn" or row["option"] not in HIDDEN
    ]
    cells = [[code(r["option"]), code(r["default"]), r["range"], r["unit"], r["meaning"]] for r in rows]
    return table(("option", "default", "range", "unit", "meaning"), cells)
