# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Sampling first, then gradient steps on what it found: PDDM's planner finds the region, the gradient refines in it."""

from __future__ import annotations

import time
from typing import ClassVar

import numpy as np
from pydantic import Field

from mbrl_controller.base.units import Count, Number
from mbrl_controller.planning.ascent import AdamConfig, ascend
from mbrl_controller.planning.base import Objective, finite_returns
from mbrl_controller.planning.pddm import PddmConfig, PddmPlanner
from mbrl_controller.planning.sampling import Search
from mbrl_controller.planning.throughput import ThroughputEstimator


class HybridConfig(PddmConfig, AdamConfig):
    """Options of PDDM's planner, and of the gradient steps that follow."""

    step_size: Number = Field(
        default=0.05,
        gt=0,
        le=2,
        description="largest step of an action in the first gradient step, for actions -1 to 1",
    )
    gradient_steps: Count = Field(
        default=5, ge=1, le=1000, description="gradient steps on the mean and the best sample, as the deadline allows"
    )
    gradient_share: Number = Field(
        default=0.3, gt=0, lt=1, description="of the time until the deadline, kept for the gradient steps"
    )


class HybridPlanner(PddmPlanner):
    """What the gradient finds is taken only where the objective itself calls it better than what sampling found."""

    name = "hybrid"
    config_type = HybridConfig
    needs_gradients: ClassVar[bool] = True
    config: HybridConfig

    def __init__(self, action_size: int, config: HybridConfig) -> None:
        super().__init__(action_size, config)
        self._pace = ThroughputEstimator()

    def _sampling_until(self, deadline: float) -> float:
        return deadline - self.config.gradient_share * max(0.0, deadline - time.monotonic())

    def _polish(self, objective: Objective, search: Search, deadline: float | None) -> int:
        if deadline is not None:
            self._pace.learn()
        starts = np.stack([search.mean, search.best])
        found = ascend(objective, starts, self.config, self.config.gradient_steps, deadline, self._pace)
        own = search.best if self.config.output == "best" else search.mean
        tried = np.concatenate([np.clip(own, -1.0, 1.0)[None].astype(np.float32), found.best])
        returns = finite_returns(objective(tried))
        winner = int(np.argmax(returns))  # the first of equals: without a gain the plan stays as it was
        if winner:
            search.mean = search.best = tried[winner].astype(float)
            search.predicted_return = search.best_return = float(returns[winner])
        return found.evaluated + len(tried)
