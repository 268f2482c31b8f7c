# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The models a controller can plan with, with the identity it reports."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mbrl_controller.models.spec import ModelSpec
from mbrl_controller.tasks.spaces import Array


class LearnedEnsemble(Protocol):
    """What every backend makes of a model file; sizes, units and errors are those of OnnxEnsemble."""

    spec: ModelSpec
    path: Path
    digest: str
    size: int
    delta_scale: Array

    def predict(self, state: Array, action: Array) -> NDArray[np.float32]: ...

    def rollout(self, state: Array, actions: Array) -> NDArray[np.float32]: ...

    def warm_up(self, candidates: int, horizon: int, repeats: int = 3) -> None: ...


class ServedModel:
    """A learned ensemble, by its version."""

    def __init__(self, ensemble: LearnedEnsemble, version: str = "") -> None:
        self.ensemble = ensemble
        self.version = version or ensemble.spec.version or str(ensemble.path)
        self.delta_scale: Array | None = np.asarray(ensemble.spec.delta_scale) if ensemble.spec.delta_scale else None
        self.disagreement_limit = ensemble.spec.disagreement_limit

    def rollout(self, state: Array, actions: Array) -> Array:
        """States [E, N, H, S] after targets [N, H, A] from state [S]."""
        return self.ensemble.rollout(state, actions)
