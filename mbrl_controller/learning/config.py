# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Everything that decides a learning run, seed included: its options, and what follows from them for each round.

The plan is kept in the run's folder. Resuming depends on nothing else: configuration files are read once. `make_plan`
of learning/task_plan.py completes one from a task's defaults.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mbrl_controller.base.deprecated import renamed_fields
from mbrl_controller.base.overrides import deep_merge
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.control.config import RENAMED as CORE_RENAMED
from mbrl_controller.control.config import ControllerConfig
from mbrl_controller.dynamics.train_config import TrainConfig
from mbrl_controller.learning.base_version import BaseVersion
from mbrl_controller.learning.collection import (
    COLLECTION_RENAMED,
    MAX_BEHAVIOURS,
    MAX_EPISODES,
    PLAIN_AND_EXPLORE,
    CollectionConfig,
)
from mbrl_controller.models.origin import Mixed
from mbrl_controller.planning.base import RENAMED as PLANNER_RENAMED
from mbrl_controller.planning.base import PlannerOptions
from mbrl_controller.training.distil_config import DistilConfig

# Seeds of episodes. A run collects from OWN_SEEDS on, so no run collects what it is evaluated on.
EVALUATION_SEEDS = 100_000
ACCEPTANCE_SEEDS = 200_000
OWN_SEEDS = 10_000_000
MAX_ROUNDS = 900

# Old names of options, by the path to them.
PLAN_RENAMED = {
    "points": "env_steps",
    "grow": "min_data_growth",
    "accept": "acceptance_test",
    "accept_episodes": "acceptance_episodes",
    "accept_margin": "acceptance_margin",
}
RENAMED = {
    "": PLAN_RENAMED,
    "planner": PLANNER_RENAMED,
    "collect.*": COLLECTION_RENAMED,
    "collect.*.planner": PLANNER_RENAMED,
    "core": CORE_RENAMED,
    "collect.*.core": CORE_RENAMED,
}


