# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The cross-entropy method, warm-started from the shifted previous plan; iCEM is the same with other defaults."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from mbrl_controller.base.units import Count, Number
from mbrl_controller.planning.base import PlannerState
from mbrl_controller.planning.gaussian import GaussianConfig, GaussianPlanner
from mbrl_controller.planning.noise import Smoothing
from mbrl_controller.planning.sampling import Candidates, Search
from mbrl_controller.tasks.spaces import Array


class CemConfig(GaussianConfig):
    """Options of CEM."""

    num_samples: Count = Field(default=233, ge=2, le=100_000, description="action sequences per iteration (N)")
    iterations: Count = Field(default=3, ge=1, le=50, description="iterations per plan, as far as the deadline allows")
    noise: Smoothing = Field(default="white", description="smoothness of the noise over the horizon")
    elite_fraction: Number = Field(
        default=0.1, gt=0, le=1, description="best share of the samples, to which mean and deviation are fitted"
    )
    sigma: Number = Field(
        default=0.5,
        gt=0,
        le=100,
        description="standard deviation at the start of each plan, for actions from -1 to 1",
    )
    sigma_min: Number = Field(
        default=0.05, ge=0, le=100, description="lower bound of the standard deviation after an iteration"
    )
    momentum: Number = Field(default=0.1, ge=0, lt=1, description="weight of the previous mean and deviation")


class CemPlanner(GaussianPlanner):
    """Refits a Gaussian [H, A] to the best candidates in each iteration."""

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
    """Defaults of iCEM (Pinneri et al., CoRL 2020): coloured noise, elites carried over to the next iteration and tick,
    a population that shrinks each iteration, and the best sequence as output."""

    noise: Smoothing = Field(default="coloured", description="smoothness of the noise over the horizon")
    colour: Number = Field(
        default=2.5, ge=0, le=8, description="exponent of coloured noise: power falls with frequency^colour"
    )
    population_decay: Number = Field(
        default=1.25, ge=1, le=10, description="factor by which the number of samples shrinks each iteration"
    )
    num_elites_kept: Count = Field(
        default=8, ge=0, le=1000, description="best samples that are carried over to the next iteration and tick"
    )
    output: Literal["mean", "best"] = Field(
        default="best", description="action sequence to execute: the refined mean, or the best sample"
    )


class IcemPlanner(CemPlanner):
    """CEM with iCEM's defaults."""

    name = "icem"
    config_type = IcemConfig
    config: IcemConfig
