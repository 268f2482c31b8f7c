# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A model of windows: an ensemble of small networks from what is given to a mixture of Gaussians of what is asked."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mbrl_controller.base.errors import ModelError
from mbrl_controller.dynamics.data import robust_scale
from mbrl_controller.dynamics.head_config import HeadTrainConfig
from mbrl_controller.dynamics.head_network import Block, HeadNetwork, RowLoss, rms
from mbrl_controller.models.heads import HeadSpec
from mbrl_controller.models.window_kinds import KINDS
from mbrl_controller.tasks.spaces import Array, VectorSpec

LOG_STD = -5.0, 3.0  # of an answer, in deviations of what is asked


def window_blocks(spec: HeadSpec) -> list[Block]:
    """The slices that the kind gives its networks, in order; the last state as its change from the first."""
    blocks = {
        "first": Block.of("first", spec.state),
        "last": Block.of("change", spec.state, prefix="change of ", turn="change of "),
        "actions": Block.of(
            "actions", VectorSpec(spec.action_names, spec.action_units), spec.horizon, prefix="target "
        ),
    }
    return [block for name, block in blocks.items() if name in KINDS[spec.kind].seen]


class WindowNetwork(HeadNetwork):
    """Given slices -> parameters [E, N, K (1 + 2 D)]: logits, means and log deviations of K Gaussians of D numbers,
    in deviations of what is asked."""

    target_mean: Tensor
    target_std: Tensor

    def __init__(self, spec: HeadSpec, *, seed: int = 0) -> None:
        kind = KINDS.get(spec.kind)
        if kind is None or kind.is_density:
            raise ModelError(f"a network that answers with what is asked of a window cannot be a {spec.kind}")
        self.asked, self._seed = spec.asked, seed
        super().__init__(spec, spec.members, spec.components * (1 + 2 * spec.asked), seed)
        self.register_buffer("target_mean", torch.zeros(spec.asked))
        self.register_buffer("target_std", torch.ones(spec.asked))

    @classmethod
    def blocks_of(cls, spec: HeadSpec) -> list[Block]:
        return window_blocks(spec)

    def fit_targets(self, target: Array) -> None:
        spec = self.spec
        states = KINDS[spec.kind].asked_states(spec.horizon)
        units = (spec.state_units if states else spec.action_units) * (len(states) or spec.horizon)
        mean, std = robust_scale([target], units)
        self.target_mean.copy_(torch.tensor(mean))
        self.target_std.copy_(torch.tensor(std))
        self._spread(self.scaled_targets(target))

    @torch.no_grad()
    def _spread(self, target: Array) -> None:
        """Let the components begin at answers drawn from scaled targets [N, D]: alike, they would stay alike."""
        K, D = self.spec.components, self.asked
        if K == 1:
            return
        for member in range(self.size):
            rows = np.random.default_rng([self._seed, member]).integers(len(target), size=K)
            self.biases[-1][member, 0, K : K + K * D] = torch.tensor(target[rows].ravel(), dtype=torch.float32)
            self.biases[-1][member, 0, K + K * D :] = -1.0

    def scaled_targets(self, target: Array) -> Array:
        return np.asarray((target - self.target_mean.double().numpy()) / self.target_std.double().numpy())

    def mixture(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Log weights [E, N, K], means and log deviations [E, N, K, D], in deviations of what is asked."""
        K, D = self.spec.components, self.asked
        logit, mean, log_std = self.outputs(features).split([K, K * D, K * D], dim=-1)
        shape = (*logit.shape, D)
        return logit.log_softmax(-1), mean.reshape(shape), log_std.reshape(shape).clamp(*LOG_STD)

    def loss(self, config: HeadTrainConfig) -> RowLoss:
        """Negative log likelihood a number. A single Gaussian's mean learns by squared errors, or it would neglect what
        it first finds hard, and the deviation from what is left."""
        single = self.spec.components == 1

        def of_rows(features: Tensor, target: Tensor) -> Tensor:
            log_weight, mean, log_std = self.mixture(features)
            error = target[..., None, :] - mean
            around = error.detach() if single else error
            log_density = log_weight - (0.5 * (around * (-log_std).exp()).square() + log_std).sum(-1)
            loss = -log_density.logsumexp(-1)
            if single:
                loss = loss + error[..., 0, :].square().sum(-1)
            return loss / self.asked

        return of_rows

    @torch.no_grad()
    def answers(self, *given: Array) -> NDArray[np.float32]:
        """Parameters [N, E, K (1 + 2 D)] of mixtures in the units of what is asked, as the file has them."""
        features = self.scaled_features(*(torch.tensor(np.asarray(v), dtype=torch.float32) for v in given))
        K, D = self.spec.components, self.asked
        logit, mean, log_std = self.outputs(features).split([K, K * D, K * D], dim=-1)
        mean = mean * self.target_std.repeat(K) + self.target_mean.repeat(K)
        log_std = log_std.clamp(*LOG_STD) + self.target_std.log().repeat(K)
        found: NDArray[np.float32] = torch.cat([logit, mean, log_std], -1).transpose(0, 1).numpy()
        return found

    def rounding_scale(self, found: Array) -> Array:
        K, size = self.spec.components, (self.target_std + self.target_mean.abs()).numpy()
        own = np.concatenate([np.ones(K), np.tile(size, K), np.ones(K * self.asked)])
        return np.asarray(10 * (own + np.abs(found)))  # sums of large terms where a component is sure

    def metrics(self, found: Array, target: Array, mean: Array) -> dict[str, float]:
        """Errors over all numbers, in deviations of what is asked: `rmse` of the mixture's mean, `std` of the mean of
        what was learnt from, `nearest_rmse` of the nearest component, `reference_rmse` of asked states' reference,
        which is that nothing moves, or moves straight."""
        K, D = self.spec.components, self.asked
        logit, means = found[..., :K].astype(float), found[..., K : K + K * D].reshape(*found.shape[:2], K, D)
        weight = np.exp(logit - logit.max(-1, keepdims=True))
        weight = weight / weight.sum(-1, keepdims=True) / found.shape[1]
        scale = self.target_std.double().numpy()
        error = ((weight[..., None] * means).sum((1, 2)) - target) / scale
        nearest = np.square((means - target[:, None, None]) / scale).mean(-1).min((1, 2))
        metrics = {"rmse": rms(error), "std": rms((target - mean) / scale)}
        if KINDS[self.spec.kind].asked_states(self.spec.horizon):
            metrics["reference_rmse"] = rms(target / scale)
        return metrics | ({"nearest_rmse": float(np.sqrt(nearest.mean()))} if K * found.shape[1] > 1 else {})
