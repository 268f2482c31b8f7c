# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What a person who names only a task gets: its contract and, from config/, how it is planned."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mbrl_controller.base.errors import ContractError, MbrlError
from mbrl_controller.base.resources import share_dir
from mbrl_controller.contract.contract import RobotContract, load_contract
from mbrl_controller.control.config import ControllerConfig
from mbrl_controller.models.spec import describe_validation
from mbrl_controller.planning.base import PlannerOptions
from mbrl_controller.tasks.catalog import TASKS


class Defaults(BaseModel):
    """Planner options are by planner; what one does not name keeps the planner's own default."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    contract: str = ""  # a file of config/; empty: the task has none
    planners: dict[str, PlannerOptions] = Field(default_factory=dict)
    core: ControllerConfig = ControllerConfig()
    training: dict[str, Any] = Field(default_factory=dict)
    learning: dict[str, Any] = Field(default_factory=dict)  # of `mbrl learn`


class PlannerDefaults(BaseModel):
    """How a task is planned."""

    planner_options: dict[str, Any]
    core: ControllerConfig


@cache
def task_defaults(task: str) -> Defaults:
    """The entry of `task` in config/tasks.yaml, which is empty for a task that the file does not name.

    Raises MbrlError.
    """
    if task not in TASKS:
        raise ContractError(f"unknown task {task!r}; known tasks: {', '.join(sorted(TASKS))}")
    path = share_dir() / "config" / "tasks.yaml"
    try:
        return Defaults.model_validate(yaml.safe_load(path.read_text()).get(task, {}))
    except (OSError, yaml.YAMLError) as error:
        raise MbrlError(f"{path}: cannot be read: {error}") from error
    except ValidationError as error:
        raise MbrlError(f"{path}: {task}: {describe_validation(error)}") from error


def contract_path(task: str) -> Path:
    """The contract that config/tasks.yaml names for `task`; raises MbrlError if it names none."""
    name = task_defaults(task).contract
    if not name:
        raise ContractError(f"task {task}: config/tasks.yaml names no contract for it; give one")
    return share_dir() / "config" / name


def contract_for(task: str, path: Path | None = None) -> RobotContract:
    """The contract at `path`, else the task's own; raises ContractError when it is for another task."""
    contract = load_contract(path or contract_path(task))
    if contract.task.name != task:
        raise ContractError(f"{path}: is a contract for task {contract.task.name!r}, not {task!r}")
    return contract


def planner_defaults(task: str, planner: str) -> PlannerDefaults:
    """How `task` is planned with `planner`."""
    defaults = task_defaults(task)
    return PlannerDefaults(planner_options=defaults.planners.get(planner, {}), core=defaults.core)
