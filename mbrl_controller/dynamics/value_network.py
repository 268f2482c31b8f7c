# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A value: an ensemble of small networks from state and goal to the discounted return to go."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mbrl_controller.base.errors import ModelError
from mbrl_controller.dynamics.scalar_network import ScalarNetwork
from mbrl_controller.models.heads import HeadSpec
from mbrl_controller.tasks.spaces import Array


class ValueNetwork(ScalarNetwork):
    """(state [N, S], goal [N, K, G]) -> return to go [V, N], in units of the task's reward."""

    def __init__(self, spec: HeadSpec, *, seed: int = 0) -> None:
        if spec.kind != "value":
            raise ModelError(f"a value network cannot be a {spec.kind}")
        super().__init__(spec, seed=seed)

    def values(self, state: Array, goal: Array) -> NDArray[np.float32]:
        """Returns [V, N] of states [N, S] and goals [N, K, G] as arrays."""
        return self.answers(state, goal).T
