# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What the networks of policies and values share: the encoding of state and goal, scaling, and layers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from mbrl_controller.base.errors import ModelError
from mbrl_controller.dynamics.data import robust_scale
from mbrl_controller.dynamics.ensemble import initialise
from mbrl_controller.models.heads import HeadSpec
from mbrl_controller.tasks.spaces import Array

INPUT_CLAMP = 5.0  # standard deviations, as of the dynamics: limits extrapolation


class HeadNetwork(nn.Module):
    """(state [N, S], goal [N, K, G]) -> [E, N, outputs], by E networks of the same shape.

    As in the dynamics, a periodic angle is input as sine and cosine and everything else in standard deviations,
    clamped; of the goal likewise, for each of its steps. Contact features are left out: a head imitates a planner that
    has them, and must be small. ReLU between the layers.
    """

    feature_mean: Tensor
    feature_std: Tensor

    def __init__(self, spec: HeadSpec, members: int, outputs: int, seed: int = 0) -> None:
        """Random weights from `seed`, and no scaling yet: see `fit_scaling`."""
        super().__init__()
        self.spec, self.size = spec, members
        S, K, G = len(spec.state_names), len(spec.goal_steps), len(spec.goal_names)
        self.state_linear = [i for i in range(S) if i not in spec.periodic]
        self.goal_linear = [k * G + i for k in range(K) for i in range(G) if i not in spec.goal_periodic]
        self.goal_angle = [k * G + i for k in range(K) for i in spec.goal_periodic]
        # Those of the goal have a scale of their own.
        self.feature_units = [spec.state_units[i] for i in self.state_linear]
        self.feature_units += ["sin"] * len(spec.periodic) + ["cos"] * len(spec.periodic)
        self.feature_units += [f"goal {spec.goal_units[i % G]}" for i in self.goal_linear]
        self.feature_units += ["sin"] * len(self.goal_angle) + ["cos"] * len(self.goal_angle)
        F = len(self.feature_units)
        self.register_buffer("feature_mean", torch.zeros(F))
        self.register_buffer("feature_std", torch.ones(F))
        widths = [F, *spec.hidden, outputs]
        self.weights = nn.ParameterList(nn.Parameter(torch.empty(members, i, o)) for i, o in pairwise(widths))
        self.biases = nn.ParameterList(nn.Parameter(torch.empty(members, 1, o)) for o in widths[1:])
        initialise(self.weights, self.biases, seed)

    def features(self, state: Tensor, goal: Tensor) -> Tensor:
        """Inputs [N, F] before scaling: plain entries, sines and cosines of the state, then of the goals."""
        goals = goal.flatten(1)
        angle, goal_angle = state[:, list(self.spec.periodic)], goals[:, self.goal_angle]
        own = [state[:, self.state_linear], angle.sin(), angle.cos()]
        return torch.cat([*own, goals[:, self.goal_linear], goal_angle.sin(), goal_angle.cos()], -1)

    def scaled_features(self, state: Tensor, goal: Tensor) -> Tensor:
        """Inputs of the first layer [N, F]: in standard deviations, clamped."""
        x = (self.features(state, goal) - self.feature_mean) / self.feature_std
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

    def forward(self, state: Tensor, goal: Tensor) -> Tensor:
        return self.outputs(self.scaled_features(state, goal))

    @torch.no_grad()
    def fit_scaling(self, state: Array, goal: Array) -> None:
        """Set the scaling of the inputs from states [N, S] and goals [N, K, G]."""
        features = self.features(*(torch.tensor(np.asarray(v), dtype=torch.float32) for v in (state, goal)))
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
