# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What a retrain is asked for, what it will do, and whether it can: all that is known before an episode is read."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mbrl_controller.base.deprecated import old_files
from mbrl_controller.base.errors import DatasetError, EpisodeError, MbrlError, RegistryError
from mbrl_controller.base.overrides import deep_merge
from mbrl_controller.base.resources import home_dir
from mbrl_controller.base.run_folder import PLAN_FILE
from mbrl_controller.contract.contract import RobotContract, parse_contract
from mbrl_controller.control.task_config import contract_for, planner_defaults, task_defaults
from mbrl_controller.dynamics.ensemble import DynamicsEnsemble
from mbrl_controller.dynamics.import_onnx import weights_of
from mbrl_controller.dynamics.loss import RolloutLoss
from mbrl_controller.dynamics.train_config import TrainConfig
from mbrl_controller.dynamics.trainer import torch_device
from mbrl_controller.dynamics.weights import Weights
from mbrl_controller.episodes.reader import read_info
from mbrl_controller.models.card import Version
from mbrl_controller.models.files import ModelFile
from mbrl_controller.models.origin import Mixed, check_one_world, count_origins, parse_mix, worlds_of
from mbrl_controller.models.registry import Registry
from mbrl_controller.models.spec import ModelSpec, describe_validation
from mbrl_controller.planning.catalog import make_planner
from mbrl_controller.training.chosen_world import how_to_choose, require_some, world_named
from mbrl_controller.training.dataset import episode_files
from mbrl_controller.training.episode_weights import file_weights
from mbrl_controller.training.parent import Parent, find_parent, simulated_shape
from mbrl_controller.training.quantise import PLANNER
from mbrl_controller.training.residual import Simulator
from mbrl_controller.training.reward_labels import label_method

Precision = Literal["auto", "fp32"]  # auto: an 8-bit file beside the fp32 one, if it plans alike


@dataclass(frozen=True)
class RetrainRequest:
    """What a person or a learning run asks for. None: the default."""

    task: str
    episodes: Sequence[Path] | None = None  # files and folders; None: all of this user's
    models_dir: Path | None = None
    contract: Path | None = None
    start: Literal["fresh", "warm"] = "fresh"  # warm: from the weights of the parent
    force: bool = False  # add the version even if it is worse than its parent
    mix: Collection[str] = ()  # what may be of several kinds: robots, worlds (models/origin.py)
    world: str = ""  # learn only from its episodes: current (training/chosen_world.py), or a name; empty: from all
    promote: bool = True
    resume: bool = False  # continue the newest unfinished run: its plan takes the place of what is asked for here
    precision: Precision = "auto"
    options: dict[str, Any] = field(default_factory=dict)  # training options, over the task's
    notes: str = ""  # for the card
    runs_dir: Path | None = None
    threads: int | None = None
    residual: str = ""  # version (or nominal) whose simulator's errors are learnt; empty: the whole change is
    weights: Mapping[Path, float] = field(default_factory=dict)  # file or folder -> weight of its rows; others have 1


