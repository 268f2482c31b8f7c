# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""`RolloutConfig`, which a person or a learning run asks for, resolved to the `EpisodeSpec` that episodes run from."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import ValidationError

from mbrl_controller.base.deprecated import with_new_names
from mbrl_controller.base.errors import MbrlError
from mbrl_controller.base.overrides import deep_merge, unflatten
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.control.config import OF_PLANNING, ControllerConfig
from mbrl_controller.control.config import RENAMED as CORE_RENAMED
from mbrl_controller.control.gradients import NOT_LEARNED
from mbrl_controller.control.heads import Asked
from mbrl_controller.control.task_config import contract_for, planner_defaults
from mbrl_controller.models.card import PRECISIONS, ServedPrecision
from mbrl_controller.models.files import ModelFile
from mbrl_controller.models.head_loading import HeadFiles, load_heads
from mbrl_controller.models.loading import BACKENDS, Backend, check_gradients_installed
from mbrl_controller.models.origin import check_robot, parse_mix, simulated_world
from mbrl_controller.models.registry import Registry
from mbrl_controller.models.selection import select_model_file
from mbrl_controller.models.spec import Precision, describe_validation
from mbrl_controller.planning.base import RENAMED
from mbrl_controller.planning.catalog import PLANNERS
from mbrl_controller.rollouts.episode import EpisodeSpec, PolicyName
from mbrl_controller.simulation.identified import SimulatedModel, find_simulated
from mbrl_controller.simulation.residual import read_residual
from mbrl_controller.simulation.scene import world_digest
from mbrl_controller.simulation.sim_presets import make_sim_options

DYNAMICS = ("learned", "oracle", "identified", "residual")
AskedPolicy = Literal["auto", PolicyName]  # auto: as the task's defaults say
POLICIES: tuple[str, ...] = ("auto", *get_args(PolicyName))


@dataclass(frozen=True)
class RolloutConfig:
    """Which policy acts on which simulated hand, for which goals. None: the task's default."""

    task: str
    policy: AskedPolicy = "controller"
    dynamics: str = "learned"  # or what DYNAMICS has: the simulator plans
    model: str = "current"  # version
    backend: Backend = "onnx"
    precision: ServedPrecision = "auto"
    models_dir: Path | None = None
    contract: Path | None = None
    planner: str = "pddm"
    planner_options: dict[str, Any] = field(default_factory=dict)
    core: ControllerConfig | None = None
    core_options: dict[str, Any] = field(default_factory=dict)  # override single options of `core`
    late_share: float = 0.0  # of the plans, taken for late
    exploration: float = 0.0  # standard deviation of noise on the controller's action, normalised
    random_scale: float = 1.0  # of the random policy, 0 to 1
    sim: str = "nominal"  # preset
    sim_options: dict[str, Any] = field(default_factory=dict)  # override single options of `sim`
    seconds: float | None = None
    goal_options: dict[str, Any] = field(default_factory=dict)
    mix: Collection[str] = ()  # robots: the model may be of another robot (models/origin.py)


@dataclass(frozen=True)
class ResolvedRollout:
    """What runs, and the model version that acts, with its file's digest and precision.

    A baseline has its policy's name as version, and no digest; a version without a model has its policy's digest.
    `fallback`: why the file is not the version's 8-bit one; empty if it is, or if there is none. `world`: the simulated
    one, as in models/origin.py.
    """

    spec: EpisodeSpec
    contract: RobotContract
    version: str
    digest: str
    world: str
    precision: Precision | Literal[""] = ""
    fallback: str = ""


