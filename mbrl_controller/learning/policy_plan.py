# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What `mbrl policy` is asked for, completed; kept in the run's folder, so that resuming depends on nothing else."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mbrl_controller.base.errors import DatasetError, MbrlError
from mbrl_controller.base.resources import home_dir
from mbrl_controller.base.run_folder import PLAN_FILE
from mbrl_controller.control.task_config import contract_for, task_defaults
from mbrl_controller.models.origin import Mixed, check_robot, parse_mix
from mbrl_controller.models.registry import Registry
from mbrl_controller.models.spec import describe_validation
from mbrl_controller.training.dataset import episode_files
from mbrl_controller.training.sac_config import SacConfig, Scheme, Source


@dataclass(frozen=True)
class PolicyRequest:
    """What a person asks for. None: the default."""

    task: str
    source: Source = "model"
    scheme: Scheme = "C"
    model: str = "current"
    episodes: Sequence[Path] | None = None  # the log: files and folders; None: all of this user's
    seed: int = 0
    options: dict[str, Any] = field(default_factory=dict)  # of SacConfig
    goal_options: dict[str, Any] = field(default_factory=dict)
    sim: str = "nominal"
    sim_options: dict[str, Any] = field(default_factory=dict)
    contract: Path | None = None
    models_dir: Path | None = None
    runs_dir: Path | None = None
    name: str | None = None
    resume: bool = False
    mix: Collection[str] = ()
    promote: bool = False
    notes: str = ""


class PolicyPlan(BaseModel):
    """A request, completed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    label: str  # how `mbrl learn-curve` calls runs of this kind
    task: str
    contract: str
    contract_folder: Path | None = None
    seed: int = Field(ge=0, lt=100_000)
    source: Source
    scheme: Scheme
    version: str = ""  # whose model it learns in; empty: from sim
    model_sha256: str = ""
    transitions: int = Field(default=0, ge=0)  # that the version's model had learnt from
    files: tuple[str, ...] = ()
    config: SacConfig
    goal_options: dict[str, Any] = Field(default_factory=dict)
    max_goal_lead: float = 0.0
    sim: str = "nominal"
    sim_options: dict[str, Any] = Field(default_factory=dict)
    models_dir: Path
    mix: tuple[Mixed, ...] = ()
    promote: bool = False
    notes: str = ""

    @property
    def amount(self) -> int:
        """Control steps, or updates, after which it ends."""
        return self.config.env_steps if self.source == "sim" else self.config.updates


def make_plan(request: PolicyRequest) -> PolicyPlan:
    """`request`, completed; raises MbrlError."""
    task = request.task
    robot = contract_for(task, request.contract)
    try:
        config = SacConfig.model_validate(request.options)
    except ValidationError as error:
        raise MbrlError(f"policy options: {describe_validation(error, SacConfig, 'mbrl options policy')}") from error
    registry = Registry(request.models_dir)
    registry.check_writable(task)
    mix = parse_mix(request.mix)
    more: dict[str, Any] = {}
    if request.source == "model":
        own = robot.file.robot
        version = registry.resolve(task, request.model, "" if "robots" in mix else own)
        card = version.card()
        version.require_model(card)
        check_robot(card.spec.robot, own, mix, version.name)
        folders = request.episodes or [home_dir() / "episodes" / task]
        if not request.episodes and not folders[0].is_dir():
            raise DatasetError(
                f"{folders[0]}: no episodes, in whose states rollouts begin; record some: mbrl collect {task}, or name "
                "those that the model was trained on: --episodes"
            )
        files = tuple(str(file.resolve()) for file in episode_files(folders))
        if not files:
            raise DatasetError(f"no episode files (*.mcap) below {', '.join(map(str, folders))}")
        more = {"version": version.name, "model_sha256": card.model_sha256, "transitions": card.spec.transitions}
        more |= {"files": files}
    elif request.episodes:
        raise MbrlError("--episodes: a policy from sim learns from its own steps; leave them out, or say --from model")
    label = "SAC from sim" if request.source == "sim" else f"SAC from model, scheme {request.scheme}"
    return PolicyPlan(
        label=f"{task} {label}",
        task=task,
        contract=robot.text,
        contract_folder=robot.folder,
        seed=request.seed,
        source=request.source,
        scheme=request.scheme,
        config=config,
        goal_options=request.goal_options,
        max_goal_lead=task_defaults(task).core.max_goal_lead,
        sim=request.sim,
        sim_options=request.sim_options,
        models_dir=registry.root,
        mix=tuple(sorted(mix)),  # type: ignore[arg-type]
        promote=request.promote,
        notes=request.notes,
        **more,
    )


def read_plan(folder: Path) -> PolicyPlan:
    """The plan in a run's folder; raises MbrlError."""
    path = folder / PLAN_FILE
    try:
        return PolicyPlan.model_validate_json(path.read_bytes())
    except OSError as error:
        raise MbrlError(f"{path}: cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise MbrlError(f"{path}: not the plan of a policy's run: {describe_validation(error)}") from error


def command_of(plan: PolicyPlan) -> str:
    """The command that does the same again."""
    words = ["mbrl policy", plan.task, "--from", plan.source, "--seed", str(plan.seed)]
    if plan.source == "model":
        words += ["--scheme", plan.scheme, "--model", plan.version]
    default = SacConfig()
    words += [
        f"--set {name}={value}".replace("(", "[").replace(")", "]").replace(" ", "").replace("--set", "--set ")
        for name, value in plan.config
        if value != getattr(default, name)
    ]
    words += [f"--goal {name}={value}" for name, value in plan.goal_options.items()]
    return " ".join(words)
