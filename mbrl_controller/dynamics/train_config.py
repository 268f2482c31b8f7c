# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Training options of the ensemble."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from mbrl_controller.base.units import Count, Number
from mbrl_controller.dynamics.reward_config import RewardFitConfig

ActionInput = Literal["target", "error"]
Device = Literal["auto", "cpu", "cuda"]


class TrainConfig(BaseModel):
    """Training options. Defaults follow PDDM where it states them; noise and weights are fractions of a std."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    ensemble_size: Count = Field(default=3, ge=1, le=64, description="networks that learn from the same data")
    hidden: tuple[int, ...] = Field(default=(500, 500), description="width of each hidden layer")
    learning_rate: Number = Field(default=1e-3, gt=0, le=1, description="AdamW's, of the first stage")
    batch: Count = Field(default=512, ge=1, description="transitions in a gradient step")
    max_epochs: Count = Field(default=40, ge=0, le=10_000, description="passes over the data in the first stage")
    patience: Count = Field(default=5, ge=1, description="epochs without a better validation loss, then the stage ends")
    input_noise: Number = Field(default=0.01, ge=0, le=1, description="on inputs, as a share of their deviation")
    target_noise: Number = Field(default=0.01, ge=0, le=1, description="on targets, as a share of their deviation")
    weight_decay: Number = Field(default=1e-4, ge=0, le=1, description="AdamW's")
    huber: Number | None = Field(
        default=None, gt=0, description="errors above it, in deviations, count linearly; none: all count squared"
    )
    horizon: Count = Field(
        default=5, ge=1, le=50, description="steps of the predictions in the second stage; 1: no second stage"
    )
    horizon_epochs: Count = Field(default=20, ge=0, le=10_000, description="passes over the data in the second stage")
    horizon_learning_rate: Number = Field(default=4e-4, gt=0, le=1, description="AdamW's, of the second stage")
    loss_weights: dict[str, float] = Field(
        default_factory=dict, description="by the beginning of a state entry's name; the longest that fits counts"
    )
    bootstrap: bool = Field(default=False, description="each network draws its transitions once, with replacement")
    holdout_fraction: Number = Field(default=0.1, gt=0, lt=1, description="share of the episodes kept for validation")
    seed: Count = Field(default=0, ge=0, lt=2**63, description="of weights, noise and order")
    action_input: ActionInput = Field(
        default="error", description="what the networks see of a command: target minus joint position, or the target"
    )
    input_clamp: Number = Field(default=5.0, gt=0, description="largest input, in deviations")
    contacts: bool = Field(
        default=False, description="tell the networks how near each surface of the hand is; needs a world in sim/"
    )
    reward: Literal["task", "learned"] = Field(
        default="task", description="learned: the version has a reward, too, learnt from labels in the log"
    )
    reward_fit: RewardFitConfig = Field(default=RewardFitConfig(), description="of a learned reward")
    device: Device = Field(
        default="auto", description="where the networks are trained; auto: on a GPU that PyTorch can use, else the CPU"
    )
