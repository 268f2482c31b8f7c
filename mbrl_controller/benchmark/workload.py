# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What is planned in the benchmarks: the served models on their tasks, and a network of the paper's size."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mbrl_controller.base.errors import ModelError
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.control.core import ControllerCore
from mbrl_controller.control.heads import Asked
from mbrl_controller.control.safety import Safety, SafetyState
from mbrl_controller.control.steps import Observation
from mbrl_controller.control.task_config import contract_for, planner_defaults
from mbrl_controller.models.loading import LoadedModel, load_model
from mbrl_controller.models.onnx_ensemble import OnnxEnsemble
from mbrl_controller.models.registry import Registry
from mbrl_controller.models.selection import select_model_file
from mbrl_controller.models.spec import ModelSpec, Precision
from mbrl_controller.planning.base import Planner, PlannerState
from mbrl_controller.planning.catalog import make_planner
from mbrl_controller.planning.objective import RolloutObjective
from mbrl_controller.planning.risk import Risk
from mbrl_controller.tasks.baoding import Baoding
from mbrl_controller.tasks.base import Goal
from mbrl_controller.tasks.spaces import ActionSpace, Array, VectorSpec

# The plan of the size in PDDM's paper: its Baoding task.
CANDIDATES, HORIZON = 700, 7
JOINTS, STATES, HIDDEN, MEMBERS = 24, 46, (500, 500), 3


@dataclass(frozen=True)
class Case:
    """One plan, ready to be made again and again: the same each time."""

    name: str
    planner: Planner
    objective: RolloutObjective
    spec: ModelSpec

    def __call__(self) -> None:
        self.planner.plan(self.objective, self.planner.initial_state())

    @property
    def widths(self) -> list[int]:
        """Sizes of a member's layers, input to output."""
        return layer_widths(self.spec)

    @property
    def network(self) -> str:
        """Members and layers: 3x(70-500-500-46)."""
        return f"{self.spec.ensemble_size}x({'-'.join(map(str, self.widths))})"


@dataclass(frozen=True)
class Served:
    """A task's model and controller as the node runs them, with one ONNX Runtime thread."""

    contract: RobotContract
    model: LoadedModel
    core: ControllerCore
    goal: Goal

    def objective(self, state: Array, episode_time: float = 0.0) -> RolloutObjective:
        """The objective of a plan from `state` [S] at `episode_time` (s)."""
        period, horizon = self.contract.action.period, self.core.planner.config.horizon
        return RolloutObjective(
            model=self.model,
            task=self.contract.task,
            action=self.contract.action,
            risk=self.core.config.risk,
            drop_cost=self.core.config.drop_cost,
            state=state,
            goal=self.goal.at(episode_time + period * np.arange(1, horizon + 1)),
        )

    def fresh(self, state: Array, seed: int) -> PlannerState:
        """The planner's memory at the beginning of an episode in `state` [S]."""
        position = state[self.contract.task.joint_positions]
        return self.core.planner.initial_state(seed, self.contract.action.to_normalised(position))

    def rest(self) -> Observation:
        """The neutral pose and zeros: how long a plan takes does not depend on the numbers in it, and a robot has no
        simulator to ask for better ones."""
        state = np.zeros(len(self.contract.task.state))
        state[self.contract.task.joint_positions] = self.contract.action.neutral
        return Observation(state, 0.0)

    def case(self, name: str) -> Case:
        """The plan from rest."""
        return Case(name, self.core.planner, self.objective(self.rest().state), self.model.ensemble.spec)


def layer_widths(spec: ModelSpec) -> list[int]:
    """Sizes of a member's layers, input to output."""
    features = len(spec.state_names) + len(spec.periodic) + len(spec.action_names)
    features += spec.geometry.features if spec.geometry is not None else 0
    return [features, *spec.hidden, len(spec.state_names)]


