# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What the networks of heads share: the encoding of what they are given, scaling, and layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from mbrl_controller.base.errors import ModelError
from mbrl_controller.dynamics.data import robust_scale
from mbrl_controller.dynamics.ensemble import initialise
from mbrl_controller.models.heads import HeadSpec
from mbrl_controller.tasks.spaces import Array, VectorSpec

INPUT_CLAMP = 5.0  # standard deviations, as of the dynamics: limits extrapolation


@dataclass(frozen=True)
class Block:
    """One of the arrays that a network is given, flat: which of its entries are plain, and which are angles."""

    name: str
    linear: list[int]
    angle: list[int]
    units: list[str]  # of the plain ones; a scale is for entries of one unit

    @classmethod
    def of(cls, name: str, layout: VectorSpec, copies: int = 1, prefix: str = "") -> Block:
        """Of `copies` vectors of this layout, one after the other; `prefix` keeps their units apart from others'."""
        size = len(layout)
        linear = [k * size + i for k in range(copies) for i in range(size) if i not in layout.periodic]
        angle = [k * size + i for k in range(copies) for i in layout.periodic]
        return cls(name, linear, angle, [f"{prefix}{layout.units[i % size]}" for i in linear])

    @property
    def width(self) -> int:
        """Number of features."""
        return len(self.linear) + 2 * len(self.angle)


class HeadNetwork(nn.Module):
    """(state [N, S], goal [N, K, G]) -> [E, N, outputs], by E networks of the same shape.

    A subclass may be given other arrays (`blocks_of`). As in the dynamics, a periodic angle is input as sine and cosine
    and everything else in standard deviations, clamped; of the goal likewise, for each of its steps. Contact features
    are left out: a head imitates a planner that has them, and must be small. ReLU between the layers.
    """

    feature_mean: Tensor
    feature_std: Tensor

    def __init__(self, spec: HeadSpec, members: int, outputs: int, seed: int = 0) -> None:
        """Random weights from `seed`, and no scaling yet: see `fit_scaling`."""
        super().__init__()
        self.spec, self.size = spec, members
        self.blocks = self.blocks_of(spec)
        self.feature_units = [
            unit for block in self.blocks
            for unit in (*block.units, *["sin"] * len(block.angle), *["cos"] * len(block.angle))
        ]  # fmt: skip
        F = len(self.feature_units)
        self.register_buffer("feature_mean", torch.zeros(F))
        self.register_buffer("feature_std", torch.ones(F))
        widths = [F, *spec.hidden, outputs]
        self.weights = nn.ParameterList(nn.Parameter(torch.empty(members, i, o)) for i, o in pairwise(widths))
        self.biases = nn.ParameterList(nn.Parameter(torch.empty(members, 1, o)) for o in widths[1:])
        initialise(self.weights, self.biases, seed)

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
    def fit_scaling(self, *given: Array) -> None:
        """Set the scaling of the inputs from what is given, such as states [N, S] and goals [N, K, G]."""
        features = self.features(*(torch.tensor(np.asarray(v), dtype=torch.float32) for v in given))
        mean, std = robust_scale(features.double().numpy(), self.feature_units)
        bounded = np.isin(self.feature_units, ["sin", "cos"])
        mean[bounded], std[bounded] = 0.0, 1.0
        self.feature_mean.copy_(torch.tensor(mean))
        self.feature_std.copy_(torch.tensor(std))

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
