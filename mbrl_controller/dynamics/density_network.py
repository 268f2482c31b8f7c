# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The density of windows: a mixture of Gaussians over all that they are, in whitened features."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mbrl_controller.base.errors import ModelError
from mbrl_controller.dynamics.ensemble import stream_seed
from mbrl_controller.dynamics.head_config import HeadTrainConfig
from mbrl_controller.dynamics.head_network import Block, Encoder, RowLoss
from mbrl_controller.dynamics.window_network import window_blocks
from mbrl_controller.models.heads import HeadSpec
from mbrl_controller.models.window_kinds import KINDS
from mbrl_controller.tasks.spaces import Array

LOG_STD = -3.0, 3.0  # of a component, in whitened units
_SHRINKAGE = (
    1e-3  # of the features' covariance towards the identity: directions that hardly vary are not all that counts
)


class DensityNetwork(Encoder):
    """Windows -> log density of E mixtures of K Gaussians, each with a deviation of its own in each whitened direction.

    Whitening takes what is linear between state, command and change out of them, so that one Gaussian is the joint
    Gaussian; more components are for what is not.
    """

    centre: Tensor
    rotation: Tensor

    def __init__(self, spec: HeadSpec, *, seed: int = 0) -> None:
        kind = KINDS.get(spec.kind)
        if kind is None or not kind.is_density or spec.hidden:
            raise ModelError(f"a density has a kind with nothing given, and no hidden layers; not a {spec.kind}")
        super().__init__(spec, spec.members)
        E, K, F = spec.members, spec.components, len(self.feature_units)
        self.register_buffer("centre", torch.zeros(F))
        self.register_buffer("rotation", torch.eye(F))
        self.logits = nn.Parameter(torch.zeros(E, K))
        self.means = nn.Parameter(torch.zeros(E, K, F))
        self.log_stds = nn.Parameter(torch.zeros(E, K, F))
        self._seed = seed

    @classmethod
    def blocks_of(cls, spec: HeadSpec) -> list[Block]:
        return window_blocks(spec)

    @torch.no_grad()
    def fit_rows(self, features: Tensor) -> None:
        """Whiten; the first component begins as the joint Gaussian, the others at windows drawn at random."""
        x = features.double()
        self.centre.copy_(x.mean(0))
        covariance = torch.cov(x.T).reshape(x.shape[1], x.shape[1]) if len(x) > 1 else torch.zeros(x.shape[1])
        values, vectors = torch.linalg.eigh(covariance + _SHRINKAGE * torch.eye(x.shape[1], dtype=x.dtype))
        self.rotation.copy_(vectors / values.sqrt())
        for member in range(self.size):
            source = torch.Generator().manual_seed(stream_seed(self._seed, member))
            rows = torch.randint(len(features), (self.spec.components,), generator=source)
            self.means[member] = 0.7 * self.whitened(features[rows])
            self.means[member, 0] = 0.0

    def whitened(self, features: Tensor) -> Tensor:
        """Scaled features [..., F] with the identity as covariance."""
        return (features - self.centre) @ self.rotation

    def components(self, features: Tensor) -> Tensor:
        """Log density [E, N, K] of each component times its weight, from scaled features [N, F], or [E, N, F]."""
        z = self.whitened(features)
        z = z if z.ndim == 3 else z.expand(self.size, *z.shape)
        log_std = self.log_stds.clamp(*LOG_STD)
        precision = (-2 * log_std).exp()
        squares = torch.bmm(z.square(), precision.mT) - 2 * torch.bmm(z, (precision * self.means).mT)
        return self.constants()[:, None] - 0.5 * squares

    def constants(self) -> Tensor:
        """What does not depend on a window, [E, K]."""
        log_std = self.log_stds.clamp(*LOG_STD)
        size = (self.means * (-log_std).exp()).square().sum(-1)
        normal = log_std.sum(-1) + 0.5 * math.log(2 * math.pi) * log_std.shape[-1]
        return self.logits.log_softmax(-1) - normal - 0.5 * size

    def loss(self, config: HeadTrainConfig) -> RowLoss:
        """Negative log likelihood a feature."""
        return lambda features, target: -self.components(features).logsumexp(-1) / features.shape[-1]

    @torch.no_grad()
    def answers(self, *given: Array) -> NDArray[np.float32]:
        """Log density [N, E K] of each component times its weight, as the file has them."""
        features = self.scaled_features(*(torch.tensor(np.asarray(v), dtype=torch.float32) for v in given))
        found: NDArray[np.float32] = self.components(features).transpose(0, 1).flatten(1).numpy()
        return found

    def rounding_scale(self, found: Array) -> Array:
        return 100.0 + np.abs(found)  # differences of sums of squares

    def metrics(self, found: Array, target: Array, mean: Array) -> dict[str, float]:
        """`log_density`: mean over the windows held out, a feature; `limit`: under it are 1 % of these windows."""
        per_member = found.reshape(len(found), self.size, -1).astype(float)
        most = per_member.max((1, 2), keepdims=True)
        total = most[:, 0, 0] + np.log(np.exp(per_member - most).sum((1, 2)) / self.size)
        limit = float(np.quantile(total, 0.01))
        return {"log_density": float(total.mean()) / len(self.feature_units), "limit": limit}
