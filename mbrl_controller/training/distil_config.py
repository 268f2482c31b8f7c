# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Options of distillation."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from mbrl_controller.base.units import Count, Number
from mbrl_controller.models.heads import MAX_STEPS
from mbrl_controller.planning.base import PlannerOptions


class DistilConfig(BaseModel):
    """What a policy and a value are learnt from, and how."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    states: Count = Field(default=20_000, ge=20, le=10_000_000, description="states that the planner labels, in all")
    rounds: Count = Field(
        default=3, ge=0, le=50, description="rounds in which the policy acts in simulation and the planner labels its "
        "states (DAgger); 0 where the hand has no simulated world"
    )  # fmt: skip
    planners: dict[str, PlannerOptions] = Field(
        default_factory=dict, description="options of the planner that teaches, by its name, over the task's"
    )
    goals: tuple[dict[str, Any], ...] = Field(
        default=({},), min_length=1, description="options of the goals drawn for states, in turn, as for --goal"
    )
    sims: tuple[str, ...] = Field(
        default=(), description="presets of the hand in which planner and policy act, in turn, as for --sim; none: "
        "that of --sim alone"
    )  # fmt: skip
    logged_goals: Number = Field(
        default=0.5, ge=0, le=1, description="share of the log's states that keep the goal they had"
    )
    stretch: Count = Field(
        default=10, ge=1, le=1000, description="states of the log in a row, along which the planner goes with one goal"
    )
    first_iterations: Count = Field(
        default=4, ge=1, le=50, description="iterations of the planner in the first state of a row"
    )
    proposal_fraction: Number = Field(
        default=0.0, ge=0, le=1, description="share of the teaching planner's samples around what the policy so far "
        "proposes, as soon as there is one (expert iteration)"
    )  # fmt: skip
    start: Literal["scratch", "policy"] = Field(
        default="scratch", description="policy: the version's own policy acts and proposes in round 0, to be improved"
    )
    exploration: Number = Field(
        default=0.1, ge=0, le=1, description="noise on the action in a third of the simulated episodes, normalised; in "
        "another third twice as much"
    )  # fmt: skip
    goal_steps: tuple[int, ...] | None = Field(
        default=None, description="control periods ahead at which the networks see the goal; none: 1, the middle and "
        "the end of the planner's horizon"
    )  # fmt: skip
    value: bool = Field(default=True, description="learn a value, too")
    value_huber: Number | None = Field(
        default=0.1, gt=0, description="errors of the value above it count linearly, in deviations of the returns: a "
        "few returns with a loss would decide otherwise; none: all count squared"
    )  # fmt: skip
    discount: Number = Field(default=0.9, gt=0, lt=1, description="of the value's return, per control period")
    value_steps: Count = Field(
        default=20, ge=1, le=MAX_STEPS, description="control periods that the model is rolled out for the value"
    )
    evaluate_episodes: Count = Field(
        default=20, ge=0, le=10_000, description="simulated episodes in which the policy alone is judged"
    )
    holdout_fraction: Number = Field(default=0.1, gt=0, lt=1, description="share of the sequences kept for validation")
    policy_hidden: tuple[int, ...] = Field(default=(256, 256), description="width of the policy's hidden layers")
    value_hidden: tuple[int, ...] = Field(default=(128, 128), description="width of the value's hidden layers")
    seed: Count = Field(default=0, ge=0, lt=100_000, description="of goals, episodes, planner and networks")
    threads: Count = Field(default=1, ge=1, description="CPU threads of training; another number rounds differently")

    @field_validator("goal_steps")
    @classmethod
    def _ascend(cls, steps: tuple[int, ...] | None) -> tuple[int, ...] | None:
        if steps is not None and (
            not steps or list(steps) != sorted(set(steps)) or not all(1 <= step <= MAX_STEPS for step in steps)
        ):
            raise ValueError(f"must be ascending numbers from 1 to {MAX_STEPS}")
        return steps
