# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""An ensemble of small networks with one number as output, in units of reward."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mbrl_controller.dynamics.head_network import HeadNetwork
from mbrl_controller.models.heads import HeadSpec
from mbrl_controller.tasks.spaces import Array


class ScalarNetwork(HeadNetwork):
    """What it is given -> a number [V, N] of each of the spec's members."""

    target_mean: Tensor
    target_std: Tensor

    def __init__(self, spec: HeadSpec, *, seed: int = 0) -> None:
        super().__init__(spec, spec.members, 1, seed)
        self.register_buffer("target_mean", torch.zeros(()))
        self.register_buffer("target_std", torch.ones(()))

    def fit_targets(self, target: Array) -> None:
        """Set the scale of the outputs from targets [N]."""
        std = float(np.std(target))
        self.target_mean.fill_(float(np.mean(target)))
        self.target_std.fill_(std if std > 1e-6 * max(1.0, float(np.abs(target).max())) else 1.0)

    def forward(self, *given: Tensor) -> Tensor:
        return super().forward(*given)[..., 0] * self.target_std + self.target_mean

    @torch.no_grad()
    def answers(self, *given: Array) -> NDArray[np.float32]:
        """Numbers [V, N] of what is given as arrays."""
        found: NDArray[np.float32] = self(*(torch.tensor(np.asarray(v), dtype=torch.float32) for v in given)).numpy()
        return found
