# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The yardstick: episodes on fixed seeds in lockstep, without ROS, and the figures that are compared."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.base.files import write_json
from mbrl_controller.base.os_process import usable_cores
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.models.registry import Registry
from mbrl_controller.rollouts.config import Who, prepare
from mbrl_controller.rollouts.episode import EpisodeRecord
from mbrl_controller.rollouts.pool import episode_pool
from mbrl_controller.rollouts.statistics import bootstrap, wilson


def run(
    task: str,
    *,
    episodes: int = 20,
    seed: int = 0,
    processes: int | None = None,
    json_file: Path | None = None,
    on_card: bool = False,
    on_episode: Callable[[EpisodeRecord], None] = lambda record: None,
    **who: Any,
) -> dict[str, Any]:
    """Evaluate on the seeds `seed ... seed + episodes - 1`; returns (and writes to `json_file`) the figures.

    `on_card` also keeps them on the version's card. `who`: fields of plans.Who. Raises MbrlError for anything that
    does not exist or fit.
    """
    if episodes < 1:
        raise MbrlError(f"episodes must be at least 1, got {episodes}")
    asked = Who(task, **who)
    prepared = prepare(asked)
    plan = prepared.plan
    with episode_pool(plan, min(episodes, processes or usable_cores())) as run_all:
        records = []
        for record in run_all(list(range(seed, seed + episodes))):
            on_episode(record)
            records.append(record)
    report = {
        "task": task,
        "model": prepared.version,
        "dynamics": asked.dynamics,
        "backend": asked.backend if plan.model is not None else None,
        "precision": prepared.precision or None,
        "precision_fallback": prepared.fallback or None,
        "policy": asked.policy,
        "planner": asked.planner if asked.policy == "controller" else None,
        "planner_options": plan.planner_options,
        "core": plan.core.model_dump(),
        "sim": asked.sim,
        "goal_options": plan.goal_options,
        "seed": seed,
        **summarise(records, prepared.contract),
        "machine": f"{platform.machine()}, {usable_cores()} cores, Python {platform.python_version()}",
    }
    if json_file is not None:
        write_json(json_file, report)
    if on_card:
        if not prepared.precision:
            raise MbrlError("only a learned model has a card to keep the figures on")
        figures = {k: float(v) for k, v in report.items() if isinstance(v, int | float) and np.isfinite(v)}
        Registry(asked.models_dir).record_evaluation(task, prepared.version, figures, prepared.precision)
    return report


def summarise(records: Sequence[EpisodeRecord], contract: RobotContract) -> dict[str, Any]:
    """Figures over episodes; each `x_ci95` is a 95 % interval: Wilson for rates, bootstrap for means and medians."""
    metrics = [record.metrics for record in records]
    kept = [not m.dropped for m in metrics]
    turned = np.array([m.degrees_turned for m in metrics])
    figures: dict[str, Any] = {"episodes": len(records)}

    def over(name: str, values: Any, statistic: Any) -> None:
        figures[name] = float(statistic(values))
        figures[f"{name}_ci95"] = bootstrap(values, statistic)

    def rate(name: str, hits: Sequence[bool]) -> None:
        figures[name] = float(np.mean(hits))
        figures[f"{name}_ci95"] = wilson(int(np.sum(hits)), len(hits))

    over("return_mean", [m.episode_return for m in metrics], np.mean)
    over("time_kept_median_s", [m.time_kept for m in metrics], np.median)
    over("degrees_turned_median", turned, np.median)
    over("goal_error_median", [m.goal_error for m in metrics], np.median)
    over("final_goal_error_median", [m.final_goal_error for m in metrics], np.median)
    figures["goal_error_unit"] = contract.task.goal_unit
    rate("kept_rate", kept)
    rate("success_90", [k and bool(t >= 90) for k, t in zip(kept, turned, strict=True)])
    rate("success_180", [k and bool(t >= 180) for k, t in zip(kept, turned, strict=True)])
    rate("goal_rate", [m.goal_reached for m in metrics])
    over("plan_ms_median", 1e3 * np.concatenate([r.plan_s for r in records]), np.median)
    return figures
