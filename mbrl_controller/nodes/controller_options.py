# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The controller's parameters: their table, and the options made of them."""

from __future__ import annotations

import math
from collections.abc import Sized
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mbrl_controller.base.errors import GoalError, MbrlError
from mbrl_controller.base.overrides import format_options, parse_options
from mbrl_controller.base.resources import share_dir, user_path
from mbrl_controller.base.shares import config_file
from mbrl_controller.base.units import NO_UNIT, Number
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.control.config import RENAMED as CORE_RENAMED
from mbrl_controller.control.config import ControllerConfig, SafetyConfig, SessionConfig
from mbrl_controller.control.heads import ASKED, Asked
from mbrl_controller.control.task_config import planner_defaults
from mbrl_controller.episodes.metadata import SESSION_NAME
from mbrl_controller.models.card import PRECISIONS
from mbrl_controller.models.loading import BACKENDS
from mbrl_controller.models.origin import parse_mix
from mbrl_controller.models.spec import describe_validation
from mbrl_controller.nodes.parameter_spec import Spec, spec_of, specs_of
from mbrl_controller.nodes.parameters import check_name
from mbrl_controller.planning.base import RENAMED as PLANNER_RENAMED
from mbrl_controller.planning.base import Planner
from mbrl_controller.planning.catalog import PLANNERS, make_planner
from mbrl_controller.planning.risk import Risk

MOST_CPUS = 8192  # Linux takes no more
DYNAMICS = ("learned", "identified", "residual")
PLANNER_FIXED = {"horizon"}  # the running plan has this length
RENAMED = {
    **{f"planner.{old}": f"planner.{new}" for old, new in PLANNER_RENAMED.items()},
    **CORE_RENAMED,
    "exploration": "exploration_noise",
    "exploration_beta": "noise_smoothing",
}


class Thresholds(BaseModel):
    """Thresholds of warnings on /diagnostics; shares are of the ticks of about the last second."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    rate_error_warn: Number = Field(default=0.05, ge=0, description="relative error of the actual rate, WARN above")
    rate_error_error: Number = Field(default=0.25, ge=0, description="relative error of the actual rate, ERROR above")
    missed_warn: Number = Field(default=0.01, ge=0, le=1, description="share of missed ticks, WARN above")
    missed_error: Number = Field(default=0.25, ge=0, le=1, description="share of missed ticks, ERROR above")
    late_warn: Number = Field(default=0.05, ge=0, le=1, description="share of late plans, WARN above")
    late_error: Number = Field(default=0.5, ge=0, le=1, description="share of late plans, ERROR above")


@dataclass(frozen=True)
class ControllerOptions:
    """The options in the parameters, checked."""

    contract: Path
    models_dir: str
    model_version: str
    follow_current_s: float
    mix: frozenset[str]
    dynamics: str
    backend: str
    precision: str
    acting: Asked
    planner: str
    planner_options: dict[str, Any]
    core: ControllerConfig
    safety: SafetyConfig
    session: SessionConfig
    thresholds: Thresholds
    rate: float  # Hz, 0: the contract's
    any_rate: bool
    lockstep: bool
    deadline_fraction: float
    threads: int
    reset_service: str
    session_name: str
    priority: int
    cpus: tuple[int, ...]
    lock_memory: bool
    gc_in_slack: bool
    e_stop_deadline_s: float
    discovery_s: float

    def period(self, contract_period: float) -> float:
        """s from tick to tick; raises MbrlError if it is not the contract's, unless `any_rate` allows it."""
        if self.any_rate and self.rate:
            return 1.0 / self.rate
        check_rate(self.rate, contract_period)
        return contract_period

    @property
    def needs_model(self) -> bool:
        """Whether a version is needed: for the planner, or for the policy that acts."""
        return self.acting == "distilled" or PLANNERS[self.planner].needs_model

    def make_planner(self, action_size: int) -> Planner:
        """The planner these options describe; raises MbrlError."""
        return make_planner(self.planner, action_size, self.planner_options)


