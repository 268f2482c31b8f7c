# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The simulator whose errors a retrain learns: its file, what is learnt from each transition, and how both are judged.

MuJoCo is imported where it is needed: a retrain without `--residual` does not need it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.base.extras import how_to_install
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.dynamics.data import TransitionSet
from mbrl_controller.dynamics.validation import evaluate, longest_horizon
from mbrl_controller.models.card import IDENTIFIED_FILE
from mbrl_controller.models.fitted import IdentifiedCard
from mbrl_controller.models.identified import NOMINAL, Identified, read_identified
from mbrl_controller.models.loading import LearnedEnsemble
from mbrl_controller.models.origin import simulated_world
from mbrl_controller.models.registry import Registry
from mbrl_controller.models.spec import ModelSpec

JUDGED_WINDOWS = 200  # each step of each is simulated for each member


@dataclass(frozen=True)
class Simulator:
    """Fitted physics, as a version that is made with it keeps them. `content`: of its file."""

    contract: RobotContract
    values: dict[str, float]
    content: bytes
    card: IdentifiedCard

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the file."""
        return self.card.sha256

    @classmethod
    def find(cls, registry: Registry, name: str, contract: RobotContract) -> Simulator:
        """The simulator of the version `name`, or the scene as it is written (`nominal`); raises MbrlError."""
        try:
            from mbrl_controller.simulation.identified import check_world, find_simulated
            from mbrl_controller.simulation.scene import world_digest
        except ModuleNotFoundError as error:
            raise MbrlError(
                f"--residual needs the simulator, for which {error.name} is not installed: {how_to_install('sim')}"
            ) from error
        values = find_simulated(registry, name, contract).values
        if name == NOMINAL:
            world = world_digest(contract)
            found = Identified(task=contract.task.name, robot=contract.file.robot, world=world)
            card = IdentifiedCard(sha256="0" * 64, world=simulated_world(world))
        else:
            version = registry.resolve(contract.task.name, name)
            own = version.card()
            found = read_identified(version, own)
            check_world(found, contract, f"{version.task} {version.name}")
            assert own.identified is not None
            card = own.identified
        content = (found.model_dump_json(indent=2) + "\n").encode()
        digest = hashlib.sha256(content).hexdigest()
        return cls(contract, values, content, card.model_copy(update={"sha256": digest}))

    def learnt(self, data: TransitionSet) -> TransitionSet:
        """The transitions to learn from."""
        from mbrl_controller.simulation.identified import IdentifiedRollout
        from mbrl_controller.training.residual_data import residual_data

        return residual_data(data, IdentifiedRollout(self.contract, self.values), self.contract.task.state)

    def judge(
        self, model: LearnedEnsemble, held_out: TransitionSet, spec: ModelSpec
    ) -> tuple[dict[str, float], dict[str, float]]:
        """Errors on held-out transitions of the simulator with the network, and of the simulator alone."""
        from mbrl_controller.simulation.identified import IdentifiedRollout
        from mbrl_controller.simulation.residual import ResidualRollout, simulated_step

        simulator = IdentifiedRollout(self.contract, self.values)
        both = ResidualRollout(simulator, model, self.contract)
        horizon = longest_horizon(held_out)
        metrics = evaluate(both.predict, held_out, spec, horizon, JUDGED_WINDOWS)
        alone = spec.model_copy(update={"ensemble_size": 1})
        return metrics, evaluate(simulated_step(simulator), held_out, alone, horizon, JUDGED_WINDOWS)

    def write(self, folder: Path) -> None:
        """Write its file beside the version's others."""
        (folder / IDENTIFIED_FILE).write_bytes(self.content)
