# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A value: an ensemble of small networks from state and goal to the discounted return to go."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mbrl_controller.base.errors import ModelError
from mbrl_controller.dynamics.head_network import HeadNetwork
from mbrl_controller.models.heads import HeadSpec
from mbrl_controller.tasks.spaces import Array


class ValueNetwork(HeadNetwork):
    """(state [N, S], goal [N, K, G]) -> return to go [V, N], in units of the task's reward."""

    target_mean: Tensor
    target_std: Tensor

    def __init__(self, spec: HeadSpec, *, seed: int = 0) -> None:
        if spec.kind != "value":
            raise ModelError(f"a value network cannot be a {spec.kind}")
        super().__init__(spec, spec.members, 1, seed)
        self.register_buffer("target_mean", torch.zeros(()))
        self.register_buffer("target_std", torch.ones(()))

    def fit_targets(self, target: Array) -> None:
        """Set the scale of the outputs from returns [N]."""
        std = float(np.std(target))
        self.target_mean.fill_(float(np.mean(target)))
        self.target_std.fill_(std if std > 1e-6 * max(1.0, float(np.abs(target).max())) else 1.0)

    def forward(self, state: Tensor, goal: Tensor) -> Tensor:
        return super().forward(state, goal)[..., 0] * self.target_std + self.target_mean

    @torch.no_grad()
    def values(self, state: Array, goal: Array) -> NDArray[np.float32]:
        """Returns [V, N] of states [N, S] and goals [N, K, G] as arrays."""
        found: NDArray[np.float32] = self(
            *(torch.tensor(np.asarray(v), dtype=torch.float32) for v in (state, goal))
        ).numpy()
        return found
