# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What a distillation is asked for, what it will do, and whether it can: all that is known before any label."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mbrl_controller.base.deprecated import old_files, with_new_names
from mbrl_controller.base.errors import DatasetError, MbrlError
from mbrl_controller.base.overrides import deep_merge, unflatten
from mbrl_controller.base.resources import home_dir
from mbrl_controller.base.run_folder import PLAN_FILE
from mbrl_controller.contract.contract import RobotContract, parse_contract
from mbrl_controller.control.config import RENAMED as CORE_RENAMED
from mbrl_controller.control.config import ControllerConfig
from mbrl_controller.control.task_config import contract_for, planner_defaults, task_defaults
from mbrl_controller.models.card import HEAD_FILES, ModelCard, Version
from mbrl_controller.models.head_loading import HeadFiles, load_heads
from mbrl_controller.models.heads import MAX_STEPS
from mbrl_controller.models.origin import Mixed, check_robot, parse_mix
from mbrl_controller.models.registry import Registry
from mbrl_controller.models.selection import select_model_file
from mbrl_controller.models.spec import describe_validation
from mbrl_controller.planning.base import RENAMED as PLANNER_RENAMED
from mbrl_controller.planning.base import PlannerOptions
from mbrl_controller.training.dataset import episode_files
from mbrl_controller.training.distil_config import DistilConfig
from mbrl_controller.training.labelling import Teacher, TeacherSpec


@dataclass(frozen=True)
class DistilRequest:
    """What a person or a learning run asks for. None: the default."""

    task: str
    model: str = "current"  # version that teaches
    episodes: Sequence[Path] | None = None  # files and folders; None: all of this user's; empty: none
    models_dir: Path | None = None
    contract: Path | None = None
    planner: str = "pddm"
    planner_options: dict[str, Any] = field(default_factory=dict)  # over the task's
    core_options: dict[str, Any] = field(default_factory=dict)  # the controller's, over the task's
    goal_options: dict[str, Any] = field(default_factory=dict)  # fixed in all goals that are drawn
    sim: str = "nominal"  # preset of the hand in which policy and planner act
    sim_options: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)  # of DistilConfig, over the task's
    mix: Collection[str] = ()
    promote: bool = False
    in_place: bool = False  # add the heads to the version itself, which nobody uses yet
    resume: bool = False  # continue the newest unfinished run: its plan takes the place of what is asked for here
    notes: str = ""  # for the card
    runs_dir: Path | None = None


class DistilPlan(BaseModel):
    """A request, completed; kept in the run's folder, so that resuming does not depend on later changes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: str
    contract: str
    contract_folder: Path | None = None  # where its scene is
    version: str  # that teaches
    model: str  # name of its file, which may be the 8-bit one
    planner: str
    planner_options: PlannerOptions
    core: ControllerConfig
    goal_options: dict[str, Any] = Field(default_factory=dict)
    files: tuple[str, ...]  # of the log; none: the planner acts in simulation
    no_world: str = ""  # why nothing is simulated; empty if it is
    sim: str = "nominal"
    sim_options: dict[str, Any] = Field(default_factory=dict)
    config: DistilConfig
    mix: tuple[Mixed, ...] = ()
    promote: bool = False
    in_place: bool = False
    notes: str = ""
    created: str  # UTC, ISO 8601: of the run, so that it gives the same files whenever it is resumed

    @property
    def rounds(self) -> int:
        """Rounds in which the policy acts."""
        return 0 if self.no_world else self.config.rounds

    def states_of(self, number: int) -> int:
        """States of round `number`, of 0 (the log, or the planner acting) to `rounds`."""
        whole, rest = divmod(self.config.states, self.rounds + 1)
        return whole + (number < rest)


@dataclass(frozen=True)
class DistilInputs:
    """All of a run that is known before a state is labelled."""

    contract: RobotContract
    version: Version
    card: ModelCard
    teacher: TeacherSpec
    goal_steps: tuple[int, ...]
    rows: int  # control periods ahead at which goals must be known
    horizon: int  # of the planner
    policy: Path | None = None  # that the first round starts from


def make_plan(request: DistilRequest, registry: Registry) -> DistilPlan:
    """`request`, completed from the task's defaults; raises MbrlError."""
    task = request.task
    robot = contract_for(task, request.contract)
    mix, own = parse_mix(request.mix), robot.file.robot
    version = registry.resolve(task, request.model, "" if "robots" in mix else own)
    chosen = select_model_file(version, task=robot.task, action=robot.action)
    check_robot(chosen.card.spec.robot, own, mix, version.name)
    defaults = planner_defaults(task, request.planner)
    options = with_new_names(request.planner_options, PLANNER_RENAMED, "planner ")
    config = _config(task, request)
    no_world = _why_no_world(robot)
    files = _files(request)
    if not files and no_world:
        raise DatasetError(f"there are no episodes to take states from, and nothing can be simulated: {no_world}")
    return DistilPlan(
        task=task,
        contract=robot.text,
        contract_folder=robot.folder,
        version=version.name,
        model=chosen.file.path.name,
        planner=request.planner,
        planner_options={**defaults.planner_options, **config.planners.get(request.planner, {}), **options},
        core=_core(defaults.core, request.core_options),
        goal_options=request.goal_options,
        files=tuple(str(file.resolve()) for file in files),
        no_world=no_world,
        sim=request.sim,
        sim_options=request.sim_options,
        config=config,
        mix=tuple(sorted(mix)),  # type: ignore[arg-type]
        promote=request.promote,
        in_place=request.in_place,
        notes=request.notes,
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )


