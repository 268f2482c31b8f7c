"""From what a person asks for (a task, a version, a planner) to the plan that episode runners take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from mbrl_controller.control.core import CoreConfig
from mbrl_controller.episodes.contract import RobotContract
from mbrl_controller.errors import MbrlError
from mbrl_controller.jobs.task_defaults import contract_for, planner_defaults
from mbrl_controller.jobs.workers import EpisodePlan, PolicyName
from mbrl_controller.planning.model_loading import BACKENDS, Backend
from mbrl_controller.registry import Registry
from mbrl_controller.simulation.options import preset

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
    models_dir: Path | None = None
    contract: Path | None = None
    planner: str = "pddm"
    planner_options: dict[str, Any] | None = None
    core: CoreConfig | None = None
    exploration: float = 0.0
    random_scale: float = 1.0
    sim: str = "nominal"
    seconds: float | None = None
    goal_options: dict[str, Any] | None = None


@dataclass(frozen=True)
class Prepared:
    """What runs, and the version and digest of the model that acts (the policy's name and nothing for a floor)."""

    plan: EpisodePlan
    contract: RobotContract
    version: str
    digest: str


def prepare(who: Who) -> Prepared:
    """Look everything up; raises MbrlError naming what does not exist or fit."""
    _check_known("dynamics", who.dynamics, DYNAMICS)
    _check_known("policy", who.policy, POLICIES)
    _check_known("backend", who.backend, BACKENDS)
    robot = contract_for(who.task, who.contract)
    defaults = planner_defaults(who.task, who.planner)
    path: Path | None = None
    version: str = "oracle" if who.policy == "controller" else who.policy
    digest = ""
    if who.policy == "controller" and who.dynamics == "learned":
        found = Registry(who.models_dir).resolve(who.task, who.model)
        path, version, digest = found.model, found.name, found.check_digest().model_sha256
    plan = EpisodePlan(
        contract=robot.text,
        sim=preset(who.sim),
        policy=who.policy,
        planner=who.planner,
        planner_options={**defaults.planner_options, **(who.planner_options or {})},
        core=who.core or defaults.core,
        model=path,
        model_version=version,
        backend=who.backend,
        exploration=who.exploration,
        random_scale=who.random_scale,
        seconds=who.seconds,
        goal_options=who.goal_options or {},
    )
    return Prepared(plan, robot, version, digest)


def _check_known(what: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise MbrlError(f"unknown {what} {value!r}; known: {', '.join(known)}")
