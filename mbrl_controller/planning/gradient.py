# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Planning by gradient: ascent through the model and the reward, from several starts at once."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
from pydantic import Field, model_validator

from mbrl_controller.base.units import Count, Number
from mbrl_controller.planning.ascent import AdamConfig, ascend
from mbrl_controller.planning.base import Objective, Planner, PlannerState, PlanResult, shift
from mbrl_controller.planning.noise import Smoothing, noise_basis
from mbrl_controller.planning.proposals import proposals_of
from mbrl_controller.tasks.spaces import Array

MOST_STARTS = 100_000  # times horizon: memory of the way back through the networks


class GradientConfig(AdamConfig):
    """Options of planning by gradient."""

    starts: Count = Field(default=8, ge=1, le=10_000, description="action sequences that climb side by side (N)")
    iterations: Count = Field(
        default=10, ge=1, le=50, description="gradient steps per plan, as far as the deadline allows"
    )
    sigma: Number = Field(
        default=0.5, gt=0, le=100, description="standard deviation of the noise on the starts, for actions from -1 to 1"
    )
    noise: Smoothing = Field(default="coloured", description="smoothness of the noise over the horizon")
    proposal_fraction: Number = Field(
        default=0.0, ge=0, le=1, description="share of the starts at and around what a learned policy proposes"
    )

    @model_validator(mode="after")
    def _fits_into_memory(self) -> GradientConfig:
        if self.starts * self.horizon > MOST_STARTS:
            raise ValueError(f"starts times horizon is {self.starts * self.horizon}, more than {MOST_STARTS}")
        return self

    @property
    def batch(self) -> int:
        """All starts climb together."""
        return self.starts

    @property
    def uses_proposals(self) -> bool:
        """Whether some start there."""
        return self.proposal_fraction > 0


class GradientPlanner(Planner):
    """The first start is the shifted plan, then come proposals, the others have noise; the best met is the plan."""

    name = "gradient"
    config_type = GradientConfig
    needs_gradients: ClassVar[bool] = True

    def __init__(self, action_size: int, config: GradientConfig) -> None:
        super().__init__(action_size, config)
        self._basis = noise_basis(config.noise, config.horizon)

    def plan(
        self, objective: Objective, state: PlannerState, deadline: float | None = None
    ) -> tuple[PlanResult, PlannerState]:
        """A plan for now, and the memory for the next control step."""
        self._check_shape(state)
        if deadline is not None:
            self.throughput.learn()
        starts = self._starts(objective, state)
        found = ascend(objective, starts, self.config, self.config.iterations, deadline, self.throughput)
        best = int(np.argmax(found.returns))
        valid = bool(np.isfinite(found.returns[best]))
        actions = np.array(found.best[best] if valid else state.mean, dtype=float)
        plan = PlanResult(actions, float(found.returns[best]), found.steps, found.evaluated, valid)
        return plan, PlannerState(shift(actions), actions[0].copy(), state.seed, state.tick + 1)

    def _starts(self, objective: Objective, state: PlannerState) -> Array:
        """[N, H, A]."""
        count, shape = self.config.starts, state.mean.shape
        white = state.rng().standard_normal((count, self._basis.shape[1], shape[1]))
        starts: Array = state.mean + self.config.sigma * np.einsum("hk,nka->nha", self._basis, white)
        starts[0] = state.mean
        proposals = proposals_of(objective, shape) if self.config.proposal_fraction else None
        if proposals is not None:
            proposed = min(count, math.ceil(count * self.config.proposal_fraction))
            rows = count - proposed + np.arange(proposed)
            which = np.arange(proposed) % len(proposals)
            starts[rows] += proposals[which] - state.mean
            exact = min(proposed, len(proposals))
            starts[rows[:exact]] = proposals[:exact]
        return starts
