# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Many episodes on several processes, each with its own simulation and its own one-threaded model."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from itertools import repeat
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from mbrl_controller.base.os_process import die_with_parent
from mbrl_controller.contract.contract import RobotContract, parse_contract
from mbrl_controller.control.config import ControllerConfig, SafetyConfig
from mbrl_controller.control.core import ControllerCore
from mbrl_controller.control.safety import Safety
from mbrl_controller.control.steps import ControlModel
from mbrl_controller.models.files import ModelFile
from mbrl_controller.models.loading import Backend, load_ensemble
from mbrl_controller.models.served_model import ServedModel
from mbrl_controller.planning.catalog import make_planner
from mbrl_controller.rollouts.episode import EpisodeRecord, run_episode
from mbrl_controller.rollouts.policies import ControllerPolicy, HoldPolicy, Policy, RandomActionPolicy
from mbrl_controller.simulation.env import HandEnv
from mbrl_controller.simulation.hand import HandSimulation
from mbrl_controller.simulation.options import SimOptions
from mbrl_controller.simulation.oracle import OracleRollout

PolicyName = Literal["controller", "hold", "random"]


class EpisodePlan(BaseModel):
    """Everything that decides an episode but its seed; plain data, so that it can be sent to another process."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    contract: str  # YAML text
    sim: SimOptions = SimOptions()
    policy: PolicyName = "controller"
    planner: str = "pddm"
    planner_options: dict[str, Any] = Field(default_factory=dict)
    core: ControllerConfig = ControllerConfig()
    check_disagreement: bool = False
    model: Path | None = None  # None: the simulator itself plans (oracle)
    model_sha256: str | None = None  # None: whatever is in the file
    model_version: str = ""
    backend: Backend = "onnx"
    exploration: float = Field(default=0.0, ge=0, le=2, description="noise on the action, normalised std. dev.")
    random_scale: float = Field(default=1.0, gt=0, le=1)
    seconds: float | None = Field(default=None, gt=0)
    goal_options: dict[str, Any] = Field(default_factory=dict)


class EpisodeRunner:
    """Runs episodes of one plan, one after the other."""

    def __init__(self, plan: EpisodePlan) -> None:
        self.plan = plan
        self.contract = parse_contract(plan.contract)
        self.hand = HandEnv(HandSimulation(self.contract, plan.sim))
        self.policy = self._policy()

    def run(self, seed: int) -> EpisodeRecord:
        """The episode of `seed`: start, goal, noise and planner all follow from it."""
        goal_rng = np.random.default_rng(np.random.SeedSequence([seed, 2]))
        goal = self.contract.task.sample_goal(goal_rng, **self.plan.goal_options)
        seconds = self.plan.seconds or self.contract.task.episode_s
        return run_episode(self.hand, self.policy, goal, seed, seconds)

    def _policy(self) -> Policy:
        if self.plan.policy == "hold":
            return HoldPolicy(self.contract)
        if self.plan.policy == "random":
            return RandomActionPolicy(self.contract, self.plan.random_scale)
        return ControllerPolicy(make_core(self.contract, self.plan, self._model()), self.plan.exploration)

    def _model(self) -> ControlModel:
        if self.plan.model is None:
            return OracleRollout(self.hand.simulation, threads=1)
        task, action = self.contract.task, self.contract.action
        file = ModelFile.read(self.plan.model, self.plan.model_sha256)
        loaded = load_ensemble(file, self.plan.backend, task=task, action=action, threads=1)
        return ServedModel(loaded, self.plan.model_version)


def make_core(contract: RobotContract, plan: EpisodePlan, model: ControlModel) -> ControllerCore:
    """The controller of a plan; the same class that the node runs."""
    planner = make_planner(plan.planner, len(contract.action), plan.planner_options)
    # Simulated hands need no ramp: what is learnt and compared is control at full speed from the first step on.
    config = SafetyConfig(check_disagreement=plan.check_disagreement, ramp_s=0.0)
    safety = Safety(contract.action, config, contract.file.command.safe)
    return ControllerCore(contract, model, planner, plan.core, safety)


@contextmanager
def episode_pool(plan: EpisodePlan, processes: int) -> Iterator[Callable[[list[int]], Iterator[EpisodeRecord]]]:
    """A function from seeds to their records, in the order of the seeds. One process runs them here."""
    if processes <= 1 and _shared is None:
        runner = EpisodeRunner(plan)
        yield lambda seeds: (runner.run(seed) for seed in seeds)
        return
    EpisodeRunner(plan)  # what is wrong with the plan is raised here, not in every worker
    with contextlib.ExitStack() as stack:
        pool = _shared or stack.enter_context(_started(processes))
        yield lambda seeds: pool.map(_run, repeat(plan), seeds)


@contextmanager
def shared_workers(processes: int) -> Iterator[None]:
    """Within the block `episode_pool` has its episodes run by these processes: starting some takes seconds."""
    global _shared
    if processes <= 1:
        yield
        return
    with _started(processes) as pool:
        _shared = pool
        try:
            yield
        finally:
            _shared = None


@contextmanager
def _started(processes: int) -> Iterator[ProcessPoolExecutor]:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_begin) as pool:
        try:
            yield pool
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


_shared: ProcessPoolExecutor | None = None
_runner: EpisodeRunner | None = None  # of a worker, for the plan that it ran last


def _begin() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which ends the pool
    die_with_parent(signal.SIGKILL)  # a parent that was killed cannot: its workers would wait for ever


def _run(plan: EpisodePlan, seed: int) -> EpisodeRecord:
    global _runner
    if _runner is None or _runner.plan != plan:
        _runner = EpisodeRunner(plan)
    return _runner.run(seed)