class RetrainPlan(BaseModel):
    """A request, completed; kept in the run's folder, so that resuming does not depend on later changes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: str
    contract: str
    contract_folder: Path | None = None  # where its scene is
    files: tuple[str, ...]
    train: TrainConfig
    start: Literal["fresh", "warm"]
    parent: str = ""  # version whose weights a warm run starts from, and which the new one must not be worse than
    passed_over: dict[str, str] = Field(default_factory=dict)  # versions promoted since: why they are no parent
    precision: Precision = "auto"
    force: bool = False
    promote: bool = True
    mix: tuple[Mixed, ...] = ()
    world: str = ""  # of all its episodes, if it was chosen
    left_out: int = 0  # episodes of other worlds, or of none that is known
    notes: str = ""
    residual: str = ""  # version, or nominal, whose simulator's errors are learnt
    weights: dict[str, float] = Field(default_factory=dict)  # file -> weight of its rows, where it is not 1

    @property
    def file_weights(self) -> dict[Path, float]:
        """`weights` by path."""
        return {Path(file): weight for file, weight in self.weights.items()}


def make_plan(request: RetrainRequest, registry: Registry) -> RetrainPlan:
    """`request`, completed from the task's defaults; raises MbrlError."""
    task = request.task
    robot = contract_for(task, request.contract)
    try:
        train = TrainConfig.model_validate(deep_merge(task_defaults(task).training, request.options))
    except ValidationError as error:
        raise MbrlError(
            f"training options: {describe_validation(error, TrainConfig, 'mbrl options training')}"
        ) from error
    folders = request.episodes or [home_dir() / "episodes" / task]
    if not request.episodes and not folders[0].is_dir():
        raise DatasetError(
            f"{folders[0]}: no episodes yet; record some (`mbrl demo {task}`, or `mbrl collect {task}`); those of a "
            f"learning run: --episodes {home_dir() / 'runs' / 'learn' / task}/RUN/episodes"
        )
    files = episode_files(folders)
    if not files:
        raise DatasetError(f"no episode files (*.mcap) below {', '.join(map(str, folders))}")
    mix = parse_mix(request.mix)
    known = _origins(files, robot, mix)
    world, every = world_named(request.world, robot), len(files)
    if world:
        require_some(world, count_origins(known.values()))
        files = [path for path in files if path not in known or known[path][1] == world]
        known = {path: origin for path, origin in known.items() if origin[1] == world}
    origins = count_origins(known.values())
    if len(worlds_of(origins)) > 1:
        check_one_world(origins, mix, how_to_choose(robot))
    parent = Parent(None, {}) if request.residual else find_parent(registry, task, robot, worlds_of(origins), mix)
    if request.residual:
        if request.start == "warm":
            raise MbrlError("a network that corrects a simulator begins from nothing: leave out --warm")
        # Several steps are predicted by the simulator and the network in turn, which only a rollout does.
        train = train.model_copy(update={"horizon": 1, "contacts": False})
    if request.start == "warm":
        # If the newest version of this robot is damaged, an older one would be a step back.
        if parent.version is None or parent.damaged:
            why = "".join(f"; {name}: {reason}" for name, reason in parent.passed_over.items())
            raise RegistryError(f"{task}: there is no current version to start from{why}; leave out --warm")
        train = train.model_copy(update={"action_input": weights_of(_read(parent.version))[1]})
    return RetrainPlan(
        task=task,
        contract=robot.text,
        contract_folder=robot.folder,
        files=tuple(str(f.resolve()) for f in files),
        train=train,
        start=request.start,
        parent=parent.version.name if parent.version else "",
        passed_over=parent.passed_over,
        precision="fp32" if request.residual else request.precision,
        force=request.force,
        promote=request.promote and not request.residual,  # `current` predicts alone
        mix=tuple(sorted(mix)),  # type: ignore[arg-type]
        world=world,
        left_out=every - len(files),
        notes=request.notes,
        residual=request.residual,
        weights=file_weights(request.weights, files),
    )


def _origins(files: Sequence[Path], contract: RobotContract, mix: Collection[str]) -> dict[Path, tuple[str, str]]:
    """Robot and world of the files that will be read: known before an hour of reading."""
    found = {}
    for path in files:
        try:
            info = read_info(path)
        except EpisodeError:
            continue  # which reading says
        if info.robot == contract.file.robot or "robots" in mix:
            found[path] = (info.robot, info.world)
    return found


@dataclass(frozen=True)
class RetrainInputs:
    """All of a run that is known before an episode is read."""

    contract: RobotContract
    parent: Version | None
    spec: ModelSpec
    weights: Weights | None  # to start from
    simulator: Simulator | None = None  # whose errors are learnt


def check_plan(plan: RetrainPlan, registry: Registry) -> RetrainInputs:
    """Check all that does not need the episodes, whose reading may take an hour; raises MbrlError."""
    contract = parse_contract(plan.contract, "the run's contract", plan.contract_folder)
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
    simulator = Simulator.find(registry, plan.residual, contract) if plan.residual else None
    if simulator is not None:
        spec = spec.model_copy(update={"residual_to": simulator.digest})
    network = DynamicsEnsemble(spec, action_input=train.action_input, input_clamp=train.input_clamp)
    if weights is not None:
        network.load_weights(weights)
    RolloutLoss(network, spec, train.huber, train.loss_weights)
    torch_device(train.device)
    if train.reward == "learned":
        label_method(contract, train.reward_fit)
    if plan.precision == "auto":
        make_planner(PLANNER, len(action), planner_defaults(plan.task, PLANNER).planner_options)
    registry.check_writable(plan.task)
    return RetrainInputs(contract, parent, spec, weights, simulator)


def _read(version: Version) -> ModelFile:
    return version.read(version.model, version.card())


def read_plan(folder: Path) -> RetrainPlan:
    """The plan of a run's folder; raises MbrlError."""
    path = folder / PLAN_FILE
    try:
        with old_files():
            return RetrainPlan.model_validate_json(path.read_bytes())
    except OSError as error:
        raise MbrlError(f"{path}: cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise MbrlError(f"{path}: cannot be resumed: {describe_validation(error)}") from error


def command_of(plan: RetrainPlan) -> str:
    """The command line of the run, for the model's card."""
    warm = " --warm" if plan.start == "warm" else ""
    settings = "".join(
        f" --set {name}={json.dumps(value, separators=(',', ':'))}"
        for name, value in plan.train.model_dump(exclude_defaults=True).items()
    )
    mix = f" --mix {','.join(plan.mix)}" if plan.mix else ""
    world = f" --world {plan.world}" if plan.world else ""
    residual = f" --residual {plan.residual}" if plan.residual else ""
    return f"mbrl retrain {plan.task}{warm}{residual} --precision {plan.precision}{mix}{world}{settings}"