GENERAL = [
    Spec("autostart", False, "configure and activate at the start, where no launch file does it", read_only=True),
    Spec("contract", "", "robot contract: a path, or a file of the package's config/; empty: adroit_baoding.yaml"),
    Spec("models_dir", "", "model registry; empty: $MBRL_HOME/models, then the shipped models", read_only=True),
    Spec("model_version", "current", "version to plan with, for example v0003; ~/load_model loads a new one",
         live=True),
    Spec("follow_current_s", 0.0, "time between two looks at the registry; when its current version has moved, it is "
         "loaded as by ~/load_model. 0.0: never", unit="s", live=True, lower=0.0, upper=86400.0),
    Spec("mix", "", "robots: plan with a version of another robot than the contract's", live=True,
         choices=("", "robots")),
    Spec("dynamics", "learned", "what the planner predicts with: the version's learned model; identified: the "
         "simulator with the version's fitted physics; residual: that, corrected by the version's network",
         choices=DYNAMICS),
    Spec("backend", "onnx", "runs the model: onnx on the CPU, or torch on the GPU (on the CPU if there is none)",
         choices=BACKENDS),
    Spec("precision", "auto", "precision of the model file: int8 or fp32; auto: int8 if the version has it and it "
         "runs here", live=True, choices=PRECISIONS),
    Spec("policy", "controller", "who acts: the controller, which plans; distilled: the version's policy alone; auto: "
         "that, where the version has one", live=True, choices=ASKED),
    Spec("planner.name", "pddm", "planning algorithm", choices=tuple(PLANNERS)),
    Spec("rate", 0.0, "control rate; must be the contract's, at which the model was trained; 0.0: the contract's",
         unit="Hz", lower=0.0, upper=1000.0),
    Spec("any_rate", False, "accept any `rate`, to time the loop in simulation; plans keep the model's period"),
    Spec("lockstep", False, "tick when a complete new state arrives (simulation) instead of by time"),
    Spec("deadline_fraction", 0.8, "time after the tick at which a plan is late", unit="control periods", live=True,
         lower=0.1, upper=1.0),
    Spec("threads", 1, "CPU threads of the model; one is steadiest on a busy machine", unit=NO_UNIT, lower=1,
         upper=64),
    Spec("e_stop_deadline_s", 0.0, "time without a message on e_stop after which an active controller stops; also when "
         "the topic's last publisher leaves; 0.0 disables", unit="s", live=True, lower=0.0, upper=3600.0),
    # A DDS participant announces itself in a burst and then, by default, every 3 s; the burst can get lost.
    Spec("discovery_s", 4.0, "time after the node's start for which activation waits, so that another node on a "
         "command topic has been discovered", unit="s", lower=0.0, upper=60.0),
    Spec("reset_service", "", "service (std_srvs/Trigger) that puts the object back; called if auto_reset is true"),
    Spec("session", "", "name of this session's episodes; empty: time of activation (UTC)"),
    Spec("scheduling_priority", 0, "SCHED_FIFO priority of the planner; the loop gets one more, all other threads "
         "one less; 0: normal scheduling", unit=NO_UNIT, lower=0, upper=98),
    Spec("cpus", [-1], "CPUs for loop and planner; [-1]: all", unit=NO_UNIT, lower=-1, upper=MOST_CPUS - 1),
    Spec("lock_memory", False, "keep the process's memory in RAM while active (mlockall)"),
    Spec("gc_in_slack", True, "while active, collect garbage only in the slack between two ticks"),
]  # fmt: skip
CORE_FIXED = {"feedback", "feedback_rate"}  # its thread begins with the loop
CORE = tuple(name for name in ControllerConfig.model_fields if name != "risk")
SESSION_LIVE = {"episode_s", "auto_reset", "exploration_noise", "noise_smoothing"}


def general_specs() -> list[Spec]:
    """All parameters but the planner's own."""
    session = [
        spec_of(name, field, live=name in SESSION_LIVE)
        for name, field in SessionConfig.model_fields.items()
        if name != "goal_options"
    ]
    goal = Spec(
        "goal_options",
        "",
        "fixed options of the task's goal: direction=clockwise, period=4 (a YAML mapping is still accepted)",
        live=True,
        normal=lambda text: format_options(_goal_options(text)),
    )
    core = [spec_of(name, ControllerConfig.model_fields[name], live=name not in CORE_FIXED) for name in CORE]
    return [
        *GENERAL,
        *session,
        goal,
        *core,
        *specs_of(Risk, "risk.", live=Risk.model_fields),
        *specs_of(SafetyConfig, live=SafetyConfig.model_fields),
        *specs_of(Thresholds, "diagnostics.", live=Thresholds.model_fields),
    ]


def planner_specs(planner: str) -> list[Spec]:
    """The options of one planner, named planner.<option>."""
    if planner not in PLANNERS:
        planner = "pddm"
    config = PLANNERS[planner].config_type
    return specs_of(config, "planner.", live=set(config.model_fields) - PLANNER_FIXED)


def all_planner_specs() -> list[Spec]:
    """The options of all planners, each once; the chosen planner's defaults apply."""
    return list({spec.name: spec for name in reversed(list(PLANNERS)) for spec in planner_specs(name)}.values())


