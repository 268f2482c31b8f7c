# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""One episode in simulation, without ROS and without waiting: each control step follows the last one at once."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from mbrl_controller.contract.contract import RobotContract, parse_contract
from mbrl_controller.control.config import ControllerConfig, SafetyConfig
from mbrl_controller.control.core import ControllerCore
from mbrl_controller.control.heads import Acting
from mbrl_controller.control.safety import Safety
from mbrl_controller.control.steps import ControlModel, NoModel, Observation
from mbrl_controller.episodes.trajectory_writer import SourceValues
from mbrl_controller.models.files import ModelFile
from mbrl_controller.models.head_loading import HeadFiles, open_heads
from mbrl_controller.models.loading import Backend, LoadedModel, load_ensemble, load_gradients
from mbrl_controller.planning.base import PlannerOptions
from mbrl_controller.planning.catalog import PLANNERS, make_planner
from mbrl_controller.rollouts.policies import ControllerPolicy, HoldPolicy, Policy, RandomPolicy
from mbrl_controller.simulation.env import Corrections, HandEnv
from mbrl_controller.simulation.hand_simulation import HandSimulation
from mbrl_controller.simulation.identified import IdentifiedRollout
from mbrl_controller.simulation.oracle import OracleRollout
from mbrl_controller.simulation.residual import load_residual
from mbrl_controller.simulation.sim_options import SimOptions
from mbrl_controller.tasks.base import Goal, ObservingGoal
from mbrl_controller.tasks.metrics import EpisodeMetrics
from mbrl_controller.tasks.spaces import Array

PolicyName = Literal["controller", "distilled", "hold", "random"]


class EpisodeSpec(BaseModel):
    """Everything that decides an episode, except its seed; plain data, so that other processes can take it."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    contract: str  # YAML text
    contract_folder: Path | None = None  # where its scene is
    sim: SimOptions = SimOptions()
    policy: PolicyName = "controller"
    planner: str = "pddm"
    planner_options: PlannerOptions = Field(default_factory=dict)
    core: ControllerConfig = ControllerConfig()
    check_disagreement: bool = False
    model: Path | None = None  # None: the simulator itself plans
    fitted: dict[str, float] | None = None  # its parameters, where it plans from the measured state; None: as an oracle
    model_sha256: str | None = None  # None: whatever is in the file
    model_version: str = ""
    heads: HeadFiles = HeadFiles()  # of the version
    backend: Backend = "onnx"
    late_share: float = Field(default=0.0, ge=0, le=1, description="share of the plans that are taken for late")
    exploration: float = Field(default=0.0, ge=0, le=2, description="noise on the action, normalised std. dev.")
    random_scale: float = Field(default=1.0, gt=0, le=1)
    seconds: float | None = Field(default=None, gt=0)
    goal_options: dict[str, Any] = Field(default_factory=dict)


@dataclass(frozen=True)
class EpisodeTrajectory:
    """An episode of T steps; it ends early if the task's object was dropped."""

    seed: int
    states: Array  # [T+1, S], true
    observed: Array  # [T+1, S], as the sensors gave them
    stamps: Array  # [T+1] s since the start at which `observed` was measured
    commands: Array  # [T, A] rad
    goals: Array  # [T+1, G]
    plan_s: Array  # [T] s spent planning
    predicted_returns: Array  # [T]; NaN without a planner
    disagreements: Array  # [T]
    metrics: EpisodeMetrics
    measurements: list[list[SourceValues]] | None = None  # [T+1] from tick to tick; None: one of each at each tick
    sources: tuple[str, ...] = ()  # [T] where each command came from, as Tick.source; empty without a controller
    network_evaluations: Array | None = None  # [T] of each plan
    corrections: Array | None = None  # [T] commands that corrected each step's before the next
    policy_s: Array | None = None  # [T] s in the policy's network; NaN where it was not asked


class EpisodeRunner:
    """Runs the episodes of one spec, one after the other."""

    def __init__(self, spec: EpisodeSpec) -> None:
        self.spec = spec
        self.contract = parse_contract(spec.contract, folder=spec.contract_folder)
        self.hand = HandEnv(HandSimulation(self.contract, spec.sim), measures_between=spec.core.feedback)
        self.policy = self._policy()

    def run(self, seed: int) -> EpisodeTrajectory:
        """The episode of `seed`, which decides start, goal, noise and planner."""
        goal_rng = np.random.default_rng(np.random.SeedSequence([seed, 2]))
        goal = self.contract.task.sample_goal(goal_rng, **self.spec.goal_options)
        seconds = self.spec.seconds or self.contract.task.episode_s
        return run_episode(self.hand, self.policy, goal, seed, seconds)

    def _policy(self) -> Policy:
        if self.spec.policy == "hold":
            return HoldPolicy(self.contract)
        if self.spec.policy == "random":
            return RandomPolicy(self.contract, self.spec.random_scale)
        core = make_core(self.contract, self.spec, self._model())
        return ControllerPolicy(core, self.spec.exploration, late_share=self.spec.late_share)

    def _model(self) -> ControlModel:
        distilled = self.spec.policy == "distilled"
        if not distilled and not PLANNERS[self.spec.planner].needs_model:
            return NoModel()
        if self.spec.model is None and distilled:
            heads = open_heads(self.spec.heads.read(), task=self.contract.task, action=self.contract.action)
            return NoModel(self.spec.model_version, heads.policy)
        if self.spec.model is None and self.spec.fitted is not None:
            return IdentifiedRollout(self.contract, self.spec.fitted, self.spec.model_version)
        if self.spec.model is None:
            return OracleRollout(self.hand.simulation, threads=1)
        task, action = self.contract.task, self.contract.action
        file = ModelFile.read(self.spec.model, self.spec.model_sha256)
        if self.spec.fitted is not None:
            return load_residual(self.contract, self.spec.fitted, self.spec.model_version, file, self.spec.backend)
        loaded = load_ensemble(file, self.spec.backend, task=task, action=action, threads=1)
        heads = open_heads(self.spec.heads.read(), task=task, action=action)
        wanted = not distilled and PLANNERS[self.spec.planner].needs_gradients
        gradients = load_gradients(file, loaded.spec, heads) if wanted else None
        return LoadedModel(loaded, self.spec.model_version, heads=heads, gradients=gradients)