def resolve(config: RolloutConfig) -> ResolvedRollout:
    """Look everything up; raises MbrlError naming what does not exist or fit."""
    _check_known("dynamics", config.dynamics, DYNAMICS)
    _check_known("policy", config.policy, POLICIES)
    _check_known("backend", config.backend, BACKENDS)
    _check_known("precision", config.precision, PRECISIONS)
    robot = contract_for(config.task, config.contract)
    defaults = planner_defaults(config.task, config.planner)
    policy = _asked(config, defaults.policy)
    plans = policy in ("auto", "controller")
    needs_model = plans and PLANNERS[config.planner].needs_model
    if plans and PLANNERS[config.planner].needs_gradients:
        if config.dynamics != "learned":
            raise MbrlError(f"planner {config.planner}: dynamics {config.dynamics} has no gradients: {NOT_LEARNED}")
        check_gradients_installed()
    if policy == "distilled" and config.dynamics != "learned":
        raise MbrlError("policy distilled is a version's own; it goes with dynamics learned alone")
    world = simulated_world(world_digest(robot))
    version: str = config.dynamics if needs_model else config.planner if plans else policy
    digest, fitted = "", None
    residual: ModelFile | None = None
    if needs_model and config.dynamics in ("identified", "residual"):
        fitted = find_simulated(Registry(config.models_dir), config.model, robot)
        version, digest = fitted.version, fitted.digest
    if needs_model and config.dynamics == "residual":
        residual = read_residual(Registry(config.models_dir).resolve(config.task, config.model))
        digest = residual.sha256
    given = with_new_names(config.planner_options, RENAMED, "planner ")
    chosen, heads = None, HeadFiles()
    if policy == "distilled" or (needs_model and config.dynamics == "learned"):
        mix, own = parse_mix(config.mix), robot.file.robot
        found = Registry(config.models_dir).resolve(config.task, config.model, "" if "robots" in mix else own)
        card = found.card()
        if policy == "auto":
            policy = "controller" if card.policy is None else "distilled"
        if policy == "distilled":
            found.require_policy(card)
        if card.model_sha256 is not None or policy != "distilled":
            gradients = policy != "distilled" and PLANNERS[config.planner].needs_gradients
            chosen = select_model_file(
                found, config.precision, config.backend, task=robot.task, action=robot.action, gradients=gradients
            )
        check_robot(card.spec.robot, own, mix, found.name)
        load_heads(found, card, task=robot.task, action=robot.action)  # what is wrong is said here
        heads = HeadFiles.of(found, card)
        version = found.name
        digest = chosen.file.sha256 if chosen is not None else heads.policy.sha256 if heads.policy is not None else ""
    file = chosen.file if chosen else residual
    try:
        spec = EpisodeSpec(
            contract=robot.text,
            contract_folder=robot.folder,
            sim=make_sim_options(config.sim, config.sim_options),
            policy="controller" if policy == "auto" else policy,
            planner=config.planner,
            planner_options={**defaults.planner_options, **given},
            core=_core(config, defaults.core, fitted),
            model=file.path if file else None,
            model_sha256=file.sha256 if file else None,
            model_version=version,
            fitted=None if fitted is None else fitted.values,
            heads=heads,
            backend=config.backend,
            late_share=config.late_share,
            exploration=config.exploration,
            random_scale=config.random_scale,
            seconds=config.seconds,
            goal_options=config.goal_options,
        )
    except ValidationError as error:
        raise MbrlError(f"episodes: {describe_validation(error)}") from error
    if chosen is None:
        return ResolvedRollout(spec, robot, version, digest, world)
    return ResolvedRollout(spec, robot, version, digest, world, chosen.precision, chosen.fallback)


def _asked(config: RolloutConfig, default: Asked) -> AskedPolicy:
    """Who is to act; `default` heeds which planner was named. Whoever names its options, what it predicts with or what
    it plans for wants to see it act; and for another hand or goal than the task's own it is the planner that adapts."""
    if config.policy != "auto":
        return config.policy
    planner = config.planner_options or config.late_share or config.dynamics != "learned"
    planner = planner or not OF_PLANNING.isdisjoint(name.partition(".")[0] for name in config.core_options)
    other = config.goal_options or config.sim != "nominal" or config.sim_options
    return "controller" if planner or other else default


def _core(config: RolloutConfig, default: ControllerConfig, fitted: SimulatedModel | None) -> ControllerConfig:
    """The controller's options. A fitted command latency is bridged, unless a person says otherwise."""
    options = unflatten(with_new_names(config.core_options, CORE_RENAMED, "controller option "))
    if fitted is not None and fitted.latency:
        options = {"delay_s": fitted.latency} | options
    try:
        return ControllerConfig(**deep_merge((config.core or default).model_dump(), options))
    except ValidationError as error:
        raise MbrlError(
            f"controller options: {describe_validation(error, ControllerConfig, 'mbrl options controller')}"
        ) from error


def _check_known(what: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise MbrlError(f"unknown {what} {value!r}; known: {', '.join(known)}")
