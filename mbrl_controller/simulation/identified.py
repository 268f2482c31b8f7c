# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The simulator with fitted parameters as a planning model, from the measured state.

Unlike the oracle it knows no more than a controller does: what the state does not measure is estimated
(measured_start.py). Command latency is not simulated: the controller bridges it, as for any model (`delay_s`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from mbrl_controller.base.errors import ContractError, ModelError
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.models.identified import NOMINAL, Identified, read_identified
from mbrl_controller.models.registry import Registry
from mbrl_controller.simulation.many_worlds import ManyWorlds
from mbrl_controller.simulation.measured_start import MeasuredStart
from mbrl_controller.simulation.physical_parameters import LATENCY, FittedModels, fitted_options
from mbrl_controller.simulation.scene import load_scene, world_digest
from mbrl_controller.tasks.spaces import Array


class IdentifiedRollout:
    """Implements planning's RolloutModel and control's ControlModel, with one member and no disagreement."""

    delta_scale: Array | None = None
    disagreement_limit: float | None = None

    def __init__(
        self, contract: RobotContract, values: Mapping[str, float], version: str = "", threads: int = 1
    ) -> None:
        """
        Args:
            contract: of the hand; it says which world.
            values: of the fitted parameters; the others are the scene's.
            version: that they are of.
            threads: that step the candidates.

        Raises:
            MbrlError: there is no such world, or no such parameter.
        """
        self.version = version
        self.latency = float(values.get(LATENCY, 0.0))  # s, for the controller to bridge
        scene = load_scene(contract)
        self.worlds = ManyWorlds(scene, contract.action, threads)
        self.start = MeasuredStart(scene, contract, self.worlds)
        self.model = FittedModels(scene).model(values)

    def rollout(self, state: Array, actions: Array) -> Array:
        """States [1, N, H, S] after each of the targets `actions` [N, H, A] (rad) from the measured state [S]."""
        count, horizon = actions.shape[:2]
        physics = np.repeat(self.start.physics(np.asarray(state, dtype=float)[None]), count, axis=0)
        states = np.empty((1, count, horizon, len(state)))
        for step in range(horizon):
            physics, states[0, :, step] = self.step(physics, actions[:, step])
        return states

    def step(self, physics: Array, target: Array) -> tuple[Array, Array]:
        """Physics [N, size] and states [N, S] one period after targets [N, A] (rad)."""
        return self.worlds.step(self.model, physics, target, self.start.ctrl)

    def close(self) -> None:
        """End the threads."""
        self.worlds.close()


def check_world(found: Identified, contract: RobotContract, where: str) -> None:
    """Raises ModelError if parameters were fitted to another world than the contract's, as its files are now."""
    try:
        own = world_digest(contract)
    except ContractError as error:
        raise ModelError(f"{where}: the simulator plans with it, but {error}") from error
    if found.robot != contract.file.robot or found.world != own:
        raise ModelError(
            f"{where}: its parameters are of robot {found.robot!r} in world {found.world[:16]}, the contract's are "
            f"{contract.file.robot!r} in {own[:16]}: fit them again (mbrl identify {found.task})"
        )


@dataclass(frozen=True)
class SimulatedModel:
    """A version's simulator, or the scene as it is written: what a rollout or a node plans with."""

    version: str
    values: dict[str, float] = field(default_factory=dict)  # of the fitted parameters
    digest: str = ""  # SHA-256 (hex) of the file that has them

    @property
    def latency(self) -> float:
        """From a command to its effect (s)."""
        return float(self.values.get(LATENCY, 0.0))


def find_simulated(registry: Registry, name: str, contract: RobotContract) -> SimulatedModel:
    """The simulator of a version, or of `nominal`; raises MbrlError.

    Args:
        registry: of the versions.
        name: of the version; `nominal`: the scene as it is written; `current`: if it has fitted parameters.
        contract: of the hand that it plans for.
    """
    if name == NOMINAL:
        return SimulatedModel(NOMINAL)
    version = registry.resolve(contract.task.name, name)
    card = version.card()
    found = read_identified(version, card)
    check_world(found, contract, f"{version.task} {version.name}")
    fitted_options(found.options)  # names and ranges that this release does not know are said here
    assert card.identified is not None
    return SimulatedModel(version.name, found.options, card.identified.sha256)