def make_core(contract: RobotContract, spec: EpisodeSpec, model: ControlModel) -> ControllerCore:
    """The controller of a spec; the same class that the node runs."""
    planner = make_planner(spec.planner, len(contract.action), spec.planner_options)
    # Simulated hands need no ramp: what is learnt and compared is control at full speed from the first step on.
    config = SafetyConfig(check_disagreement=spec.check_disagreement, ramp_s=0.0)
    safety = Safety(contract.action, config, contract.file.command.safe)
    acting: Acting = "distilled" if spec.policy == "distilled" else "controller"
    return ControllerCore(contract, model, planner, spec.core, safety, acting=acting)


def run_episode(hand: HandEnv, policy: Policy, goal: Goal, seed: int, seconds: float) -> EpisodeTrajectory:
    """Run an episode of at most `seconds` from `seed`; the same arguments give the same trajectory.

    Args:
        hand: the simulated hand; it is reset.
        policy: chooses the commands; it is reset too.
        goal: what the task asks for.
        seed: of the start, and of the policy.
        seconds: length unless the object is dropped, s.
    """
    simulation = hand.simulation
    task, period = simulation.contract.task, simulation.contract.action.period
    steps = round(seconds / period)
    stamp, sensed = hand.reset(seed)
    policy.reset(seed, Observation(sensed, stamp))
    observed, stamps, states, measurements = [sensed], [stamp], [simulation.state()], [_sent(hand)]
    commands: list[Array] = []
    asked: list[Array] = []
    solutions, spent, sources = [], [], []
    counter = CorrectionCounter(policy.corrections if isinstance(policy, ControllerPolicy) else None)

    def note_goal() -> None:
        """Note what an observing goal asks for now; it cannot say so later."""
        if isinstance(goal, ObservingGoal):
            goal.observe(sensed, period * len(commands))
            asked.append(goal.at(np.asarray(period * len(commands))))

    for step in range(steps):
        note_goal()
        began = time.perf_counter()
        command, tick = policy.act(Observation(sensed, stamp), goal, step * period)
        spent.append(time.perf_counter() - began)
        stamp, sensed = hand.step(command, counter.corrections)
        counter.end_step()
        observed.append(sensed)
        stamps.append(stamp)
        measurements.append(_sent(hand))
        states.append(simulation.state())
        commands.append(command)
        solutions.append(tick.solution if tick else None)
        if tick is not None:
            sources.append(tick.source)
        if task.dropped(states[-1]):
            break
    note_goal()
    goals = np.array(asked) if asked else goal.at(period * np.arange(len(states)))
    metrics = task.metrics(np.array(states), np.array(commands), goals, period)
    return EpisodeTrajectory(
        seed=seed,
        states=np.array(states),
        observed=np.array(observed),
        stamps=np.array(stamps),
        commands=np.array(commands),
        goals=goals,
        plan_s=np.array(spent),
        predicted_returns=np.array([s.plan.predicted_return if s else np.nan for s in solutions]),
        disagreements=np.array([s.disagreement if s else np.nan for s in solutions]),
        metrics=charge_full_length(metrics, task.drop_cost, steps - len(commands)),
        measurements=measurements if any(s.derived for s in simulation.contract.sources) else None,
        sources=tuple(sources),
        network_evaluations=np.array([s.network_evaluations if s else 0 for s in solutions], dtype=float),
        corrections=None if counter.corrections is None else np.array(counter.counts, dtype=float),
        policy_s=np.array([s.policy_duration if s else np.nan for s in solutions]),
    )


class CorrectionCounter:
    """Counts the corrections of each step."""

    def __init__(self, corrections: Corrections | None) -> None:
        self._made, self.counts = 0, list[int]()
        self.corrections = None
        if corrections is not None:
            self._correct = corrections.correct
            self.corrections = Corrections(corrections.rate, self._counted)

    def end_step(self) -> None:
        """The next corrections are of the next step."""
        self.counts.append(self._made)
        self._made = 0

    def _counted(self, now: float, stamp: float, state: Array) -> Array | None:
        command = self._correct(now, stamp, state)
        self._made += command is not None
        return command


def _sent(hand: HandEnv) -> list[SourceValues]:
    """What arrived in the last step; plain data, so that it passes between processes."""
    return [(m.source.key, m.values, m.stamp) for m in hand.measurements]


def charge_full_length(metrics: EpisodeMetrics, drop_cost: float, missing: int) -> EpisodeMetrics:
    """Charge a drop for each missing step, so that ending early is no advantage."""
    return replace(metrics, episode_return=metrics.episode_return - drop_cost * missing)
