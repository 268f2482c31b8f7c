# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Training options of the ensemble."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

ActionInput = Literal["target", "error"]


class TrainConfig(BaseModel):
    """Training options. Defaults follow PDDM where it states them; noise and weights are fractions of a std."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    ensemble_size: int = Field(default=3, ge=1, le=64)
    hidden: tuple[int, ...] = (500, 500)
    learning_rate: float = Field(default=1e-3, gt=0, le=1)
    batch: int = Field(default=512, ge=1)
    max_epochs: int = Field(default=40, ge=0, le=10_000)
    patience: int = Field(default=5, ge=1)  # epochs in which no member's validation loss improves
    input_noise: float = Field(default=0.01, ge=0, le=1)
    target_noise: float = Field(default=0.01, ge=0, le=1)
    weight_decay: float = Field(default=1e-4, ge=0, le=1)
    huber: float | None = Field(default=None, gt=0)  # errors above it, in units of the scale, count linearly
    horizon: int = Field(default=5, ge=1, le=50)  # rollout steps of the second stage; 1: no second stage
    horizon_epochs: int = Field(default=20, ge=0, le=10_000)
    horizon_learning_rate: float = Field(default=4e-4, gt=0, le=1)
    loss_weights: dict[str, float] = Field(default_factory=dict)  # by prefix of the state entry's name; longest wins
    bootstrap: bool = False  # each member draws its rows once, with replacement
    holdout_fraction: float = Field(default=0.1, gt=0, lt=1)  # share of the episodes kept for validation
    seed: int = Field(default=0, ge=0, lt=2**63)
    action_input: ActionInput = "error"  # "error": target minus joint position
    input_clamp: float = Field(default=5.0, gt=0)  # standard deviations
    contacts: bool = False  # contact features; need the hand's geometry from its scene in sim/