class LearnPlan(BaseModel):
    """How a run learns: all options and what they mean. config/tasks.yaml has the values of each task."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    _new_names = renamed_fields(PLAN_RENAMED)

    task: str
    contract: str = Field(description="YAML text")
    contract_folder: Path | None = Field(default=None, description="where the contract's scene is")
    seed: int = Field(default=0, ge=0, lt=100_000, description="of episodes, planner, noise and training")

    rounds: int | None = Field(
        default=None, ge=1, le=MAX_ROUNDS, description="limit on the trainings; None: only env_steps limits"
    )
    env_steps: int | None = Field(default=None, ge=1, description="limit on the control steps of experience")

    base: BaseVersion = Field(default=BaseVersion(), description="the version that it starts from, if any")
    random_episodes: int = Field(default=60, ge=2, le=2500, description="episodes of random motion, for each scale")
    random_scales: tuple[float, ...] = Field(
        default=(1.0,), min_length=1, max_length=4, description="sizes of random motion, 0 to 1"
    )
    random_seconds: float | None = Field(default=None, gt=0, description="their length, s; None: the task's")

    collect: tuple[CollectionConfig, ...] = Field(
        default=PLAIN_AND_EXPLORE, min_length=1, max_length=MAX_BEHAVIOURS, description="the episodes of a round"
    )
    min_data_growth: float = Field(
        default=0.0, ge=0, le=10, description="smallest share of the experience so far that a round collects"
    )
    through_ros: bool = Field(default=False, description="collect through the nodes, in real time")
    hand: Literal["sim", "real"] = Field(
        default="sim",
        description="real: one whose own driver runs; the choice where no simulated world is known for robot and task",
    )
    reset_service: str = Field(
        default="",
        description="of a real hand: service (std_srvs/Trigger) that puts the object back; empty: a person does",
    )
    sim: str = Field(
        default="nominal", description="simulated hand, in evaluation too: nominal, perturbed, or a preset"
    )
    sim_options: dict[str, Any] = Field(default_factory=dict, description="options that override those of `sim`")

    training: TrainConfig = TrainConfig()
    start: Literal["fresh", "warm"] = Field(
        default="fresh", description="warm: from the weights of the version that collected last"
    )
    fresh_every: int = Field(
        default=0, ge=0, description="with warm: rounds from one fresh training to the next; 0: never"
    )
    warm_training: dict[str, Any] = Field(default_factory=dict, description="training options of warm rounds only")
    recent_rounds: int = Field(default=1, ge=1, description="rounds that recent_share counts as recent")
    recent_share: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="least share of recent episodes in a training's data; older ones are left out",
    )
    precision: Literal["auto", "fp32"] = Field(default="auto", description="auto: plan in 8 bit where it plans alike")
    distil: DistilConfig | None = Field(
        default=None,
        description="also teach each version's planner to a policy and a value, as `mbrl distil`; none: do not",
    )
    threads: int = Field(default=1, ge=1, description="CPU threads of training; another number rounds differently")
    mix: tuple[Mixed, ...] = Field(default=(), description="what its episodes may be of several: robots, worlds")

    planner_name: str = Field(default="pddm", description="as `mbrl planners` lists them")
    planner: PlannerOptions = Field(default_factory=dict, description="the planner's options")
    core: ControllerConfig = ControllerConfig()

    acceptance_test: Literal["always", "not_worse"] = Field(
        default="always", description="not_worse: if a new version controls clearly worse, the best one collects"
    )
    acceptance_episodes: int = Field(
        default=8, ge=1, le=10_000, description="of the acceptance test, on separate seeds"
    )
    acceptance_metric: str = Field(
        default="return_mean", description="figure that it compares: kept_rate, goal_rate, or one of the task's own"
    )
    acceptance_margin: float = Field(default=0.1, ge=0, description="clearly worse: than the best by this share of it")

    evaluate_every: int = Field(default=1, ge=1, description="rounds between evaluations; the last is always evaluated")
    evaluate_episodes: int = Field(default=20, ge=1, le=10_000, description="on held-out seeds, without noise")
    evaluation_seed: int = Field(default=EVALUATION_SEEDS, ge=0, description="the first of the held-out seeds")

    @model_validator(mode="after")
    def _ends(self) -> LearnPlan:
        if self.rounds is None and self.env_steps is None:
            raise ValueError("a run needs an end: rounds, env_steps or both")
        if self.evaluation_seed + self.evaluate_episodes > OWN_SEEDS:
            raise ValueError(f"evaluation_seed: held-out seeds must lie below {OWN_SEEDS}, where collecting begins")
        return self

    @model_validator(mode="after")
    def _collects(self) -> LearnPlan:
        names = [behaviour.name for behaviour in self.collect]
        if len(set(names)) < len(names):
            raise ValueError(f"collect: names must differ, got {', '.join(names)}")
        if not any(behaviour.episodes and not behaviour.from_env_steps for behaviour in self.collect):
            raise ValueError("collect: no behaviour has episodes from the first round on")
        return self

    def is_last(self, number: int, env_steps: int, robot: RobotContract) -> bool:
        """Whether round `number`, which learns from `env_steps`, is the last: one more might take too many steps."""
        too_many = self.env_steps is not None and env_steps + self.max_env_steps(env_steps, robot) > self.env_steps
        return too_many or number >= (MAX_ROUNDS if self.rounds is None else self.rounds)

    def start_of(self, number: int) -> Literal["fresh", "warm"]:
        """The weights that the training of round `number` starts from."""
        before = number - (not self.base.version)  # trainings since the last one from nothing, if there was no other
        fresh = before == 0 or (self.fresh_every and before % self.fresh_every == 0)
        return "fresh" if fresh else self.start

    def training_of(self, number: int) -> TrainConfig:
        """How round `number` trains; each round has its own seed."""
        options = self.warm_training if self.start_of(number) == "warm" else {}
        return TrainConfig.model_validate({**self.training.model_dump(), **options, "seed": self.seed * 1000 + number})

    def planner_of(self, behaviour: CollectionConfig) -> dict[str, Any]:
        """The planner's options for a behaviour."""
        return {**self.planner, **behaviour.planner}

    def core_of(self, behaviour: CollectionConfig) -> ControllerConfig:
        """The controller's options for a behaviour."""
        return ControllerConfig.model_validate(deep_merge(self.core.model_dump(), behaviour.core))

    def episodes_of(self, behaviour: CollectionConfig, env_steps: int, robot: RobotContract) -> int:
        """Its episodes in a round that begins at `env_steps` of experience; growth counts episodes at full length."""
        if env_steps < behaviour.from_env_steps:
            return 0
        steps = sum(b.episodes * _steps(b, robot) for b in self.collect if env_steps >= b.from_env_steps)
        factor = max(1.0, self.min_data_growth * env_steps / steps)
        return min(math.ceil(behaviour.episodes * factor), MAX_EPISODES)

    def max_env_steps(self, env_steps: int, robot: RobotContract) -> int:
        """Control steps of the round that begins at `env_steps`, if all its episodes have their full length."""
        return sum(self.episodes_of(b, env_steps, robot) * _steps(b, robot) for b in self.collect)

    def random_env_steps(self, robot: RobotContract) -> int:
        """Control steps of the random motion, if all its episodes have their full length; a version needs none."""
        if self.base.version:
            return 0
        return len(self.random_scales) * self.random_episodes * _full_length(self.random_seconds, robot)


def _steps(behaviour: CollectionConfig, robot: RobotContract) -> int:
    """Control steps of an episode at full length, at least one."""
    return _full_length(behaviour.seconds, robot)


def _full_length(seconds: float | None, robot: RobotContract) -> int:
    return max(1, round((seconds or robot.task.episode_s) / robot.action.period))
