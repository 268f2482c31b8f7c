# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""From what a person asks for (a task, a version, a planner) to the plan that episode runners take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import ValidationError

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.control.config import ControllerConfig
from mbrl_controller.control.task_config import contract_for, planner_defaults
from mbrl_controller.models.loading import BACKENDS, Backend
from mbrl_controller.models.registry import PRECISIONS, Registry, ServedPrecision
from mbrl_controller.models.selection import choose_file
from mbrl_controller.models.spec import describe_validation
from mbrl_controller.rollouts.pool import EpisodePlan, PolicyName
from mbrl_controller.simulation.options import SimOptions, preset

DYNAMICS = ("learned", "oracle")
POLICIES: tuple[str, ...] = get_args(PolicyName)


@dataclass(frozen=True)
class Who:
    """Who acts in the episodes, and on what: everything but the number of episodes. None: the task's default."""

    task: str
    policy: PolicyName = "controller"
    dynamics: str = "learned"
    model: str = "current"
    backend: Backend = "onnx"
    precision: ServedPrecision = "auto"
    models_dir: Path | None = None
    contract: Path | None = None
    planner: str = "pddm"
    planner_options: dict[str, Any] | None = None
    core: ControllerConfig | None = None
    core_options: dict[str, Any] | None = None  # single options that override those of `core`
    exploration: float = 0.0
    random_scale: float = 1.0
    sim: str = "nominal"
    sim_options: dict[str, Any] | None = None  # single properties that override those of `sim`
    seconds: float | None = None
    goal_options: dict[str, Any] | None = None


@dataclass(frozen=True)
class Prepared:
    """What runs, and the version of the model that acts with its file's digest and precision (of a floor: the policy's
    name and nothing). `fallback`: why the file is not the version's 8-bit one; empty where it is, or there is none."""

    plan: EpisodePlan
    contract: RobotContract
    version: str
    digest: str
    precision: Literal["", "fp32", "int8"] = ""
    fallback: str = ""


def prepare(who: Who) -> Prepared:
    """Look everything up; raises MbrlError naming what does not exist or fit."""
    _check_known("dynamics", who.dynamics, DYNAMICS)
    _check_known("policy", who.policy, POLICIES)
    _check_known("backend", who.backend, BACKENDS)
    _check_known("precision", who.precision, PRECISIONS)
    robot = contract_for(who.task, who.contract)
    defaults = planner_defaults(who.task, who.planner)
    version: str = "oracle" if who.policy == "controller" else who.policy
    chosen = None
    if who.policy == "controller" and who.dynamics == "learned":
        found = Registry(who.models_dir).resolve(who.task, who.model)
        chosen = choose_file(found, who.precision, who.backend, task=robot.task, action=robot.action)
        version = found.name
    try:
        plan = EpisodePlan(
            contract=robot.text,
            sim=_sim_options(who),
            policy=who.policy,
            planner=who.planner,
            planner_options={**defaults.planner_options, **(who.planner_options or {})},
            core=_core(who, defaults.core),
            model=chosen.file.path if chosen else None,
            model_sha256=chosen.file.sha256 if chosen else None,
            model_version=version,
            backend=who.backend,
            exploration=who.exploration,
            random_scale=who.random_scale,
            seconds=who.seconds,
            goal_options=who.goal_options or {},
        )
    except ValidationError as error:
        raise MbrlError(f"episodes: {describe_validation(error)}") from error
    if chosen is None:
        return Prepared(plan, robot, version, "")
    return Prepared(plan, robot, version, chosen.file.sha256, chosen.precision, chosen.fallback)


def _core(who: Who, default: ControllerConfig) -> ControllerConfig:
    try:
        return ControllerConfig(**((who.core or default).model_dump() | (who.core_options or {})))
    except ValidationError as error:
        raise MbrlError(f"core options: {describe_validation(error)}") from error


def _sim_options(who: Who) -> SimOptions:
    try:
        return SimOptions(**(preset(who.sim).model_dump() | (who.sim_options or {})))
    except ValidationError as error:
        raise MbrlError(f"simulation options: {describe_validation(error)}") from error


def _check_known(what: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise MbrlError(f"unknown {what} {value!r}; known: {', '.join(known)}")
