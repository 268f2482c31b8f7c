# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""PDDM's planner: temporally filtered noise around a mean, and a return-weighted soft mean of all candidates.

Nagabandi et al., "Deep Dynamics Models for Learning Dexterous Manipulation", CoRL 2019. Its filter has two variants:
`released` (google-research/pddm) filters the candidate itself, starting from the last executed action; `paper` filters
the noise and adds it to the mean. Other kinds of noise are also added to the mean.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from mbrl_controller.base.units import Number, Unit
from mbrl_controller.planning.base import PlannerState
from mbrl_controller.planning.gaussian import GaussianConfig, GaussianPlanner
from mbrl_controller.planning.noise import filter_matrix
from mbrl_controller.planning.sampling import Candidates, Search
from mbrl_controller.tasks.spaces import Array

LOW_NOISE = 0.3  # of sigma, for the low-noise candidates (release)


class PddmConfig(GaussianConfig):
    """Defaults of the paper's Baoding task; sigma and beta are the released code's."""

    inverse_temperature: Annotated[float, Unit("1 / reward")] = Field(
        default=20.0, gt=0, description="inverse temperature of the return weights (gamma in the paper)"
    )
    ess_fraction: Number = Field(
        default=0.0,
        ge=0,
        le=1,
        description="effective sample size of the return weights, as a share of the samples: sets the temperature; "
        "0: inverse_temperature does",
    )
    proposal_ess_fraction: Number = Field(
        default=0.0, ge=0, le=1, description="ess_fraction where a policy proposes; 0: the same as elsewhere"
    )
    filter_variant: Literal["released", "paper"] = Field(
        default="released",
        description="filter the actions, as PDDM's released code, or the noise, as its paper",
    )
    low_noise_fraction: Number = Field(default=0.1, ge=0, le=1, description="share of the samples drawn with 0.3 sigma")


class PddmPlanner(GaussianPlanner):
    """Draws filtered noise around the mean; the next mean weights all candidates by exp(return). Also called MPPI."""

    name = "pddm"
    config_type = PddmConfig
    config: PddmConfig

    def _sample(self, search: Search, state: PlannerState, rng: np.random.Generator, count: int) -> Array:
        c = self.config
        mean = search.mean
        if c.noise == "filtered" and c.filter_variant == "released":
            # a_t = beta (mu_t + u_t) + (1 - beta) a_{t-1}, a_{-1} the last executed action. The filter is linear: mean
            # and noise are filtered separately.
            fading = (1 - c.beta) ** np.arange(1, c.horizon + 1)
            mean = filter_matrix(c.horizon, c.beta) @ mean + fading[:, None] * state.last_action
        return self._sample_around(mean, search, state, rng, count)

    def _sample_around(
        self, centre: Array, search: Search, state: PlannerState, rng: np.random.Generator, count: int
    ) -> Array:
        """`centre` is not filtered: a proposal that holds should be proposed as it is."""
        c = self.config
        actions = self._noise(rng, count)
        # Spread over the chunk, so that a chunk of any size has its share of low-noise candidates.
        low = np.flatnonzero((np.arange(count) + 0.5) * c.low_noise_fraction % 1 >= 1 - c.low_noise_fraction)
        actions[:, low] *= np.float32(LOW_NOISE)
        actions += centre.astype(np.float32)[:, None]
        return actions.transpose(1, 0, 2)

    def _refine(self, search: Search, candidates: Candidates, returns: Array) -> None:
        c = self.config
        share = c.ess_fraction
        if search.proposals is not None and c.proposal_ess_fraction:
            share = c.proposal_ess_fraction
        weights = soft_weights(returns, adapted_inverse_temperature(returns, share) if share else c.inverse_temperature)
        search.mean = np.einsum("n,nha->ha", weights.astype(np.float32), candidates).astype(float)
        alive = weights > 0
        search.predicted_return = float((weights[alive] * returns[alive]).sum())


def soft_weights(returns: Array, inverse_temperature: float) -> Array:
    """exp(inverse_temperature R), normalised over the finite `returns` [N]; without overflow."""
    with np.errstate(over="ignore"):  # far below the maximum: weight 0
        weights: Array = np.exp(inverse_temperature * (returns - returns.max()))
    weights /= weights.sum()
    return weights


def adapted_inverse_temperature(returns: Array, share: float) -> float:
    """The inverse temperature at which the effective sample size 1 / sum(w^2) is `share` of the finite `returns` [N].

    Bisects its logarithm, between almost flat weights and the best candidate alone.
    """
    finite = returns[np.isfinite(returns)]
    spread = float(finite.max() - finite.min())
    if not (spread > 0 and np.isfinite(spread)):
        return 1.0
    low, high = np.log(1e-3 / spread), np.log(1e6 / spread)
    wanted = max(1.0, share * len(finite))
    below = finite - finite.max()
    with np.errstate(under="ignore", over="ignore"):  # far below the maximum: weight 0
        for _ in range(12):  # to half a percent
            middle = (low + high) / 2
            weights = np.exp(np.exp(middle) * below)  # not normalised: that cancels
            size = weights.sum() ** 2 / (weights @ weights)
            low, high = (middle, high) if size > wanted else (low, middle)
    return float(np.exp((low + high) / 2))
