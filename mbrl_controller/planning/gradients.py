# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What planning by gradient asks of an objective: returns with their gradients."""

from __future__ import annotations

import numpy as np

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.models.differentiable import Differentiated
from mbrl_controller.planning.proposals import Candidates, Objective


def gradients_of(objective: Objective, candidates: Candidates) -> Differentiated:
    """Returns [N], -inf where not finite, and gradients [N, H, A], 0 where not finite.

    Raises MbrlError if the objective has no method `gradient`, which returns both.
    """
    differentiate = getattr(objective, "gradient", None)
    if differentiate is None:
        raise MbrlError("this objective has no gradients: plan with one that samples, such as pddm")
    returns, gradients = differentiate(candidates)
    returns = np.where(np.isfinite(returns), returns, -np.inf)
    gradients = np.where(np.isfinite(gradients) & np.isfinite(returns)[:, None, None], gradients, 0.0)
    return returns, gradients