def read_options(values: dict[str, Any]) -> ControllerOptions:
    """The options in parameter `values`; raises MbrlError naming the parameter at fault."""
    if values["reset_service"]:
        check_name("reset_service", values["reset_service"], is_service=True)
    if values["session"] and not SESSION_NAME.fullmatch(values["session"]):
        raise MbrlError(f"parameter session: {values['session']!r} is no name for a folder: letters, digits, - . _")
    name = values["planner.name"]
    known = {spec.name.removeprefix("planner.") for spec in planner_specs(name)}
    options = ControllerOptions(
        contract=find_contract(values["contract"]),
        models_dir=values["models_dir"],
        model_version=values["model_version"],
        follow_current_s=values["follow_current_s"],
        mix=parse_mix(values["mix"]),
        dynamics=values["dynamics"],
        backend=values["backend"],
        precision=values["precision"],
        acting=values["policy"],
        planner=name,
        planner_options={option: values[f"planner.{option}"] for option in known},
        core=_build(
            ControllerConfig,
            {"risk": {"kind": values["risk.kind"], "k": values["risk.k"]}} | _take(values, CORE),
        ),
        safety=_build(SafetyConfig, _take(values, SafetyConfig.model_fields)),
        session=_build(
            SessionConfig,
            _take(values, [n for n in SessionConfig.model_fields if n != "goal_options"])
            | {"goal_options": _goal_options(values["goal_options"])},
        ),
        thresholds=_build(Thresholds, {n: values[f"diagnostics.{n}"] for n in Thresholds.model_fields}),
        rate=values["rate"],
        any_rate=values["any_rate"],
        lockstep=values["lockstep"],
        deadline_fraction=values["deadline_fraction"],
        threads=values["threads"],
        reset_service=values["reset_service"],
        session_name=values["session"],
        priority=values["scheduling_priority"],
        cpus=tuple(cpu for cpu in values["cpus"] if cpu >= 0),
        lock_memory=values["lock_memory"],
        gc_in_slack=values["gc_in_slack"],
        e_stop_deadline_s=values["e_stop_deadline_s"],
        discovery_s=values["discovery_s"],
    )
    if options.follow_current_s and options.model_version not in ("", "current"):
        raise MbrlError(
            f"parameter follow_current_s: model_version is {options.model_version}, which never moves; name current"
        )
    if options.acting == "distilled" and options.dynamics != "learned":
        raise MbrlError("parameter policy: distilled is a version's own; it goes with dynamics: learned alone")
    if not options.needs_model and options.session.exploration_noise:
        raise MbrlError(f"parameter exploration_noise: planner {name} takes no noise, leave it at 0.0")
    if options.lockstep and options.core.feedback:
        raise MbrlError(
            "parameter feedback: in lockstep the hand waits for each command, and there is nothing between two; set "
            "feedback or lockstep to false"
        )
    # Making a planner checks its options. Only the contract knows the number of joints.
    scale = options.planner_options.get("joint_scale")
    options.make_planner((len(scale) if isinstance(scale, Sized) else 0) or 1)
    return options


def check_rate(rate: float, period: float) -> None:
    """Raises MbrlError unless `rate` (Hz) is the contract's own: the model predicts one `period` (s) ahead."""
    if rate and not math.isclose(rate * period, 1.0, rel_tol=1e-6):
        raise MbrlError(
            f"parameter rate: {rate} Hz, but the contract's control period is {period} s ({1 / period:.6g} Hz), and "
            "models are trained for it; leave rate at 0.0 or change the contract and train again"
        )


def task_values(task: str, planner: str) -> dict[str, Any]:
    """Default parameter values of a task: the planner's own, overridden by config/tasks.yaml."""
    fields = PLANNERS[planner].config_type.model_fields
    values = {f"planner.{name}": field.default for name, field in fields.items()}
    defaults = planner_defaults(task, planner)
    values |= {f"planner.{name}": value for name, value in defaults.planner_options.items()}
    core = defaults.core
    return values | {
        "policy": defaults.policy,
        **{name: getattr(core, name) for name in CORE},
        "risk.kind": core.risk.kind,
        "risk.k": core.risk.k,
    }


def check_goal_options(contract: RobotContract, o: ControllerOptions) -> None:
    """Sample a goal once, so that wrong options are refused now and not at the next episode."""
    try:
        contract.task.sample_goal(np.random.default_rng(0), **o.session.goal_options)
    except (GoalError, TypeError, ValueError, ArithmeticError) as error:
        raise MbrlError(f"parameter goal_options: {error}") from error


def find_contract(text: str) -> Path:
    """The contract file a parameter names."""
    if not text:
        return share_dir() / "config" / "adroit_baoding.yaml"
    try:
        return config_file(text)
    except MbrlError as error:
        raise MbrlError(f"parameter contract: {error}") from error


def expanded(parameter: str, text: str) -> Path:
    """A path given by a parameter, with ~ as the home folder; raises MbrlError if there is no such user."""
    try:
        return user_path(text)
    except MbrlError as error:
        raise MbrlError(f"parameter {parameter}: {error}") from error


def _goal_options(text: str) -> dict[str, Any]:
    return parse_options("parameter goal_options", text)


def _take(values: dict[str, Any], names: Any) -> dict[str, Any]:
    return {name: values[name] for name in names}


def _build(model: type[Any], values: dict[str, Any]) -> Any:
    try:
        return model(**values)
    except ValidationError as error:
        raise MbrlError(f"parameters: {describe_validation(error)}") from error
