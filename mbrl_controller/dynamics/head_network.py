# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What the networks of heads share: the encoding of what they are given, scaling, layers, and how they are trained."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from mbrl_controller.base.errors import ModelError
from mbrl_controller.dynamics.data import robust_scale
from mbrl_controller.dynamics.ensemble import initialise
from mbrl_controller.dynamics.head_config import HeadTrainConfig
from mbrl_controller.models.heads import HeadSpec
from mbrl_controller.tasks.spaces import Array, VectorSpec

INPUT_CLAMP = 5.0  # standard deviations, as of the dynamics: limits extrapolation

RowLoss = Callable[[Tensor, Tensor], Tensor]  # of scaled features and scaled targets [E, B, ...]: losses [E, B]


@dataclass(frozen=True)
class Block:
    """One of the arrays that a network is given, flat: which of its entries are plain, and which are angles."""

    name: str
    linear: list[int]
    angle: list[int]
    units: list[str]  # of the plain ones; a scale is for entries of one unit
    turn: str = ""  # what keeps the scale of its sines and cosines apart; empty: they have none, being within +-1

    @classmethod
    def of(cls, name: str, layout: VectorSpec, copies: int = 1, prefix: str = "", turn: str = "") -> Block:
        """Of `copies` vectors of this layout, one after the other; `prefix` keeps their units apart from others'."""
        size = len(layout)
        linear = [k * size + i for k in range(copies) for i in range(size) if i not in layout.periodic]
        angle = [k * size + i for k in range(copies) for i in layout.periodic]
        return cls(name, linear, angle, [f"{prefix}{layout.units[i % size]}" for i in linear], turn)

    @property
    def feature_units(self) -> list[str]:
        """Unit of each feature: of the plain entries, sines and cosines."""
        return [*self.units, *[f"{self.turn}sin"] * len(self.angle), *[f"{self.turn}cos"] * len(self.angle)]

    @property
    def width(self) -> int:
        """Number of features."""
        return len(self.linear) + 2 * len(self.angle)


class Encoder(nn.Module, ABC):
    """What E networks are given, as features: a periodic angle is sine and cosine and everything else in standard
    deviations, clamped.

    A subclass says what it learns: targets, their scale, a loss and metrics; the trainer (head_trainer.py) is the same
    for all. The first dimension of each parameter is E.
    """

    feature_mean: Tensor
    feature_std: Tensor

    def __init__(self, spec: HeadSpec, members: int) -> None:
        super().__init__()
        self.spec, self.size = spec, members
        self.blocks = self.blocks_of(spec)
        self.feature_units = [unit for block in self.blocks for unit in block.feature_units]
        F = len(self.feature_units)
        self.register_buffer("feature_mean", torch.zeros(F))
        self.register_buffer("feature_std", torch.ones(F))

    @classmethod
    def blocks_of(cls, spec: HeadSpec) -> list[Block]:
        """What the networks are given, in order. Those of the goal have a scale of their own."""
        return [Block.of("state", spec.state), Block.of("goal", spec.goal, len(spec.goal_steps), "goal ")]

    def features(self, *given: Tensor) -> Tensor:
        """Inputs [N, F] before scaling: of each block, its plain entries, sines and cosines."""
        parts = []
        for block, value in zip(self.blocks, given, strict=True):
            flat = value.flatten(1)
            angle = flat[:, block.angle]
            parts += [flat[:, block.linear], angle.sin(), angle.cos()]
        return torch.cat(parts, -1)

    def scaled_features(self, *given: Tensor) -> Tensor:
        """Inputs of the first layer [N, F]: in standard deviations, clamped."""
        x = (self.features(*given) - self.feature_mean) / self.feature_std
        return x.clamp(-INPUT_CLAMP, INPUT_CLAMP)

    @torch.no_grad()
    def fit_scaling(self, *given: Array) -> None:
        """Set the scaling of the inputs from what is given, such as states [N, S] and goals [N, K, G]."""
        features = self.features(*(torch.tensor(np.asarray(v), dtype=torch.float32) for v in given))
        mean, std = robust_scale([features.double().numpy()], self.feature_units)
        bounded = np.isin(self.feature_units, ["sin", "cos"])
        mean[bounded], std[bounded] = 0.0, 1.0
        self.feature_mean.copy_(torch.tensor(mean))
        self.feature_std.copy_(torch.tensor(std))

    def fit_rows(self, features: Tensor) -> None:
        """Take from scaled features [N, F] of what it learns from where it begins."""

    def fit_targets(self, target: Array) -> None:
        """Set the scale of the outputs from targets [N, D]."""

    def scaled_targets(self, target: Array) -> Array:
        """Targets [N, D] in that scale."""
        return target

    @abstractmethod
    def loss(self, config: HeadTrainConfig) -> RowLoss:
        """The loss that these options ask for."""

    @abstractmethod
    def answers(self, *given: Array) -> Array:
        """What is judged, [N, ...], of what is given as arrays."""

    def rounding_scale(self, found: Array) -> Array:
        """In what the rounding of answers is measured: of the shape of answers, or of one that fits it."""
        return np.ones(1)

    @abstractmethod
    def metrics(self, found: Array, target: Array, mean: Array) -> dict[str, float]:
        """Of answers to rows held out, their targets [N, D], and the mean [D] of the targets learnt from."""


