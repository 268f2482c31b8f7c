# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The simulator and an ensemble that learned what it misses, as one planning model.

Each member follows its own way: every step is one of the simulator and one of the network, from the member's corrected
state. So a plan costs as many simulated steps as members times candidates times horizon; the networks are a small part.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mbrl_controller.base.errors import ModelError
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.models.card import Version
from mbrl_controller.models.files import ModelFile
from mbrl_controller.models.loading import LearnedEnsemble, load_ensemble
from mbrl_controller.models.residual import corrected
from mbrl_controller.simulation.identified import IdentifiedRollout
from mbrl_controller.tasks.spaces import Array


class ResidualRollout:
    """Implements planning's RolloutModel and control's ControlModel."""

    def __init__(self, simulator: IdentifiedRollout, ensemble: LearnedEnsemble, contract: RobotContract) -> None:
        self.simulator, self.ensemble, self._layout = simulator, ensemble, contract.task.state
        self.version, self.latency = simulator.version, simulator.latency
        spec = ensemble.spec
        self.delta_scale: Array | None = np.asarray(spec.delta_scale) if spec.delta_scale else None
        self.disagreement_limit = spec.disagreement_limit

    def rollout(self, state: Array, actions: Array) -> Array:
        """States [E, N, H, S] after each of the targets `actions` [N, H, A] (rad) from the measured state [S]."""
        members, (count, horizon) = self.ensemble.size, actions.shape[:2]
        start = self.simulator.start
        physics = np.repeat(start.physics(np.asarray(state, dtype=float)[None]), members * count, axis=0)
        now = np.broadcast_to(np.asarray(state, dtype=float), (members, count, len(state)))
        states = np.empty((members, count, horizon, len(state)))
        for step in range(horizon):
            physics, simulated = self.simulator.step(physics, np.tile(actions[:, step], (members, 1)))
            now = self._correct(now, simulated.reshape(now.shape), actions[:, step])
            states[:, :, step] = now
            # What is not measured goes on as simulated.
            physics = start.overwrite(physics, now.reshape(len(physics), -1))
        return states

    def predict(self, state: Array, action: Array) -> Array:
        """Next states [E, N, S] of measured states [E, N, S] under targets [N, A]: one period, to be judged by."""
        return self._correct(state, simulated_step(self.simulator)(state, action), action)

    def _correct(self, state: Array, simulated: Array, action: Array) -> Array:
        seen = state.astype(np.float32)
        return corrected(self._layout, seen, simulated, self.ensemble.predict(seen, action))

    def close(self) -> None:
        """End the threads."""
        self.simulator.close()


def simulated_step(simulator: IdentifiedRollout) -> Callable[[Array, Array], Array]:
    """One period of the simulator alone, as a predictor: (states [E, N, S], targets [N, A]) -> next states."""

    def predict(state: Array, action: Array) -> Array:
        physics = simulator.start.physics(state.reshape(-1, state.shape[-1]))
        return simulator.step(physics, np.tile(action, (len(state), 1)))[1].reshape(state.shape)

    return predict


def read_residual(version: Version) -> ModelFile:
    """The network of a version that predicts what its simulator misses; raises ModelError for any other version."""
    card = version.card()
    if card.model_sha256 is None or card.identified is None or not card.spec.residual_to:
        raise ModelError(
            f"{version.task} {version.name} has no network that corrects a simulator: `mbrl retrain {version.task} "
            "--residual VERSION` makes a version that has"
        )
    return version.read(version.model, card)


def load_residual(
    contract: RobotContract, values: dict[str, float], version: str, file: ModelFile, backend: str = "onnx",
    threads: int = 1,
) -> ResidualRollout:  # fmt: skip
    """A residual model; raises ModelError.

    Args:
        contract: of the hand.
        values: of the simulator's fitted parameters.
        version: that both are of.
        file: of the network.
        backend: see `load_ensemble`.
        threads: of the simulator and of the network.
    """
    ensemble = load_ensemble(file, backend, task=contract.task, action=contract.action, threads=threads)
    if not ensemble.spec.residual_to:
        raise ModelError(f"{file.path}: it predicts the whole change, not what a simulator misses")
    return ResidualRollout(IdentifiedRollout(contract, values, version, threads), ensemble, contract)
