"""PDDM's planner: temporally filtered noise around a mean, and a softly return-weighted new mean.

Nagabandi et al., "Deep Dynamics Models for Learning Dexterous Manipulation", CoRL 2019. Two filters are in use:
`released` (google-research/pddm) filters the candidate itself, starting from the action executed last; `paper`
filters the noise and adds it to the mean.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from mbrl_controller.planning.base import Planner, PlannerConfig, PlannerState, Search
from mbrl_controller.tasks.spaces import Array


class PddmConfig(PlannerConfig):
    """Defaults are those of the paper's Baoding task, except sigma and beta, which are the release's."""

    kappa: float = Field(default=20.0, gt=0, description="inverse temperature of the return weighting (gamma)")
    sigma: float = Field(default=0.9, gt=0, description="standard deviation of the noise, normalised actions")
    beta: float = Field(default=0.6, gt=0, le=1, description="filter: 1 is white noise, small is smooth")
    filter: Literal["released", "paper"] = "released"
    calm_fraction: float = Field(default=0.1, ge=0, le=1, description="share of candidates with 0.3 sigma")
    keep_mean: bool = Field(default=True, description="let the first candidate be the mean without noise")


class PddmPlanner(Planner):
    """Modified cross-entropy method (also called MPPI in the release)."""

    name = "pddm"
    config_type = PddmConfig
    config: PddmConfig

    def _sample(self, search: Search, state: PlannerState, rng: np.random.Generator) -> Array:
        c = self.config
        noise = rng.standard_normal((c.candidates, c.horizon, self.action_size)) * c.sigma
        calm = int(c.calm_fraction * c.candidates)
        if calm:
            noise[-calm:] *= 0.3
        if c.keep_mean:
            noise[0] = 0.0
        actions = (
            _filter_candidates(search.mean, noise, state.last_action, c.beta)
            if c.filter == "released"
            else (search.mean + _filter_noise(noise, c.beta))
        )
        if c.keep_mean:
            actions[0] = search.mean
        return np.clip(actions, -1.0, 1.0, out=actions)

    def _refine(self, search: Search, candidates: Array, returns: Array) -> None:
        weights = soft_weights(returns, self.config.kappa)
        search.mean = np.tensordot(weights, candidates, axes=1)
        alive = weights > 0
        search.predicted_return = float(weights[alive] @ returns[alive])


def soft_weights(returns: Array, kappa: float) -> Array:
    """exp(kappa R) normalised over the finite `returns` [N]; the maximum is subtracted first, so nothing overflows."""
    weights = np.exp(kappa * (returns - returns.max()))
    return weights / weights.sum()


def _filter_candidates(mean: Array, noise: Array, last_action: Array, beta: float) -> Array:
    """a_t = beta (mu_t + u_t) + (1 - beta) a_{t-1}, a_{-1} the action executed last [N, H, A] (release)."""
    actions = noise + mean
    previous = last_action
    for t in range(actions.shape[1]):
        actions[:, t] *= beta
        actions[:, t] += (1 - beta) * previous
        previous = actions[:, t]
    return actions


def _filter_noise(noise: Array, beta: float) -> Array:
    """n_t = beta u_t + (1 - beta) n_{t-1}, n_{-1} = 0 [N, H, A] (paper)."""
    noise[:, 0] *= beta
    for t in range(1, noise.shape[1]):
        noise[:, t] *= beta
        noise[:, t] += (1 - beta) * noise[:, t - 1]
    return noise
