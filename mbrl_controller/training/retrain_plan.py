# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What a retrain will do, and whether it can: everything that is known before an episode is read."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mbrl_controller.base.errors import DatasetError, MbrlError, RegistryError
from mbrl_controller.base.resources import home_dir
from mbrl_controller.base.run_folder import PLAN_FILE
from mbrl_controller.contract.contract import RobotContract, parse_contract
from mbrl_controller.control.task_config import contract_for, planner_defaults, task_defaults
from mbrl_controller.dynamics.ensemble import DynamicsEnsemble
from mbrl_controller.dynamics.import_onnx import weights_of
from mbrl_controller.dynamics.loss import RolloutLoss
from mbrl_controller.dynamics.train_config import TrainConfig
from mbrl_controller.dynamics.weights import Weights
from mbrl_controller.models.files import ModelFile
from mbrl_controller.models.registry import Registry, Version
from mbrl_controller.models.spec import ModelSpec, describe_validation
from mbrl_controller.planning.catalog import make_planner
from mbrl_controller.training.dataset import episode_files
from mbrl_controller.training.parent import find_parent, simulated_shape
from mbrl_controller.training.quantise import PLANNER

Precision = Literal["auto", "fp32"]  # auto: an 8-bit file beside the fp32 one, if it plans alike


class RunPlan(BaseModel):
    """What a run was started with; kept in its folder, so that resuming does not depend on what changed since."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: str
    contract: str
    files: tuple[str, ...]
    train: TrainConfig
    start: Literal["fresh", "warm"]
    parent: str = ""  # version whose weights the run starts from, and which the new one must not be worse than
    passed_over: dict[str, str] = Field(default_factory=dict)  # versions promoted since: why they are no parent
    precision: Precision = "auto"
    force: bool = False
    promote: bool = True
    notes: str = ""


def make_plan(
    task: str,
    episodes: list[Path] | None,
    contract: Path | None,
    registry: Registry,
    start: Literal["fresh", "warm"],
    force: bool,
    promote: bool,
    precision: Precision,
    options: dict[str, Any] | None,
    notes: str,
) -> RunPlan:
    """What `retrain.run` was asked for, completed from the task's defaults; raises MbrlError."""
    robot = contract_for(task, contract)
    folders = episodes or [home_dir() / "episodes" / task]
    if not episodes and not folders[0].is_dir():
        raise DatasetError(f"{folders[0]}: no episodes yet; record some: mbrl demo {task}, or mbrl collect {task}")
    files = episode_files(folders)
    if not files:
        raise DatasetError(f"no episode files (*.mcap) below {', '.join(map(str, folders))}")
    try:
        train = TrainConfig.model_validate({**task_defaults(task).training, **(options or {})})
    except ValidationError as error:
        raise MbrlError(f"training options: {describe_validation(error)}") from error
    parent = find_parent(registry, task, robot)
    if start == "warm":
        # Not from an older version either, where the newest of this robot is damaged: that would be a step back.
        if parent.version is None or parent.damaged:
            why = "".join(f"; {name}: {reason}" for name, reason in parent.passed_over.items())
            raise RegistryError(f"{task}: there is no current version to start from{why}; leave out --warm")
        train = train.model_copy(update={"action_input": weights_of(_read(parent.version))[1]})
    return RunPlan(
        task=task,
        contract=robot.text,
        files=tuple(str(f.resolve()) for f in files),
        train=train,
        start=start,
        parent=parent.version.name if parent.version else "",
        passed_over=parent.passed_over,
        precision=precision,
        force=force,
        promote=promote,
        notes=notes,
    )


@dataclass(frozen=True)
class Prepared:
    """All of a run that can be told before an episode is read."""

    contract: RobotContract
    parent: Version | None
    spec: ModelSpec
    weights: Weights | None  # to start from


def prepare(plan: RunPlan, registry: Registry) -> Prepared:
    """Check a run as far as can be without its episodes, whose reading may take an hour; raises MbrlError."""
    contract = parse_contract(plan.contract, "the run's contract")
    parent = registry.resolve(plan.task, plan.parent) if plan.parent else None
    weights: Weights | None = None
    if plan.start == "warm" and parent is not None:
        weights = weights_of(_read(parent))[0]
        geometry = parent.card().spec.geometry  # of the weights
    else:
        geometry = simulated_shape(contract) if plan.train.contacts else None
    train, action = plan.train, contract.action
    spec = ModelSpec.of(contract.task, contract.file.robot, action, train.ensemble_size, train.hidden)
    spec = spec.model_copy(update={"geometry": geometry})
    network = DynamicsEnsemble(spec, action_input=train.action_input, input_clamp=train.input_clamp)
    if weights is not None:
        network.load_weights(weights)
    RolloutLoss(network, spec, train.huber, train.loss_weights)
    if plan.precision == "auto":
        make_planner(PLANNER, len(action), planner_defaults(plan.task, PLANNER).planner_options)
    registry.check_writable(plan.task)
    return Prepared(contract, parent, spec, weights)


def _read(version: Version) -> ModelFile:
    return version.read(version.model, version.card())


def read_plan(folder: Path) -> RunPlan:
    """The plan of a run's folder; raises MbrlError."""
    path = folder / PLAN_FILE
    try:
        return RunPlan.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise MbrlError(f"{path}: cannot be resumed: {error}") from error


def command_of(plan: RunPlan) -> str:
    """The command line that it came from, for the model's card."""
    warm = " --warm" if plan.start == "warm" else ""
    settings = "".join(
        f" --set {name}={json.dumps(value, separators=(',', ':'))}"
        for name, value in plan.train.model_dump(exclude_defaults=True).items()
    )
    return f"mbrl retrain {plan.task}{warm} --precision {plan.precision}{settings}"