def check_plan(plan: DistilPlan, registry: Registry) -> DistilInputs:
    """Check all that does not need labels, which may take hours; raises MbrlError."""
    contract = parse_contract(plan.contract, "the run's contract", plan.contract_folder)
    version = registry.resolve(plan.task, plan.version)
    card = version.card()
    file = version.read(version.folder / plan.model, card)
    spec = TeacherSpec(
        contract=plan.contract,
        contract_folder=plan.contract_folder,
        model=file.path,
        model_sha256=file.sha256,
        planner=plan.planner,
        planner_options=plan.planner_options,
        core=plan.core,
        first_iterations=plan.config.first_iterations,
        heads=_asked_heads(version, card, plan.core),
    )
    teacher = Teacher(spec)
    horizon = min(teacher.horizon, MAX_STEPS)
    steps = plan.config.goal_steps or tuple(sorted({1, (horizon + 1) // 2, horizon}))
    rows = max(teacher.heads.rows(teacher.horizon), steps[-1] + (plan.config.value_steps if plan.config.value else 0))
    rng = np.random.default_rng(0)
    for options in plan.config.goals:
        contract.task.sample_goal(rng, **options)
    if not plan.no_world:
        from mbrl_controller.simulation.sim_presets import make_sim_options

        for sim in (plan.sim, *plan.config.sims):
            make_sim_options(sim, plan.sim_options)
    registry.check_writable(plan.task)
    policy = None
    if plan.config.start == "policy":
        version.require_policy(card)
        load_heads(version, card, task=contract.task, action=contract.action)
        policy = version.folder / HEAD_FILES["policy"]
    return DistilInputs(contract, version, card, spec, steps, rows, horizon, policy)


def _asked_heads(version: Version, card: ModelCard, core: ControllerConfig) -> HeadFiles:
    """Those of the version's heads that the planner plans with."""
    files = HeadFiles.of(version, card)
    return HeadFiles(
        value=files.value if core.terminal == "value" else None,
        reward=files.reward if core.reward == "learned" else None,
    )


def read_plan(folder: Path) -> DistilPlan:
    """The plan of a run's folder; raises MbrlError."""
    path = folder / PLAN_FILE
    try:
        with old_files():
            return DistilPlan.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise MbrlError(f"{path}: cannot be resumed: {error}") from error


def command_of(plan: DistilPlan) -> str:
    """The command line of the run, for the card; what is the task's default is written out."""

    def given(flag: str, options: dict[str, Any]) -> str:
        return "".join(f" {flag} {name}={json.dumps(v, separators=(',', ':'))}" for name, v in options.items())

    return (
        f"mbrl distil {plan.task} --model {plan.version}"
        + ("" if plan.files else " --no-log")
        + (f" --planner {plan.planner}" if plan.planner != "pddm" else "")
        + given("--planner-set", plan.planner_options)
        + given("--goal", plan.goal_options)
        + (f" --sim {plan.sim}" if plan.sim != "nominal" else "")
        + given("--sim-set", plan.sim_options)
        + (f" --mix {','.join(plan.mix)}" if plan.mix else "")
        + given("--set", plan.config.model_dump(exclude_defaults=True, exclude={"planners"}))
    )


def _config(task: str, request: DistilRequest) -> DistilConfig:
    options = deep_merge(unflatten(task_defaults(task).distil), unflatten(request.options))
    try:
        config = DistilConfig.model_validate(options)
    except ValidationError as error:
        raise MbrlError(f"options: {describe_validation(error, DistilConfig, 'mbrl options distil')}") from error
    if not request.goal_options:
        return config
    return config.model_copy(update={"goals": ({**request.goal_options},)})


def _core(default: ControllerConfig, given: dict[str, Any]) -> ControllerConfig:
    options = unflatten(with_new_names(given, CORE_RENAMED, "controller option "))
    try:
        return ControllerConfig.model_validate(deep_merge(default.model_dump(), options))
    except ValidationError as error:
        what = describe_validation(error, ControllerConfig, "mbrl options controller")
        raise MbrlError(f"controller options: {what}") from error


def _files(request: DistilRequest) -> list[Path]:
    if request.episodes is None:
        folder = home_dir() / "episodes" / request.task
        return episode_files([folder]) if folder.is_dir() else []
    files = episode_files(request.episodes)
    if request.episodes and not files:
        raise DatasetError(f"no episode files (*.mcap) below {', '.join(map(str, request.episodes))}")
    return files


def _why_no_world(robot: RobotContract) -> str:
    """Why neither planner nor policy can act in simulation; empty if they can."""
    if importlib.util.find_spec("mujoco") is None:
        return "the simulator is not installed"
    from mbrl_controller.simulation.scene_paths import has_world

    if has_world(robot):
        return ""
    return f"no simulated world is known for robot {robot.file.robot} and task {robot.task.name}"
