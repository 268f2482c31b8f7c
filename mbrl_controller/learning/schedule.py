# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Which episodes a round collects: batches, each of one kind, with seeds that follow from the plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.learning.collection import MAX_EPISODES, CollectionConfig
from mbrl_controller.learning.config import MAX_ROUNDS, OWN_SEEDS, LearnPlan
from mbrl_controller.rollouts.config import RolloutConfig

ROUND_SEEDS = 10_000  # reserved for a round
RANDOM_SEEDS = 2_500  # for each scale of random motion
REHEARSAL_ROUND = MAX_ROUNDS + 1  # whose seeds a version's old data has


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
    """The first seed of a round: no other run has its seeds, and no evaluation."""
    return OWN_SEEDS * (plan.seed + 1) + ROUND_SEEDS * number


def random_batches(plan: LearnPlan) -> list[EpisodeBatch]:
    """Random motion, before there is a model. Names sort by round, as the split of the data needs."""
    return [
        EpisodeBatch(
            f"r000-random{i}",
            plan.random_episodes,
            first_seed(plan, 0) + RANDOM_SEEDS * i,
            RolloutConfig(
                plan.task,
                policy="random",
                random_scale=scale,
                seconds=plan.random_seconds,
                sim=plan.sim,
                sim_options=plan.sim_options,
            ),
        )
        for i, scale in enumerate(plan.random_scales)
    ]


def round_batches(plan: LearnPlan, contract: RobotContract, number: int, env_steps: int) -> list[EpisodeBatch]:
    """The batches of round `number` (from 1), which begins at `env_steps` of experience; none is empty."""
    # Of a run from a version, the names say which: a recording's name is permanent, and the version's own episodes,
    # which may be learnt from with these, have names of this form, too.
    run = f"{plan.base.model_sha256[:8]}-" if plan.base.version else ""
    batches = [
        EpisodeBatch(
            f"{run}r{number:03d}-{behaviour.name}",
            plan.episodes_of(behaviour, env_steps, contract),
            first_seed(plan, number) + MAX_EPISODES * i,
            _rollout(plan, behaviour, plan.sim, plan.sim_options),
        )
        for i, behaviour in enumerate(plan.collect)
    ]
    return [batch for batch in batches if batch.episodes]


def rehearsal_batches(plan: LearnPlan) -> list[EpisodeBatch]:
    """What a version to start from runs in the world that it was made for, before anything else; none is empty."""
    base = plan.base
    batches = [
        EpisodeBatch(
            f"{base.model_sha256[:8]}-old-{behaviour.name}",
            behaviour.episodes,
            first_seed(plan, REHEARSAL_ROUND) + MAX_EPISODES * i,
            _rollout(plan, behaviour, base.rehearsal_sim, base.rehearsal_sim_options),
        )
        for i, behaviour in enumerate(base.rehearsal)
    ]
    return [batch for batch in batches if batch.episodes]


def _rollout(plan: LearnPlan, behaviour: CollectionConfig, sim: str, sim_options: Mapping[str, Any]) -> RolloutConfig:
    """How a behaviour's episodes run on a simulated hand."""
    return RolloutConfig(
        plan.task,
        planner=plan.planner_name,
        planner_options=plan.planner_of(behaviour),
        core=plan.core_of(behaviour),
        seconds=behaviour.seconds,
        sim=sim,
        sim_options={**sim_options, **behaviour.sim_options},
        goal_options=behaviour.goal_options,
        exploration=behaviour.exploration,
        precision=plan.precision,
    )


def judged_rollout(plan: LearnPlan, model: str, models_dir: Path | None, contract: Path | None) -> RolloutConfig:
    """How the episodes run that judge a version of a run: its planner, the task's own goals and starts, no noise."""
    return RolloutConfig(
        plan.task,
        model=model,
        models_dir=models_dir,
        contract=contract,
        planner=plan.planner_name,
        planner_options=plan.planner,
        core=plan.core,
        sim=plan.sim,
        sim_options=plan.sim_options,
        precision=plan.precision,
    )


def recent(plan: LearnPlan, number: int, by_round: list[list[Path]]) -> list[Path]:
    """The files that round `number` learns from: all, or fewer older ones so that at least `recent_share` are recent.

    `by_round`: the files of random motion, then of each earlier round.
    """
    old = [path for files in by_round[: -plan.recent_rounds] for path in files]
    new = [path for files in by_round[-plan.recent_rounds :] for path in files]
    if plan.recent_share:
        room = int(len(new) * (1 - plan.recent_share) / plan.recent_share)
        if room < len(old):
            chosen = np.random.default_rng([plan.seed, number, 7]).choice(len(old), room, replace=False)
            old = [old[i] for i in sorted(chosen)]
    return old + new
