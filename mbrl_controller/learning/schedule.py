# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Which episodes a round collects: batches, each of one kind, with seeds that follow from the plan."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.episodes.reader import read_episode
from mbrl_controller.episodes.transitions import transitions
from mbrl_controller.learning.config import MAX_EPISODES, OWN_SEEDS, LearnPlan
from mbrl_controller.rollouts.config import RolloutConfig
from mbrl_controller.tasks.base import EpisodeMetrics
from mbrl_controller.training.dataset import episode_files

ROUND_SEEDS = 10_000  # set aside for a round
RANDOM_SEEDS = 2_500  # for each scale of random motion


@dataclass(frozen=True)
class EpisodeBatch:
    """Episodes of one kind: the name of their folder, how many, their first seed, and how they run.

    `rollout` does not name the model: the version that acts is known only when the round collects.
    """

    name: str
    episodes: int
    seed: int
    rollout: RolloutConfig


def first_seed(plan: LearnPlan, number: int) -> int:
    """The first seed of a round: a run's seeds are no other run's, and none that judges."""
    return OWN_SEEDS * (plan.seed + 1) + ROUND_SEEDS * number


def random_batches(plan: LearnPlan) -> list[EpisodeBatch]:
    """The motion before there is a model. Names sort as rounds were made, which the split of the data needs."""
    return [
        EpisodeBatch(
            f"r000-random{i}",
            plan.random_episodes,
            first_seed(plan, 0) + RANDOM_SEEDS * i,
            RolloutConfig(plan.task, policy="random", random_scale=scale, seconds=plan.random_seconds, sim=plan.sim),
        )
        for i, scale in enumerate(plan.random_scales)
    ]


def round_batches(plan: LearnPlan, contract: RobotContract, number: int, env_steps: int) -> list[EpisodeBatch]:
    """The batches of round `number` (from 1), which begins at `env_steps` of experience; none is empty."""
    batches = [
        EpisodeBatch(
            f"r{number:03d}-{behaviour.name}",
            plan.episodes_of(behaviour, env_steps, contract),
            first_seed(plan, number) + MAX_EPISODES * i,
            RolloutConfig(
                plan.task,
                planner=plan.planner_name,
                planner_options=plan.planner_of(behaviour),
                core=plan.core_of(behaviour),
                seconds=behaviour.seconds,
                sim=plan.sim,
                sim_options=behaviour.sim_options,
                goal_options=behaviour.goal_options,
                exploration=behaviour.exploration,
                precision=plan.precision,
            ),
        )
        for i, behaviour in enumerate(plan.collect)
    ]
    return [batch for batch in batches if batch.episodes]


def recent(plan: LearnPlan, number: int, by_round: list[list[Path]]) -> list[Path]:
    """The files that round `number` learns from: all, or so few older ones that `recent_share` are recent.

    `by_round`: the files of random motion, then of each round before this one.
    """
    old = [path for files in by_round[: -plan.recent_rounds] for path in files]
    new = [path for files in by_round[-plan.recent_rounds :] for path in files]
    if plan.recent_share:
        room = int(len(new) * (1 - plan.recent_share) / plan.recent_share)
        if room < len(old):
            chosen = np.random.default_rng([plan.seed, number, 7]).choice(len(old), room, replace=False)
            old = [old[i] for i in sorted(chosen)]
    return old + new


@dataclass(frozen=True)
class EpisodeFigures:
    """An episode as its file tells it."""

    steps: int  # commands within the episode
    metrics: EpisodeMetrics | None  # None: too little of it is usable


def episode_figures(path: Path, contract: RobotContract) -> EpisodeFigures:
    """Length and metrics of a logged episode, whoever logged it; raises EpisodeError."""
    episode = read_episode(path, contract)
    rows = transitions(episode)
    steps = len(episode.commands) - rows.skipped.get("outside the episode", 0)
    if not len(rows) or not len(episode.goals):
        return EpisodeFigures(steps, None)
    period = contract.action.period
    zero = int(episode.commands.stamps[0]) if episode.begin_ns is None else episode.begin_ns
    times = zero + np.round(np.append(rows.step, rows.step[-1] + 1) * period * 1e9).astype(np.int64)
    at = np.searchsorted(episode.goals.stamps, times + 1_000_000, side="right") - 1
    goals = episode.goals.values[np.clip(at, 0, None)]
    states = np.concatenate([rows.state, rows.next_state[-1:]])
    return EpisodeFigures(steps, contract.task.metrics(states, rows.action, goals, period))


def figures_below(folders: list[Path], contract: RobotContract) -> dict[str, Any]:
    """What a log row tells of the episodes below `folders`; `steps` is the number of commands in them."""
    found = [episode_figures(path, contract) for path in episode_files(folders)]
    metrics = [f.metrics for f in found if f.metrics is not None]
    figures: dict[str, Any] = {"steps": sum(f.steps for f in found), "episodes": len(found)}
    if not metrics:
        return figures
    kept = np.array([not m.dropped for m in metrics])
    turned = np.array([m.degrees_turned for m in metrics])
    return figures | {
        "kept_rate": float(kept.mean()),
        "degrees_turned_median": float(np.median(turned)),
        "success_90": float(np.mean(kept & (turned >= 90))),
        "success_180": float(np.mean(kept & (turned >= 180))),
        "goal_rate": float(np.mean([m.goal_reached for m in metrics])),
    }
