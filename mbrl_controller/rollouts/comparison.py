# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Two ways of acting on the same seeds: what one episode brought beside the other."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.rollouts.episode import EpisodeTrajectory
from mbrl_controller.rollouts.statistics import bootstrap

PerEpisode = Mapping[str, Sequence[Any]]  # values by name, each in the order of the seeds


def per_episode(episodes: Sequence[EpisodeTrajectory]) -> dict[str, list[Any]]:
    """What a report keeps of its episodes: `seed`, `return`, `kept` and the task's metrics, NaN where one has none."""
    metrics = [episode.metrics for episode in episodes]
    names = sorted({name for m in metrics for name in m.values})
    return {
        "seed": [episode.seed for episode in episodes],
        "return": [float(m.episode_return) for m in metrics],
        "kept": [not m.dropped for m in metrics],
        **{name: [float(m.values.get(name, np.nan)) for m in metrics] for name in names},
    }


def paired(one: PerEpisode, two: PerEpisode, names: tuple[str, str]) -> dict[str, Any]:
    """Differences two - one of episodes on the same seeds, with 95 % bootstrap intervals over the pairs.

    Args:
        one, two: of the same seeds in the same order.
        names: of the two, for how many episodes each alone kept.

    Returns:
        For `return` and each metric of the task that both have, `NAME_difference` (mean) and `NAME_difference_ci95`;
        `only_NAME_kept`, episodes.

    Raises:
        MbrlError: other seeds.
    """
    if list(one["seed"]) != list(two["seed"]):
        raise MbrlError(f"{names[0]} and {names[1]} differ in seeds: {_span(one)} and {_span(two)}")
    figures: dict[str, Any] = {}
    for name in (name for name in one if name in two and name not in ("seed", "kept")):
        difference = np.array(two[name], dtype=float) - np.array(one[name], dtype=float)
        difference = difference[np.isfinite(difference)]
        if len(difference):
            figures[f"{name}_difference"] = float(difference.mean())
            figures[f"{name}_difference_ci95"] = bootstrap(difference, np.mean)
    kept = list(zip(one["kept"], two["kept"], strict=True))
    figures[f"only_{names[0]}_kept"] = kept.count((True, False))
    figures[f"only_{names[1]}_kept"] = kept.count((False, True))
    return figures


def compare_reports(first: Path, others: Sequence[Path]) -> list[dict[str, Any]]:
    """A row for each other report of `mbrl evaluate --json`: its differences, this less the first; raises MbrlError."""
    reference = _read(first)
    rows = []
    for file in others:
        report = _read(file)
        if report["task"] != reference["task"]:
            raise MbrlError(f"{file}: of task {report['task']}, and {first} of {reference['task']}")
        try:
            figures = paired(reference["per_episode"], report["per_episode"], ("first", "this"))
        except MbrlError as error:
            raise MbrlError(f"{file}: {error}") from error
        rows.append({"report": str(file), "episodes": len(report["per_episode"]["seed"]), **figures})
    return rows


def _read(file: Path) -> dict[str, Any]:
    try:
        report: dict[str, Any] = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise MbrlError(f"{file}: cannot be read: {error}") from error
    columns = report.get("per_episode") if isinstance(report, dict) else None
    if not isinstance(columns, dict) or not {"seed", "return", "kept"} <= set(columns) or "task" not in report:
        raise MbrlError(f"{file}: is no report of single episodes: mbrl evaluate --json {file} writes one")
    if len({len(values) for values in columns.values()}) != 1:
        raise MbrlError(f"{file}: per_episode: values of unequal numbers of episodes")
    return report


def _span(values: PerEpisode) -> str:
    seeds = list(values["seed"])
    return f"{len(seeds)} from {seeds[0]}" if seeds else "none"
