# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Defaults of a task: its contract, and how it is planned and trained.

They are in config/tasks.yaml of the package that brings the task. A task class may have `defaults` of the same form,
for those who bring a contract.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mbrl_controller.base.errors import ContractError, MbrlError
from mbrl_controller.base.shares import shared_files
from mbrl_controller.contract.contract import RobotContract, load_contract
from mbrl_controller.control.config import ControllerConfig
from mbrl_controller.control.heads import Asked
from mbrl_controller.models.spec import describe_validation
from mbrl_controller.planning.base import PlannerOptions
from mbrl_controller.tasks.catalog import TASKS

USUAL_PLANNER = "pddm"


class BenchmarkDefaults(BaseModel):
    """How much of a task `mbrl benchmark` runs: as much as its episodes vary and last."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    episodes: int = Field(default=24, ge=1)  # of each planner, with the learned model
    quantised_episodes: int = Field(default=60, ge=1)  # of each precision
    oracle_episodes: int = Field(default=4, ge=1)  # of each planner, with the simulator as the model
    oracle_seconds: float | None = Field(default=None, gt=0)  # their length; None: the task's
    released: PlannerOptions = Field(default_factory=dict)  # PDDM's options for it, as its authors released them


class Defaults(BaseModel):
    """Options of a task. Planner options are listed by planner; others keep the planner's own default."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    contract: str | None = None  # a file beside the tasks.yaml that names it
    planners: dict[str, PlannerOptions] = Field(default_factory=dict)
    core: ControllerConfig = ControllerConfig()
    policy: Asked = "controller"  # who acts
    training: dict[str, Any] = Field(default_factory=dict)
    learning: dict[str, Any] = Field(default_factory=dict)  # of `mbrl learn`
    adapting: dict[str, Any] = Field(default_factory=dict)  # of `mbrl learn --from-version`, over `learning`
    distil: dict[str, Any] = Field(default_factory=dict)  # of `mbrl distil`
    benchmark: BenchmarkDefaults = BenchmarkDefaults()


class PlannerDefaults(BaseModel):
    """How a task is planned."""

    planner_options: dict[str, Any]
    core: ControllerConfig
    policy: Asked


@cache
def task_defaults(task: str) -> Defaults:
    """The entry of `task` in whichever package's config/tasks.yaml has one, else the task's own defaults.

    Raises MbrlError for an unknown task, a faulty entry and one that two packages have.
    """
    own = TASKS[task].defaults
    given, where = _entry(task)
    try:
        return Defaults.model_validate(own if given is None else given)
    except ValidationError as error:
        raise MbrlError(f"{where}: {task}: {describe_validation(error)}") from error


def contract_path(task: str) -> Path:
    """The contract that a config/tasks.yaml names for `task`; raises ContractError where none does."""
    name, (_, where) = task_defaults(task).contract, _entry(task)
    if name is None:
        raise ContractError(f"task {task!r} has no contract of its own: give one with --contract")
    return where.parent / name


def _entry(task: str) -> tuple[Any, Path]:
    """What the tasks.yaml of a package says of `task`, and that file; None where none says anything."""
    found = {}
    for path in shared_files("config/tasks.yaml"):
        try:
            document = yaml.safe_load(path.read_text()) or {}
        except (OSError, yaml.YAMLError) as error:
            raise MbrlError(f"{path}: cannot be read: {error}") from error
        if task in document:
            found[path] = document[task]
    if len(found) > 1:
        raise MbrlError(f"task {task!r} has defaults in {' and '.join(map(str, found))}")
    return next(((given, path) for path, given in found.items()), (None, Path(f"defaults of task {task!r}")))


def contract_for(task: str, path: Path | None = None) -> RobotContract:
    """The contract at `path`, else the task's own; raises ContractError when it is for another task."""
    contract = load_contract(path or contract_path(task))
    if contract.task.name != task:
        raise ContractError(f"{path}: is a contract for task {contract.task.name!r}, not {task!r}")
    return contract


def planner_defaults(task: str, planner: str) -> PlannerDefaults:
    """How `task` is planned with `planner`. Whoever names another planner than the usual one wants to see it act."""
    defaults = task_defaults(task)
    return PlannerDefaults(
        planner_options=defaults.planners.get(planner, {}),
        core=defaults.core,
        policy=defaults.policy if planner == USUAL_PLANNER else "controller",
    )
