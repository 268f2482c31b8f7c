# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Write a planner and compare it with PDDM in simulation, on the same seeds (extra `sim`).

Each tick, a planner draws candidates [N, H, A], normalised to [-1, 1], and gets their returns [N].
"""

from __future__ import annotations

import numpy as np
from pydantic import Field

from mbrl_controller.planning.base import PlannerState
from mbrl_controller.planning.catalog import PLANNERS
from mbrl_controller.planning.sampling import Candidates, SamplingConfig, SamplingPlanner, Search
from mbrl_controller.rollouts import evaluate
from mbrl_controller.rollouts.config import RolloutConfig
from mbrl_controller.tasks.spaces import Array


class LocalSearchConfig(SamplingConfig):
    """What all planners that sample have, and the width of the search."""

    sigma: float = Field(default=0.5, gt=0, description="deviation of the noise around the last plan")


class LocalSearchPlanner(SamplingPlanner):
    """Draws around the last plan and takes the best candidate."""

    name = "local_search"
    config_type = LocalSearchConfig
    config: LocalSearchConfig

    def _sample(self, search: Search, state: PlannerState, rng: np.random.Generator, count: int) -> Array:
        shape = (count, self.config.horizon, self.action_size)
        return search.mean + self.config.sigma * rng.standard_normal(shape)

    def _refine(self, search: Search, candidates: Candidates, returns: Array) -> None:
        search.mean, search.predicted_return = search.best, search.best_return


PLANNERS.add(LocalSearchPlanner.name, LocalSearchPlanner)  # an installed package uses an entry point: docs/own_task.md

if __name__ == "__main__":
    for name in ("pddm", LocalSearchPlanner.name):
        report = evaluate.run(RolloutConfig("valve", planner=name), episodes=2, processes=1)
        print(f"{name}: mean return {report['return_mean']:.0f}, goal reached in {report['goal_rate']:.0%}")
