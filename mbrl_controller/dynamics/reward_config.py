# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Options of a learned reward."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from mbrl_controller.base.units import Count, Number


class RewardFitConfig(BaseModel):
    """What a reward is learnt from, and how."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    labels: Literal["auto", "topic", "task"] = Field(
        default="auto",
        description="where labels come from: the contract's `reward` topic as it was logged, or the task's reward; "
        "auto: the topic, if the contract has one",
    )
    unlabelled: Literal["refuse", "skip"] = Field(
        default="refuse", description="episodes without labels among others that have some: an error, or left out"
    )
    goals: Count = Field(
        default=4,
        ge=0,
        le=1000,
        description="goals drawn for each step beside the logged one; labels of the task alone",
    )
    drop_cost: Number | None = Field(
        default=None, ge=0, description="in the task's labels of a step into a state at risk; none: the controller's"
    )
    members: Count = Field(default=3, ge=1, le=64, description="networks, each of its own draw of episodes")
    hidden: tuple[int, ...] = Field(default=(64, 64), description="width of each hidden layer")
    max_epochs: Count = Field(default=40, ge=1, le=10_000, description="passes over the steps at each learning rate")
    max_rows: Count = Field(
        default=100_000, ge=1, le=100_000_000, description="steps with a goal that are learnt from; chosen at random"
    )
