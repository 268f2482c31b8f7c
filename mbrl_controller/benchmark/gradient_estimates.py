# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Ways to estimate where a plan should go, each at the same number of model samples.

"Do Differentiable Simulators Give Better Policy Gradients?" (ICML 2022) compares the first two: both
estimate the gradient of the return averaged over noise on the plan, E R(a + sigma u).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mbrl_controller.planning.gradients import gradients_of
from mbrl_controller.planning.objective import RolloutObjective
from mbrl_controller.planning.pddm import adapted_inverse_temperature, soft_weights
from mbrl_controller.tasks.spaces import Array

SIGMA = 0.1  # of the noise on a plan, normalised actions
ESS_SHARE = 0.15  # effective sample size of the soft weights, as the valve's planner has it
Estimate = Callable[[RolloutObjective, Array, int, np.random.Generator], Array]


def backpropagated(objective: RolloutObjective, plan: Array, samples: int, rng: np.random.Generator) -> Array:
    """The mean of the gradients at plans with noise; a gradient counts as two samples, there and back."""
    noise = rng.standard_normal((max(1, samples // 2), *plan.shape))
    gradients: Array = gradients_of(objective, _clipped(plan + SIGMA * noise))[1].mean(0)
    return gradients


def score_function(objective: RolloutObjective, plan: Array, samples: int, rng: np.random.Generator) -> Array:
    """E (R(a + sigma u) - R(a - sigma u)) u / (2 sigma), from returns alone."""
    noise = rng.standard_normal((samples // 2, *plan.shape))
    ahead, behind = np.split(objective(_clipped(np.concatenate([plan + SIGMA * noise, plan - SIGMA * noise]))), 2)
    return np.asarray(np.einsum("n,nha->ha", (ahead - behind) / (2 * SIGMA * len(noise)), noise))


def soft_weighted(objective: RolloutObjective, plan: Array, samples: int, rng: np.random.Generator) -> Array:
    """Where a sampling planner's softly weighted mean moves; only its direction is a gradient's."""
    noise = rng.standard_normal((samples, *plan.shape))
    returns = np.asarray(objective(_clipped(plan + SIGMA * noise)), dtype=float)
    weights = soft_weights(returns, adapted_inverse_temperature(returns, ESS_SHARE))
    return np.asarray(np.einsum("n,nha->ha", weights, noise) / SIGMA)


ESTIMATES: dict[str, Estimate] = {
    "gradient": backpropagated,
    "score function": score_function,
    "soft-weighted": soft_weighted,
}


def cosine(one: Array, other: Array) -> float:
    """Of the angle between two gradients of any shape; NaN if one of them is zero."""
    a, b = np.ravel(one), np.ravel(other)
    sizes = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / sizes if sizes > 0 else float("nan")


def _clipped(candidates: Array) -> Array:
    return np.clip(candidates, -1.0, 1.0).astype(np.float32)
