# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Evaluation: episodes on fixed seeds, without ROS, and the metrics over them."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from mbrl_controller.base.engine import PROCESSES
from mbrl_controller.base.errors import MbrlError
from mbrl_controller.base.files import write_json
from mbrl_controller.base.os_process import usable_cores
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.models.registry import Registry
from mbrl_controller.rollouts.comparison import per_episode
from mbrl_controller.rollouts.config import RolloutConfig, resolve
from mbrl_controller.rollouts.episode import EpisodeTrajectory
from mbrl_controller.rollouts.pool import EpisodePool
from mbrl_controller.rollouts.statistics import bootstrap, wilson
from mbrl_controller.tasks.metrics import measured, samples, specs_as_data


def run(
    config: RolloutConfig,
    *,
    episodes: int = 20,
    seed: int = 0,
    pool: EpisodePool | None = None,
    processes: int | None = None,
    on: str = PROCESSES,
    json_file: Path | None = None,
    on_card: bool = False,
    on_episode: Callable[[EpisodeTrajectory], None] = lambda episode: None,
) -> dict[str, Any]:
    """Evaluate a policy on fixed seeds and return the report.

    Args:
        config: policy, model, simulated hand and goals.
        episodes: how many.
        seed: the first; the others count up from it.
        pool: runs the episodes; None: a pool of `processes`.
        processes: None: one for each core, and no more than episodes.
        on: what they run on, as in base/engine.py.
        json_file: also write the report here.
        on_card: also keep the figures on the version's card.
        on_episode: called with each finished episode.

    Raises:
        MbrlError: something does not exist or fit.
    """
    if episodes < 1:
        raise MbrlError(f"episodes must be at least 1, got {episodes}")
    resolved = resolve(config)
    spec = resolved.spec
    own = EpisodePool(min(episodes, processes or usable_cores()), on) if pool is None else nullcontext(pool)
    with own as workers:
        trajectories = []
        for trajectory in workers.run(spec, range(seed, seed + episodes)):
            on_episode(trajectory)
            trajectories.append(trajectory)
    report = {
        "task": config.task,
        "model": resolved.version,
        "dynamics": config.dynamics,
        "backend": config.backend if spec.model is not None else None,
        "precision": resolved.precision or None,
        "precision_fallback": resolved.fallback or None,
        "policy": spec.policy,
        "planner": config.planner if spec.policy == "controller" else None,
        "planner_options": spec.planner_options,
        "late_share": spec.late_share or None,
        "core": spec.core.model_dump(),
        "sim": config.sim,
        "world": resolved.world,
        "goal_options": spec.goal_options,
        "seed": seed,
        **summarise(trajectories, resolved.contract),
        "per_episode": per_episode(trajectories),
        "machine": f"{platform.machine()}, {usable_cores()} cores, Python {platform.python_version()}",
    }
    if json_file is not None:
        write_json(json_file, report)
    if on_card:
        if not resolved.precision or spec.policy != "controller" or config.late_share:
            raise MbrlError(
                "a card keeps the figures of a learned model that plans in time, and no others (--policy controller)"
            )
        figures = {k: float(v) for k, v in report.items() if isinstance(v, int | float) and np.isfinite(v)}
        Registry(config.models_dir).record_evaluation(config.task, resolved.version, figures, resolved.precision)
    return report


def summarise(episodes: Sequence[EpisodeTrajectory], contract: RobotContract) -> dict[str, Any]:
    """Figures over episodes, those of the task's metrics among them, which `metrics` describes.

    Each `x_ci95` is a 95 % interval: Wilson for shares, bootstrap for means and medians.
    """
    metrics = [episode.metrics for episode in episodes]
    figures: dict[str, Any] = {"episodes": len(episodes)}

    def over(name: str, values: Any, statistic: Any) -> None:
        figures[name] = float(statistic(values))
        figures[f"{name}_ci95"] = bootstrap(values, statistic)

    def rate(name: str, hits: Any) -> None:
        figures[name] = float(np.mean(hits))
        figures[f"{name}_ci95"] = wilson(int(np.sum(hits)), len(hits))

    over("return_mean", [m.episode_return for m in metrics], np.mean)
    over("time_kept_median_s", [m.time_kept for m in metrics], np.median)
    rate("kept_rate", [not m.dropped for m in metrics])
    rate("goal_rate", [m.goal_reached for m in metrics])
    specs = measured(contract.task.metric_specs, metrics)
    for key, values in samples(specs, metrics):
        if values.dtype == bool:
            rate(key, values)
        elif len(values):  # a metric that has no value has no figure
            over(key, values, np.median)
    figures |= {f"{metric.name}_unit": metric.unit for metric in specs}
    over("plan_ms_median", 1e3 * np.concatenate([e.plan_s for e in episodes]), np.median)
    figures |= _of_the_controller(episodes)
    figures["metrics"] = specs_as_data(specs)
    return figures


def _of_the_controller(episodes: Sequence[EpisodeTrajectory]) -> dict[str, Any]:
    """What its plans took, and where its commands came from; nothing where no controller acted.

    `policy_ms_median` is the policy's network alone: the model's look at what it does is in `plan_ms_median`.
    """
    sources = Counter(source for episode in episodes for source in episode.sources)
    if not sources:
        return {}
    figures: dict[str, Any] = {"command_sources": dict(sorted(sources.items()))}
    evaluations = [e.network_evaluations for e in episodes if e.network_evaluations is not None]
    corrections = [e.corrections for e in episodes if e.corrections is not None]
    if corrections:
        figures["corrections_mean"] = float(np.concatenate(corrections).mean())
    if evaluations:
        figures["network_evaluations_mean"] = float(np.concatenate(evaluations).mean())
    policy = np.concatenate([e.policy_s for e in episodes if e.policy_s is not None] or [np.zeros(0)])
    if np.isfinite(policy).any():
        figures["policy_ms_median"] = 1e3 * float(np.nanmedian(policy))
    return figures