class HeadNetwork(Encoder):
    """(state [N, S], goal [N, K, G]) -> [E, N, outputs], by E networks of the same shape.

    A subclass may be given other arrays (`blocks_of`). Contact features are left out: a head imitates a planner that
    has them, and must be small. ReLU between the layers.
    """

    def __init__(self, spec: HeadSpec, members: int, outputs: int, seed: int = 0) -> None:
        """Random weights from `seed`, and no scaling yet: see `fit_scaling`."""
        super().__init__(spec, members)
        widths = [len(self.feature_units), *spec.hidden, outputs]
        self.weights = nn.ParameterList(nn.Parameter(torch.empty(members, i, o)) for i, o in pairwise(widths))
        self.biases = nn.ParameterList(nn.Parameter(torch.empty(members, 1, o)) for o in widths[1:])
        initialise(self.weights, self.biases, seed)

    def output_weights(self, config: HeadTrainConfig) -> Array:
        """How much each output counts, [outputs]; 1 on average."""
        return np.ones(self.biases[-1].shape[-1])

    def loss(self, config: HeadTrainConfig) -> RowLoss:
        weights = torch.tensor(self.output_weights(config), dtype=torch.float32)
        huber = config.huber

        def of_rows(features: Tensor, target: Tensor) -> Tensor:
            error = self.outputs(features) - target
            size = error.abs()
            squared = (
                error.square()
                if huber is None
                else torch.where(size < huber, size.square(), huber * (2 * size - huber))
            )
            return (squared * weights).mean(-1)

        return of_rows

    def outputs(self, features: Tensor) -> Tensor:
        """Outputs [E, N, outputs] of the last layer from scaled features [N, F], or [E, N, F]."""
        x = features if features.ndim == 3 else features.expand(self.size, *features.shape)
        last = len(self.weights) - 1
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = torch.baddbmm(bias, x, weight)
            if i < last:
                x = x.relu()
        return x

    def forward(self, *given: Tensor) -> Tensor:
        return self.outputs(self.scaled_features(*given))

    @torch.no_grad()
    def load_layers(self, layers: Sequence[tuple[Array, Array]]) -> None:
        """Take the layers of a single network, each (weight [inputs, outputs], bias [outputs]), for all members.

        Raises ModelError if their shapes are not this network's.
        """
        own = [tuple(weight.shape[1:]) for weight in self.weights]
        given = [tuple(np.shape(weight)) for weight, _ in layers]
        if own != given or [shape[1:] for shape in own] != [np.shape(bias) for _, bias in layers]:
            raise ModelError(f"layers of shapes {given} do not fit a {self.spec.kind} with {own}")
        for weight, bias, (values, offset) in zip(self.weights, self.biases, layers, strict=True):
            weight.copy_(torch.tensor(np.asarray(values)).expand_as(weight))
            bias.copy_(torch.tensor(np.asarray(offset)).expand_as(bias))


def rms(error: Array) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(np.square(error, dtype=float))))
