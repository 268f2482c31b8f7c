"""The cross-entropy method with hard elites, warm-started from the shifted previous plan."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from mbrl_controller.planning.base import Planner, PlannerConfig, PlannerState, Search
from mbrl_controller.tasks.spaces import Array


class CemConfig(PlannerConfig):
    """Candidates are per iteration."""

    candidates: int = Field(default=233, ge=2, le=100_000, description="action sequences per iteration (N)")
    iterations: int = Field(default=3, ge=1, le=50)
    elite_fraction: float = Field(default=0.1, gt=0, le=1)
    sigma: float = Field(default=0.5, gt=0, description="standard deviation at the start of each plan")
    sigma_min: float = Field(default=0.05, ge=0)
    momentum: float = Field(default=0.1, ge=0, lt=1, description="share of the old mean and deviation kept")
    keep_mean: bool = Field(default=True, description="let the first candidate be the mean without noise")


class CemPlanner(Planner):
    """A Gaussian [H, A] refitted to the best candidates at each iteration."""

    name = "cem"
    config_type = CemConfig
    config: CemConfig

    def _begin(self, state: PlannerState) -> Search:
        return Search(mean=state.mean.copy(), std=np.full(state.mean.shape, self.config.sigma))

    def _sample(self, search: Search, state: PlannerState, rng: np.random.Generator) -> Array:
        c = self.config
        actions = search.mean + search.std * rng.standard_normal((c.candidates, c.horizon, self.action_size))
        if c.keep_mean:
            actions[0] = search.mean
        return np.clip(actions, -1.0, 1.0, out=actions)

    def _refine(self, search: Search, candidates: Array, returns: Array) -> None:
        c = self.config
        count = max(1, round(c.elite_fraction * c.candidates))
        elite = np.argsort(-returns, kind="stable")[:count]
        elite = elite[np.isfinite(returns[elite])]
        elites = candidates[elite]
        search.mean = c.momentum * search.mean + (1 - c.momentum) * elites.mean(0)
        search.std = np.maximum(c.momentum * search.std + (1 - c.momentum) * elites.std(0), c.sigma_min)
        search.predicted_return = float(returns[elite].mean())
