# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""PDDM's planner: temporally filtered noise around a mean, and a softly return-weighted new mean.

Nagabandi et al., "Deep Dynamics Models for Learning Dexterous Manipulation", CoRL 2019. Two filters are in use:
`released` (google-research/pddm) filters the candidate itself, starting from the action executed last; `paper`
filters the noise and adds it to the mean. Other kinds of noise are added to the mean, too.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from mbrl_controller.base.units import Number, Unit
from mbrl_controller.planning.base import Candidates, PlannerState, Search
from mbrl_controller.planning.gaussian import GaussianConfig, GaussianPlanner
from mbrl_controller.planning.noise import filter_matrix
from mbrl_controller.tasks.spaces import Array

CALM = 0.3  # of sigma, for the calm candidates (release)


class PddmConfig(GaussianConfig):
    """Defaults are those of the paper's Baoding task, except sigma and beta, which are the release's."""

    kappa: Annotated[float, Unit("1 / reward")] = Field(
        default=20.0, gt=0, description="inverse temperature of the return weighting (gamma)"
    )
    effective: Number = Field(
        default=0.0, ge=0, le=1, description="kappa adapted so that this share of the candidates counts; 0: fixed kappa"
    )
    filter: Literal["released", "paper"] = Field(default="released", description="what filtered noise is added to")
    calm_fraction: Number = Field(default=0.1, ge=0, le=1, description="share of candidates with 0.3 sigma")


class PddmPlanner(GaussianPlanner):
    """Modified cross-entropy method (also called MPPI in the release)."""

    name = "pddm"
    config_type = PddmConfig
    config: PddmConfig

    def _sample(self, search: Search, state: PlannerState, rng: np.random.Generator, count: int) -> Array:
        c = self.config
        actions = self._noise(rng, count)
        # The calm ones are spread over the chunk, so that a chunk of any size has its share of them.
        calm = np.flatnonzero((np.arange(count) + 0.5) * c.calm_fraction % 1 >= 1 - c.calm_fraction)
        actions[:, calm] *= np.float32(CALM)
        mean = search.mean
        if c.noise == "filtered" and c.filter == "released":
            # a_t = beta (mu_t + u_t) + (1 - beta) a_{t-1}, a_{-1} the action executed last: linear, so the mean goes
            # through the filter on its own.
            fading = (1 - c.beta) ** np.arange(1, c.horizon + 1)
            mean = filter_matrix(c.horizon, c.beta) @ mean + fading[:, None] * state.last_action
        actions += mean.astype(np.float32)[:, None]
        return actions.transpose(1, 0, 2)

    def _refine(self, search: Search, candidates: Candidates, returns: Array) -> None:
        c = self.config
        kappa = adapted_kappa(returns, c.effective) if c.effective else c.kappa
        weights = soft_weights(returns, kappa)
        search.mean = np.einsum("n,nha->ha", weights.astype(np.float32), candidates).astype(float)
        alive = weights > 0
        search.predicted_return = float((weights[alive] * returns[alive]).sum())


def soft_weights(returns: Array, kappa: float) -> Array:
    """exp(kappa R) normalised over the finite `returns` [N]; the maximum is subtracted first, so nothing overflows."""
    with np.errstate(over="ignore"):  # far below the maximum: weight 0
        weights: Array = np.exp(kappa * (returns - returns.max()))
    weights /= weights.sum()
    return weights


def adapted_kappa(returns: Array, share: float) -> float:
    """The kappa at which the weights' effective sample size 1 / sum(w^2) is `share` of the finite `returns` [N].

    Bisection on its logarithm, between an almost flat weighting and the best candidate alone.
    """
    finite = returns[np.isfinite(returns)]
    spread = float(finite.max() - finite.min())
    if not (spread > 0 and np.isfinite(spread)):
        return 1.0
    low, high = np.log(1e-3 / spread), np.log(1e6 / spread)
    wanted = max(1.0, share * len(finite))
    for _ in range(12):  # to half a percent of kappa
        middle = (low + high) / 2
        weights = soft_weights(finite, float(np.exp(middle)))
        low, high = (middle, high) if 1 / (weights @ weights) > wanted else (low, middle)
    return float(np.exp((low + high) / 2))
