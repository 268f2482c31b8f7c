# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The record of a grid: what was compared, the figures with their intervals, and the verdicts; without any times, so
that a repetition gives the same bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mbrl_controller.learning.grid_cell import Values
from mbrl_controller.learning.grid_plan import GridPlan
from mbrl_controller.learning.grid_statistics import Estimate, Runs, difference, estimate, overall, verdict
from mbrl_controller.tasks.metrics import SHARED, Metric, direction

HOLD = "hold"
SHOWN = 3  # figures in a table, the chosen one first
NOT_FIGURES = ("seed", "network_evaluations")


@dataclass(frozen=True)
class Judged:
    """An arm's episodes so far, by the seed of its runs."""

    name: str
    runs: dict[int, list[Values]]


def record(
    plan: GridPlan,
    arms: Sequence[Judged],
    hold: Sequence[Values],
    specs: Sequence[Metric],
    about: Mapping[str, Any],
) -> dict[str, Any]:
    """All figures as data for a file.

    Args:
        plan: of the grid.
        arms: what was judged, in the plan's order.
        hold: episodes of the baseline that does nothing.
        specs: the task's metrics.
        about: what else decides the figures: version or data, machine.
    """
    metric, margin = plan.evaluate.metric, plan.evaluate.margin
    better = better_of(specs, metric)
    names = figure_names([*(arm.runs for arm in arms), {0: hold}], metric)
    rows, first = [], arms[0].runs
    for arm, judged in zip(plan.arms, arms, strict=True):
        apart = None if judged is arms[0] else difference(judged.runs, first, metric)
        rows.append({
            "arm": arm.name,
            "set": arm.options,
            **_figures(judged.runs, names),
            "difference": _data(apart),
            "expect": arm.expect,
            "verdict": verdict(apart, arm.expect, better, margin),
        })  # fmt: skip
    return {
        "claim": plan.claim,
        "verdict": overall([row["verdict"] for row in rows]),
        "task": plan.task,
        "from": str(plan.source.kind),
        "set": plan.options,
        "seeds": list(plan.seeds),
        "evaluate": plan.evaluate.model_dump(),
        "better": "up" if better > 0 else "down",
        "unit": next((m.unit for m in specs if m.name == metric), ""),
        **about,
        "arms": rows,
        HOLD: _figures({0: hold}, names),
        # Of each episode, so that intervals and pairs can be computed anew.
        "values": {
            arm.name: {
                str(seed): [_short(e[metric]) for e in episodes if metric in e] for seed, episodes in arm.runs.items()
            }
            for arm in [*arms, Judged(HOLD, {0: list(hold)})]
        },
    }


def better_of(specs: Sequence[Metric], figure: str) -> int:
    """1 where more of a figure is better, -1 where less is; raises ValueError where nobody says."""
    own = {metric.name: metric.median_key for metric in specs}
    return direction(specs, own.get(figure, figure))


def figure_names(runs: Sequence[Runs], metric: str) -> list[str]:
    """The figures that any episode has: the chosen one, those of all tasks, the task's own."""
    found = dict.fromkeys(name for one in runs for episodes in one.values() for e in episodes for name in e)
    return list(dict.fromkeys([metric, *SHARED, *(name for name in found if name not in NOT_FIGURES)]))


def table(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The record as rows to print: each arm, and the baseline."""
    metric = found["evaluate"]["metric"]
    rows = [_row(row["arm"], row, metric) for row in found["arms"]]
    return [*rows, _row("(do nothing)", found[HOLD], metric)]


def _row(name: str, row: Mapping[str, Any], metric: str) -> dict[str, Any]:
    figures, apart = row["figures"], row.get("difference")
    shown = [metric, *(key for key in SHARED if key != metric)][:SHOWN]
    cells: dict[str, Any] = {"arm": name}
    for key in (key for key in shown if key in figures):
        cells[key] = figures[key]["mean"]
        if key == metric:
            cells["95 % interval"] = figures[key]["ci95"]
    cells["runs x episodes"] = f"{row['runs']} x {row['episodes']}"
    cells["networks a plan"] = row["network_evaluations"]
    cells["from the first"] = apart and apart["mean"]
    cells["its interval"] = apart and apart["ci95"]
    cells["verdict"] = f"{row['expect'].replace('_', ' ')}: {row['verdict']}" if row.get("verdict") else ""
    return cells


def _figures(runs: Runs, names: Sequence[str]) -> dict[str, Any]:
    known = {name: estimate(runs, name) for name in names}
    evaluations = estimate(runs, "network_evaluations")
    sizes = [len(episodes) for episodes in runs.values()]
    return {
        "runs": len(runs),
        "episodes": max(sizes, default=0),
        "figures": {name: _data(one) for name, one in known.items() if one is not None},
        "network_evaluations": None if evaluations is None else _short(evaluations.mean),
    }


def _data(found: Estimate | None) -> dict[str, Any] | None:
    """Rounded: a record is read by people, too."""
    if found is None:
        return None
    intervals = {"ci95": found.ci95, "episodes_ci95": found.episodes_ci95}
    return {"mean": _short(found.mean)} | {name: [_short(bound) for bound in ends] for name, ends in intervals.items()}


def _short(value: float) -> float:
    return float(f"{value:.6g}")
