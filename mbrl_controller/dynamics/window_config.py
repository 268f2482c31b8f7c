# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Options of models of windows."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from mbrl_controller.base.units import Count, Number
from mbrl_controller.models.heads import MAX_STEPS


class WindowFitConfig(BaseModel):
    """What a model of windows is, and how it is trained."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    steps: Count | None = Field(
        default=None, ge=1, le=MAX_STEPS, description="control periods of a window; none: the kind's own, 1 or 5"
    )
    components: Count | None = Field(
        default=None, ge=1, le=64, description="Gaussians of the mixture that answers; none: the kind's own"
    )
    members: Count = Field(default=1, ge=1, le=64, description="networks, each of its own draw of episodes")
    hidden: tuple[int, ...] = Field(
        default=(128, 128), description="width of each hidden layer; a density has no layers"
    )
    learning_rate: Number | None = Field(
        default=None, gt=0, le=1, description="AdamW's; none: 0.001, and 0.01 of a density"
    )
    batch: Count = Field(default=256, ge=1, description="windows in a gradient step")
    max_epochs: Count = Field(default=40, ge=1, le=10_000, description="passes over the windows at each learning rate")
    patience: Count = Field(default=5, ge=1, description="epochs without a better validation loss, then it ends")
    holdout_fraction: Number = Field(default=0.1, gt=0, lt=1, description="share of the episodes kept for validation")
    symmetries: bool = Field(default=True, description="learn from mirror images, where the task has symmetries")
    seed: Count = Field(default=0, ge=0, lt=2**63, description="of weights, order and each member's data")
