# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The cross-entropy method with hard elites, warm-started from the shifted previous plan; and iCEM's settings of it."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from mbrl_controller.base.units import Count, Number
from mbrl_controller.planning.base import Candidates, PlannerState, Search
from mbrl_controller.planning.gaussian import GaussianConfig, GaussianPlanner
from mbrl_controller.planning.noise import Smoothing
from mbrl_controller.tasks.spaces import Array


class CemConfig(GaussianConfig):
    """Candidates are per iteration."""

    candidates: Count = Field(default=233, ge=2, le=100_000, description="action sequences per refinement (N)")
    iterations: Count = Field(default=3, ge=1, le=50, description="refinements per plan, as far as the deadline allows")
    noise: Smoothing = Field(default="white", description="smoothness of the noise over the horizon")
    elite_fraction: Number = Field(
        default=0.1, gt=0, le=1, description="share of the candidates, the best, that the next mean is made of"
    )
    sigma: Number = Field(
        default=0.5,
        gt=0,
        le=100,
        description="standard deviation at the start of each plan, of an action that goes from -1 to 1",
    )
    sigma_min: Number = Field(
        default=0.05, ge=0, le=100, description="least standard deviation that a refinement leaves"
    )
    momentum: Number = Field(default=0.1, ge=0, lt=1, description="share of the old mean and deviation kept")


class CemPlanner(GaussianPlanner):
    """A Gaussian [H, A] refitted to the best candidates at each iteration."""

    name = "cem"
    config_type = CemConfig
    config: CemConfig

    def _begin(self, state: PlannerState) -> Search:
        search = super()._begin(state)
        search.std = np.tile(self._width, (self.config.horizon, 1))
        return search

    def _sample(self, search: Search, state: PlannerState, rng: np.random.Generator, count: int) -> Array:
        actions = self._noise(rng, count)
        actions *= (search.std / self._width).astype(np.float32)[:, None]
        actions += search.mean.astype(np.float32)[:, None]
        return actions.transpose(1, 0, 2)

    def _refine(self, search: Search, candidates: Candidates, returns: Array) -> None:
        c = self.config
        count = max(1, round(c.elite_fraction * len(returns)))
        elite = np.argsort(-returns, kind="stable")[:count]
        elite = elite[np.isfinite(returns[elite])]
        elites = candidates[elite].astype(float)
        search.mean = c.momentum * search.mean + (1 - c.momentum) * elites.mean(0)
        search.std = np.maximum(c.momentum * search.std + (1 - c.momentum) * elites.std(0), c.sigma_min)
        search.predicted_return = float(returns[elite].mean())


class IcemConfig(CemConfig):
    """iCEM (Pinneri et al., CoRL 2020): coloured noise, elites kept over iterations and ticks, fewer candidates in each
    iteration, and the best sequence seen is executed."""

    noise: Smoothing = Field(default="coloured", description="smoothness of the noise over the horizon")
    colour: Number = Field(
        default=2.5, ge=0, le=8, description="exponent of coloured noise: its power falls with frequency^colour"
    )
    decay: Number = Field(default=1.25, ge=1, le=10, description="each refinement has so many times fewer candidates")
    kept: Count = Field(default=8, ge=0, le=1000, description="best candidates kept for the next refinement and tick")
    execute: Literal["mean", "best"] = Field(
        default="best", description="what is executed: the refined mean, or the best candidate"
    )


class IcemPlanner(CemPlanner):
    """The same algorithm with iCEM's options on."""

    name = "icem"
    config_type = IcemConfig
    config: IcemConfig
