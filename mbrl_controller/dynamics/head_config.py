# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Training options of heads."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from mbrl_controller.base.units import Count, Number


class HeadTrainConfig(BaseModel):
    """Training options of a head; its widths and members are in its `HeadSpec`."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    learning_rate: Number = Field(default=1e-3, gt=0, le=1, description="AdamW's; a fifth of it at the end")
    weight_decay: Number = Field(default=1e-4, ge=0, le=1, description="AdamW's")
    batch: Count = Field(default=512, ge=1, description="states in a gradient step")
    max_epochs: Count = Field(default=40, ge=1, le=10_000, description="passes over the states at each learning rate")
    patience: Count = Field(default=5, ge=1, description="epochs without a better validation loss, then it ends")
    holdout_fraction: Number = Field(default=0.1, gt=0, lt=1, description="share of the episodes kept for validation")
    # Of a plan only the first actions act before there is a new one. The later ones matter less to the return, so a
    # planner finds them with more noise, and alike they would be most of the loss.
    step_decay: Number = Field(default=0.8, gt=0, le=1, description="weight of a plan's step beside the one before")
    huber: Number | None = Field(
        default=None, gt=0, description="errors above it count linearly, in units of an action or in deviations of the "
        "returns; none: all count squared"
    )  # fmt: skip
    seed: Count = Field(default=0, ge=0, lt=2**63, description="of weights, order and each member's data")
