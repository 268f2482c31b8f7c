# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Options of `mbrl policy`: soft actor-critic (SAC), and the model-made data that it may learn from."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from mbrl_controller.base.units import Count, Number, Unit

Source = Literal["model", "sim"]
Scheme = Literal["A", "B", "C"]
Periods = Annotated[int, Unit("control periods")]
# Length of a model's rollouts; A: whole episodes.
ROLLOUT_STEPS = {"B": 10, "C": 5}


class SacConfig(BaseModel):
    """SAC as in Haarnoja et al., "Soft Actor-Critic Algorithms and Applications" (2018), with Stable-Baselines3."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    hidden: tuple[Annotated[int, Field(ge=1, le=2048)], ...] = Field(
        default=(256, 256), min_length=1, max_length=8, description="width of each hidden layer, of actor and critics"
    )
    learning_rate: Number = Field(default=3e-4, gt=0, le=0.1, description="of actor, critics and entropy coefficient")
    batch: Count = Field(default=256, ge=1, le=65536, description="transitions per update")
    discount: Number = Field(default=0.97, gt=0, lt=1, description="per control period")
    tau: Number = Field(default=0.005, gt=0, le=1, description="share by which a target critic follows its critic")
    reward_scale: Number = Field(default=0.1, gt=0, le=1000, description="factor on the task's reward")
    goal_steps: tuple[Periods, ...] = Field(default=(1, 5), description="how far ahead the goal is seen, ascending")

    env_steps: Annotated[int, Unit("control steps")] = Field(
        default=20_000, ge=1, description="of the simulated hand after which a run from sim ends"
    )
    scaling_episodes: Count = Field(
        default=5, ge=1, le=1000, description="of random motion in the simulation, by which the input is scaled"
    )
    learning_starts: Annotated[int, Unit("control steps")] = Field(
        default=400, ge=1, description="of random actions before a run from sim updates anything"
    )

    updates: Count = Field(default=20_000, ge=1, description="updates after which a run from a model ends")
    rollouts: Count = Field(default=100, ge=1, le=10_000, description="in the model at a time")
    rollout_steps: Periods = Field(
        default=0,
        ge=0,
        le=10_000,
        description="of a rollout; 0: by the scheme (A: the episode, B: 10, C: 5)",
    )
    updates_per_step: Number = Field(default=0.25, gt=0, le=100, description="updates for each step in the model")
    capacity: Count = Field(default=100_000, ge=1, le=5_000_000, description="model-made transitions that are kept")
    real_fraction: Number = Field(default=0.1, ge=0, le=1, description="share of each batch that is from the log")
    goals_per_transition: Count = Field(
        default=4, ge=1, le=100, description="goals under which each logged transition is seen"
    )

    evaluate_every: Count = Field(default=2000, ge=1, description="control steps or updates between two evaluations")
    evaluate_episodes: Count = Field(default=20, ge=0, le=10_000, description="of an evaluation; 0: none")
    checkpoint_every: Count = Field(default=2000, ge=1, description="control steps or updates between two checkpoints")


def rollout_steps(config: SacConfig, scheme: Scheme, episode_steps: int) -> int:
    """Control periods of a rollout under `scheme`, at most an episode's."""
    return min(config.rollout_steps or ROLLOUT_STEPS.get(scheme, episode_steps), episode_steps)
