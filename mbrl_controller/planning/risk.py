# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Risk: one return per candidate from the ensemble members' returns."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from mbrl_controller.base.units import Number
from mbrl_controller.tasks.arrays import namespace
from mbrl_controller.tasks.spaces import Array


class Risk(BaseModel):
    """`mean` averages the members, `mean_std` subtracts `k` standard deviations, `worst` takes the worst member."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    kind: Literal["mean", "mean_std", "worst"] = Field(
        default="mean_std",
        description="return of a candidate over the ensemble's members: their mean, the mean minus k standard "
        "deviations, or the worst",
    )
    k: Number = Field(default=1.0, ge=0, le=100, description="standard deviations over members that mean_std subtracts")

    def aggregate(self, returns: Array) -> Array:
        """Returns [N] of candidates from their members' returns [E, N]; a NaN in any member stays NaN."""
        xp = namespace(returns)
        if self.kind == "worst":
            worst: Array = xp.min(returns, axis=0)
            return worst
        mean: Array = xp.mean(returns, axis=0)
        if self.kind == "mean" or len(returns) == 1:  # of one member the deviation is 0, and has no gradient there
            return mean
        below: Array = mean - self.k * xp.std(returns, axis=0)
        return below
