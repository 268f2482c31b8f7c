# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Random shooting, a baseline: uniform independent actions; the best sequence is the plan."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from mbrl_controller.planning.base import PlannerState
from mbrl_controller.planning.sampling import Candidates, SamplingConfig, SamplingPlanner, Search
from mbrl_controller.tasks.spaces import Array


class RandomShootingConfig(SamplingConfig):
    """Only the number of samples matters."""

    keep_mean: bool = Field(default=False, description="make the first sample the mean, without noise")


class RandomShootingPlanner(SamplingPlanner):
    """Plans the best candidate; nothing is carried over to the next plan."""

    name = "random_shooting"
    config_type = RandomShootingConfig

    def _sample(self, search: Search, state: PlannerState, rng: np.random.Generator, count: int) -> Array:
        return rng.uniform(-1.0, 1.0, (count, self.config.horizon, self.action_size))

    def _refine(self, search: Search, candidates: Candidates, returns: Array) -> None:
        search.mean, search.predicted_return = search.best, search.best_return
