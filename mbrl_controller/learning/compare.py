# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Several runs side by side: a row for each evaluation, with mean and range over runs with equal options."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from mbrl_controller.base.deprecated import silent, with_new_names_within
from mbrl_controller.base.errors import MbrlError
from mbrl_controller.base.run_folder import PLAN_FILE
from mbrl_controller.learning import plots
from mbrl_controller.learning.config import RENAMED
from mbrl_controller.learning.log import LOG_FILE, Row, StepKind
from mbrl_controller.learning.shown_figures import ShownFigure, metrics_of, shown_figures


@dataclass(frozen=True)
class ComparedRun:
    """A run, and the name of its group: the options in which its plan differs from others, except the seed."""

    folder: Path
    plan: dict[str, Any]
    rows: list[Row]
    group: str


def compare_runs(paths: Sequence[Path]) -> list[ComparedRun]:
    """The runs at or directly below `paths`; raises MbrlError where there is none."""
    folders = [f for path in paths for f in ([path] if (path / LOG_FILE).exists() else sorted(path.glob("*")))]
    folders = [f for f in folders if (f / LOG_FILE).exists()]
    if not folders:
        raise MbrlError(f"{', '.join(map(str, paths))}: no learning run with a log")
    plans = [_plan(folder) for folder in folders]
    names = _groups(plans)
    return [
        ComparedRun(folder, plan, plots.rows_of(folder), name)
        for folder, plan, name in zip(folders, plans, names, strict=True)
    ]


def plot(path: Path, found: Sequence[ComparedRun]) -> None:
    """Draw a band for each group."""
    groups = _by_group(found)
    shown = list(dict.fromkeys(figure for runs in groups.values() for figure in _shown(runs)))
    plots.draw_bands(path, {name: [plots.evaluations(f.rows) for f in runs] for name, runs in groups.items()}, shown)


def tables(found: Sequence[ComparedRun]) -> list[Table]:
    """A table for each group: by evaluation, mean and range over its runs."""
    return [_table(name, runs) for name, runs in _by_group(found).items()]


def report(found: Sequence[ComparedRun]) -> dict[str, Any]:
    """Groups of runs with their evaluations, for a file."""
    return {
        name: {
            str(f.folder): [row.model_dump(mode="json", exclude_none=True) for row in plots.evaluations(f.rows)]
            for f in runs
        }
        for name, runs in _by_group(found).items()
    }


def _table(name: str, runs: Sequence[ComparedRun]) -> Table:
    seeds = ", ".join(str(f.plan["seed"]) for f in runs)
    shown = _shown(runs)
    titles = [f"{figure.label} {'%' if figure.share else figure.unit}".rstrip() for figure in shown]
    drops = [_drops(f.rows) for f in runs]  # by round
    counted = [by_round for by_round in drops if by_round]
    columns = ("round", "env steps", "robot min", "wall min", *(["drops"] if counted else []), *titles)
    title = f"{name}: {len(runs)} run{'s' * (len(runs) > 1)}, seed {seeds}; mean (lowest..highest)"
    table = Table(*columns, title=title, box=None, title_justify="left")
    by_round: dict[int, list[Row]] = {}
    for f in runs:
        for row in plots.evaluations(f.rows):
            by_round.setdefault(row.round, []).append(row)
    for number, rows in sorted(by_round.items()):
        values = [
            [float(r.env_steps) for r in rows],
            [r.robot_minutes for r in rows],
            [r.total_s / 60 for r in rows],
            *([[float(by_round.get(number, 0)) for by_round in counted]] if counted else []),
            *(
                [r.figures()[one.key] * (100 if one.share else 1) for r in rows if one.key in r.figures()]
                for one in shown
            ),
        ]
        table.add_row(f"{number}" if len(rows) == len(runs) else f"{number} ({len(rows)})", *map(_cell, values))
    return table


def _drops(rows: Sequence[Row]) -> dict[int, int]:
    """The episodes that were dropped on the way to each evaluation; empty for a run that did not count them, or that
    has no version to start from: its first random motion drops nearly all, which says nothing."""
    if all(row.dropped is None for row in rows) or not any(row.step is StepKind.START for row in rows):
        return {}
    found, dropped = {}, 0
    for row in rows:
        dropped += row.dropped or 0
        if row.step is StepKind.EVALUATE:
            found[row.round] = dropped
    return found


def _shown(runs: Sequence[ComparedRun]) -> list[ShownFigure]:
    """The figures of a group, whose runs have one task, as far as any evaluation has them."""
    rows = [row for f in runs for row in plots.evaluations(f.rows)]
    known = {key for row in rows for key in row.figures()}
    shown = shown_figures(metrics_of(str(runs[0].plan.get("contract", ""))), rows)
    return [figure for figure in shown if figure.key in known]


def _cell(values: list[float]) -> str:
    if not values:
        return ""
    mean, low, high = float(np.mean(values)), min(values), max(values)
    return f"{mean:.4g}" if low == high else f"{mean:.4g} ({low:.3g}..{high:.3g})"


def _by_group(found: Sequence[ComparedRun]) -> dict[str, list[ComparedRun]]:
    groups: dict[str, list[ComparedRun]] = {}
    for f in found:
        groups.setdefault(f.group, []).append(f)
    return groups


def _plan(folder: Path) -> dict[str, Any]:
    try:
        plan = json.loads((folder / PLAN_FILE).read_text())
    except (OSError, ValueError) as error:
        raise MbrlError(f"{folder / PLAN_FILE}: cannot be read: {error}") from error
    if not isinstance(plan, dict) or "seed" not in plan:
        raise MbrlError(f"{folder / PLAN_FILE}: not the plan of a learning run")
    return dict(with_new_names_within(plan, RENAMED, warn=silent))


def _groups(plans: Sequence[dict[str, Any]]) -> list[str]:
    """A name for each plan's group: its task, and the options in which the plans differ, the seed aside.

    A behaviour that a plan lacks counts as one without episodes, and the name says only that.
    """
    unnamed = [plan for plan in plans if "label" not in plan]
    names = iter(_learning_groups(unnamed))
    return [str(plan["label"]) if "label" in plan else next(names) for plan in plans]


def _learning_groups(plans: Sequence[dict[str, Any]]) -> list[str]:
    """Names of groups of `mbrl learn`; a run of `mbrl policy` has a label of its own."""
    own = [{b["name"]: b for b in plan.get("collect", ())} for plan in plans]
    none = {name: {**b, "episodes": 0} for behaviours in own for name, b in behaviours.items()}
    flat = [dict(_leaves({**plan, "collect": {**none, **has}})) for plan, has in zip(plans, own, strict=True)]
    names = sorted({name for plan in flat for name in plan} - {"seed", "task", "contract"})
    differing = [name for name in names if len({json.dumps(plan.get(name)) for plan in flat}) > 1]
    return [
        " ".join([str(plan["task"]), *(f"{name}={json.dumps(plan.get(name))}" for name in differing)]) for plan in flat
    ]


def _leaves(value: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    leaves: list[tuple[str, Any]] = []
    for name, item in value.items():
        leaves += _leaves(item, f"{prefix}{name}.") if isinstance(item, dict) else [(f"{prefix}{name}", item)]
    return leaves
