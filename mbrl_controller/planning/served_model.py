"""The models a controller can plan with, with the identity it reports."""

from __future__ import annotations

import numpy as np

from mbrl_controller.planning.onnx_ensemble import OnnxEnsemble
from mbrl_controller.tasks.spaces import Array


class ServedModel:
    """A learned ensemble, by its version."""

    def __init__(self, ensemble: OnnxEnsemble, version: str = "") -> None:
        self.ensemble = ensemble
        self.version = version or ensemble.spec.version or str(ensemble.path)
        self.delta_scale: Array | None = np.asarray(ensemble.spec.delta_scale) if ensemble.spec.delta_scale else None
        self.disagreement_limit = ensemble.spec.disagreement_limit

    def rollout(self, state: Array, actions: Array) -> Array:
        """States [E, N, H, S] after targets [N, H, A] from state [S]."""
        return self.ensemble.rollout(state, actions)