def served(
    task: str,
    options: dict[str, Any] | None = None,
    file: Path | None = None,
    by_speed: bool = False,
    contract_file: str | None = None,
) -> Served:
    """The current version of `task`, its own planner with `options` changed; raises MbrlError if there is none.

    Args:
        task: its name.
        options: of the planner.
        file: None: the one that rollouts take; with `by_speed`, the one that a controller takes on this processor.
        by_speed: see `file`; and who acts is whom the task's defaults name, not always the planner.
        contract_file: of the robot; None: the task's.
    """
    contract = contract_for(task, Path(contract_file) if contract_file else None)
    defaults = planner_defaults(task, "pddm")
    version = Registry().resolve(task, robot=contract.file.robot)
    planner = make_planner("pddm", len(contract.action), {**defaults.planner_options, **(options or {})})
    size = planner.config.batch, planner.config.horizon
    fits: Any = {"task": contract.task, "action": contract.action}
    if by_speed:
        model = load_model(version, **fits, sandbox_size=size)
    else:
        ensemble = OnnxEnsemble.load(file or select_model_file(version, **fits).file, **fits)
        ensemble.warm_up(*size)
        model = LoadedModel(ensemble, version.name)
    safety = Safety(contract.action, safe=contract.file.command.safe)
    acting: Asked = defaults.policy if by_speed else "controller"
    core = ControllerCore(contract, model, planner, defaults.core, safety, acting=acting)
    safety.change(SafetyState.RUNNING, "benchmark")
    return Served(contract, model, core, contract.task.sample_goal(np.random.default_rng(0)))


def model_files(task: str, contract_file: str | None = None) -> tuple[dict[str, Path], dict[str, str]]:
    """The current version's model files by precision (most have one), and by name why others cannot be served here."""
    files: dict[str, Path] = {}
    refused: dict[str, str] = {}
    contract = contract_for(task, Path(contract_file) if contract_file else None)
    version = Registry().resolve(task, robot=contract.file.robot)
    for file in (version.int8, version.model):
        if not file.exists():
            continue
        try:
            files[OnnxEnsemble.load(file).spec.precision] = file
        except ModelError as error:
            refused[file.name] = str(error)
    return files, refused


class _PaperSizedTask(Baoding):
    """Baoding's reward and drop rule on a state of the paper's size: the further entries are of no interest to them."""

    def __init__(self, joints: tuple[str, ...]) -> None:
        super().__init__(joints)
        more = tuple(f"other{i}.position" for i in range(STATES - len(self.state)))
        self.state = VectorSpec(self.state.names + more, self.state.units + ("m",) * len(more))


def paper_sized(folder: Path, precision: Precision) -> Case:
    """The plan of the size in PDDM's paper, with random weights in a model file in `folder`. Needs torch and onnx."""
    from mbrl_controller.dynamics.ensemble import DynamicsEnsemble
    from mbrl_controller.dynamics.export import export_onnx

    joints = tuple(f"J{i}" for i in range(JOINTS))
    ones = np.ones(JOINTS)
    action = ActionSpace(joints, -ones, ones, 0 * ones, 3 * ones, 0.1)
    task = _PaperSizedTask(joints)
    spec = ModelSpec.of(task, "benchmark", action, MEMBERS, HIDDEN)
    path = folder / f"{precision}.onnx"
    export_onnx(DynamicsEnsemble(spec), spec, path, precision=precision)
    model = LoadedModel(OnnxEnsemble.load(path))
    objective = RolloutObjective(
        model=model,
        task=task,
        action=action,
        risk=Risk(),
        drop_cost=20.0,
        state=np.zeros(STATES),
        goal=task.sample_goal(np.random.default_rng(0)).at(0.1 * np.arange(1, HORIZON + 1)),
    )
    planner = make_planner("pddm", JOINTS, {"num_samples": CANDIDATES, "horizon": HORIZON, "iterations": 1})
    return Case("paper", planner, objective, model.ensemble.spec)
