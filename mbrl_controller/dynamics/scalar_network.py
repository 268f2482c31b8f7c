# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""An ensemble of small networks with one number as output, in units of reward."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mbrl_controller.dynamics.head_network import HeadNetwork, rms
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
        std = float(np.std(target))
        self.target_mean.fill_(float(np.mean(target)))
        self.target_std.fill_(std if std > 1e-6 * max(1.0, float(np.abs(target).max())) else 1.0)

    def forward(self, *given: Tensor) -> Tensor:
        return super().forward(*given)[..., 0] * self.target_std + self.target_mean

    def scaled_targets(self, target: Array) -> Array:
        return np.asarray((target - float(self.target_mean)) / float(self.target_std))

    @torch.no_grad()
    def answers(self, *given: Array) -> NDArray[np.float32]:
        """Numbers [N, V] of what is given as arrays."""
        found: NDArray[np.float32] = self(*(torch.tensor(np.asarray(v), dtype=torch.float32) for v in given)).numpy()
        return found.T

    def rounding_scale(self, found: Array) -> Array:
        return np.array([float(self.target_std) + float(self.target_mean.abs())])

    def metrics(self, found: Array, target: Array, mean: Array) -> dict[str, float]:
        """`value_rmse` (of the members' mean; `reward_` of a reward), `value_std` (error of the targets' mean),
        `value_correlation` (where both vary), `member_std` (mean standard deviation of the members)."""
        name, answer, true = self.spec.kind, found.mean(axis=1), target[:, 0]
        metrics = {
            f"{name}_rmse": rms(answer - true),
            f"{name}_std": rms(true - mean[0]),
            "member_std": float(found.std(axis=1).mean()),
        }
        if np.std(answer) and np.std(true):
            metrics[f"{name}_correlation"] = float(np.corrcoef(answer, true)[0, 1])
        return metrics
