# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The ends of a policy network for an actor that another library trains between them: its input, and its file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mbrl_controller.base.errors import ModelError
from mbrl_controller.dynamics.head_export import export_head
from mbrl_controller.dynamics.policy_network import PolicyNetwork
from mbrl_controller.models.files import ModelFile
from mbrl_controller.models.heads import HeadSpec
from mbrl_controller.tasks.spaces import Array

Float32 = NDArray[np.float32]
Layer = tuple[Float32, Float32]  # weight [out, in], bias [out]


class ActorInput:
    """From (state [..., S], goal [..., K, G]) to the features [..., F] that a policy network's first layer gets."""

    def __init__(self, spec: HeadSpec, states: Array, goals: Array) -> None:
        """Scaled by `states` [N, S] and `goals` [M, K, G] as they occur; raises ModelError for too few."""
        if len(states) < 2 or len(goals) < 2:
            raise ModelError(f"policy: {len(states)} states and {len(goals)} goals are too few to scale its input by")
        self.spec = spec
        self._network = PolicyNetwork(spec, limit="tanh").requires_grad_(False)
        rows = max(len(states), len(goals))
        self._network.fit_scaling(*(np.resize(v, (rows, *np.shape(v)[1:])) for v in (states, goals)))

    @property
    def size(self) -> int:
        """Number of features (F)."""
        return len(self._network.feature_units)

    @torch.no_grad()
    def __call__(self, states: Array, goals: Array) -> Float32:
        before = np.shape(states)[:-1]
        flat = (np.reshape(states, (-1, np.shape(states)[-1])), np.reshape(goals, (-1, *np.shape(goals)[-2:])))
        found = self._network.scaled_features(*(torch.tensor(v, dtype=torch.float32) for v in flat))
        features: Float32 = found.numpy().reshape(*before, -1)
        return features

    def export(self, path: Path, layers: Sequence[Layer], spec: HeadSpec | None = None) -> ModelFile:
        """Write the policy with an actor's `layers`, ReLU between them and tanh after the last, as `export_head` does.

        Raises ModelError where they do not fit; nothing is written then.
        """
        self._network.load_layers([(weight.T, bias) for weight, bias in layers])
        return export_head(self._network, path, spec)
