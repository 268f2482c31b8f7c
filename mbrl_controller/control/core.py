"""The controller without ROS and without a clock: from an observation to a command.

A tick has three parts so that a late planner cannot hold it up: `prepare` (quick), `solve` (heavy; may run on another
thread, touches nothing of the core) and `conclude` (quick; limits, memory, safety). `tick` runs all three in a row,
as lockstep evaluation does.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from mbrl_controller.control.safety import Safety, SafetyState
from mbrl_controller.episodes.contract import RobotContract
from mbrl_controller.planning.base import Planner, PlannerState, PlanResult
from mbrl_controller.planning.objective import RolloutModel, RolloutObjective
from mbrl_controller.planning.risk import Risk, disagreement
from mbrl_controller.tasks.base import Goal
from mbrl_controller.tasks.spaces import Array


class ControlModel(RolloutModel, Protocol):
    """A rollout model with the identity the controller reports."""

    @property
    def version(self) -> str: ...

    @property
    def delta_scale(self) -> Array | None:
        """Standard deviation of one step's change [S] in the training data; None: disagreement is not defined."""
        ...

    @property
    def disagreement_limit(self) -> float | None: ...


class CoreConfig(BaseModel):
    """What the core adds to the planner's own configuration."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    risk: Risk = Risk()
    drop_cost: float = Field(default=20.0, ge=0, description="charged for each step from a predicted drop on")
    delay_s: float = Field(default=0.0, ge=0, le=2, description="from a command to its effect, replayed in the model")


@dataclass(frozen=True)
class Observation:
    """A state [S] and when it was measured (s, the sources' clock)."""

    state: Array
    stamp: float


@dataclass(frozen=True)
class PlanRequest:
    """All that `solve` needs, taken at one moment."""

    observation: Observation
    in_flight: tuple[Array, ...]  # commands [A] sent but not yet acting, oldest first
    goals: Array  # [H, G] at the ends of the planned steps
    planner_state: PlannerState
    model: ControlModel
    planner: Planner
    config: CoreConfig
    epoch: int
    sequence: int


@dataclass(frozen=True)
class Solution:
    """A plan for a request."""

    plan: PlanResult
    planner_state: PlannerState
    targets: Array  # [H, A] joint targets, rad
    disagreement: float  # NaN where the model defines none
    model_version: str
    duration: float  # s


@dataclass(frozen=True)
class Tick:
    """What one control step came to."""

    command: Array | None  # [A] joint targets, rad; None: send nothing
    source: str  # plan, previous_plan, safe, none
    state: SafetyState
    reason: str
    epoch: int
    sequence: int
    request: PlanRequest | None = None
    solution: Solution | None = None


class ControllerCore:
    """One controller for one contract. Not thread-safe, but for `solve`."""

    def __init__(
        self,
        contract: RobotContract,
        model: ControlModel,
        planner: Planner,
        config: CoreConfig | None = None,
        safety: Safety | None = None,
        seed: int = 0,
    ) -> None:
        self.contract = contract
        self.task = contract.task
        self.model = model
        self.planner = planner
        self.config = config or CoreConfig()
        self.safety = safety or Safety(contract.action, safe=contract.file.command.safe)
        self.epoch = 0
        self._joints = self.task.joint_positions
        self.reset(seed)

    def reset(self, seed: int, position: Array | None = None) -> None:
        """Forget everything planned: a new epoch, whose plans start from the joint `position` [A] (rad).

        A latched stop stays.
        """
        last = None if position is None else self.contract.action.to_normalised(position)
        self._planner_state = self.planner.initial_state(seed, last)
        self._targets: Array | None = None  # what is left of the last plan
        self._sent: deque[Array] = deque(maxlen=64)
        self._late = self._disagreeing = 0
        self.epoch += 1
        self.sequence = 0
        self.safety.change(SafetyState.READY, "reset")

    def swap(self, model: ControlModel) -> None:
        """Plan with `model` from the next `prepare` on."""
        self.model = model

    def retune(self, planner: Planner, config: CoreConfig) -> None:
        """Plan with other options from the next `prepare` on; raises ValueError if the plans' shape would change."""
        shape = (planner.config.horizon, planner.action_size)
        if self._planner_state.mean.shape != shape:
            raise ValueError(f"the running plan has shape {self._planner_state.mean.shape}, the new planner's {shape}")
        planner.pace = self.planner.pace  # what a candidate takes is the machine's, not the planner's
        self.planner, self.config = planner, config

    def prepare(self, observation: Observation, goal: Goal, episode_time: float) -> PlanRequest:
        """Freeze what the next plan is made from. `episode_time`: s since the goal's zero."""
        period = self.contract.action.period
        waiting = round(self.config.delay_s / period)
        begin = episode_time + waiting * period
        goals = goal.at(begin + period * np.arange(1, self.planner.config.horizon + 1))
        in_flight = tuple(list(self._sent)[-waiting:]) if waiting else ()
        return PlanRequest(
            observation=observation,
            in_flight=in_flight,
            goals=goals,
            planner_state=self._planner_state,
            model=self.model,
            planner=self.planner,
            config=self.config,
            epoch=self.epoch,
            sequence=self.sequence,
        )

    def solve(self, request: PlanRequest, deadline: float | None = None) -> Solution:
        """Plan from the state predicted for the moment the command acts. Pure: safe on another thread."""
        began = time.monotonic()
        state = request.observation.state
        if request.in_flight:
            replay = np.stack(request.in_flight)[None]
            state = request.model.rollout(state, replay)[:, 0, -1].mean(0).astype(float)
        objective = RolloutObjective(
            model=request.model,
            task=self.task,
            action=self.contract.action,
            risk=request.config.risk,
            drop_cost=request.config.drop_cost,
            state=state,
            goal=request.goals,
        )
        plan, planner_state = request.planner.plan(objective, request.planner_state, deadline)
        targets = self.contract.action.to_target(plan.actions)
        spread = np.nan
        if request.model.delta_scale is not None:
            first = request.model.rollout(state, targets[None, :1])[:, :, 0]
            spread = float(disagreement(first, request.model.delta_scale)[0])
        return Solution(plan, planner_state, targets, spread, request.model.version, time.monotonic() - began)

    def conclude(
        self, request: PlanRequest, solution: Solution | None, now: float = 0.0, disturb: Array | None = None
    ) -> Tick:
        """The command for this step. `solution` None means that the planner was late."""
        if self.safety.state in (SafetyState.STOPPED, SafetyState.INACTIVE):
            return self._nothing_sent()
        if request.epoch != self.epoch:
            return self.hold("the plan was made before a reset", request.observation, now)
        if not np.isfinite(request.observation.state).all():
            return self.hold("the state has non-finite entries", request.observation, now, request, solution)
        position = request.observation.state[self._joints]
        problem = self._judge(solution, request.model)
        if problem:
            return self.hold(problem, request.observation, now, request, solution)
        if solution is not None:
            self._planner_state, self._targets = solution.planner_state, solution.targets
            source, reason = "plan", "planning"
        elif self._targets is not None and len(self._targets) > 1:
            self._targets = self._targets[1:]
            self._planner_state = self._planner_state.skipped()
            source, reason = "previous_plan", f"planner late ({self._late} in a row)"
        else:
            return self.hold("planner late and no plan left", request.observation, now, request)
        assert self._targets is not None
        target = self._targets[0]
        if disturb is not None:
            normalised = self.contract.action.to_normalised(target) + disturb
            target = self.contract.action.to_target(np.clip(normalised, -1.0, 1.0))
        command = self.safety.command(target, position)
        self.safety.change(SafetyState.RUNNING, reason, now)
        return self._sent_tick(command, source, request, solution)

    def hold(
        self,
        reason: str,
        observation: Observation | None,
        now: float = 0.0,
        request: PlanRequest | None = None,
        solution: Solution | None = None,
    ) -> Tick:
        """The safe command, with its reason; in `stopped` and `inactive` nothing is sent."""
        if self.safety.state in (SafetyState.STOPPED, SafetyState.INACTIVE):
            return self._nothing_sent()
        self.safety.change(SafetyState.HOLDING, reason, now)
        self._targets = None
        position = None if observation is None else observation.state[self._joints]
        command = self.safety.safe_command(position)
        if command is None:
            return Tick(None, "none", self.safety.state, reason, self.epoch, self.sequence, request, solution)
        return self._sent_tick(command, "safe", request, solution)

    def stop(self, reason: str, observation: Observation | None = None, now: float = 0.0) -> Tick:
        """The safe command once more, then none: latched until `safety.clear_stop`."""
        tick = self.hold(reason, observation, now)
        self.safety.change(SafetyState.STOPPED, reason, now)
        return replace(tick, state=self.safety.state, reason=self.safety.reason)

    def leave(self, reason: str, observation: Observation | None = None, now: float = 0.0) -> Tick:
        """The safe command once more, then inactive until the next `reset`. A latched stop stays, and sends nothing."""
        tick = self.hold(reason, observation, now)
        self.safety.change(SafetyState.INACTIVE, reason, now)
        self._targets = None
        return replace(tick, state=self.safety.state, reason=self.safety.reason)

    def tick(
        self,
        observation: Observation,
        goal: Goal,
        episode_time: float,
        deadline: float | None = None,
        disturb: Array | None = None,
    ) -> Tick:
        """Prepare, solve and conclude in a row; `disturb` [A] (normalised) is exploration added to the action."""
        if self.safety.state in (SafetyState.STOPPED, SafetyState.INACTIVE):
            return self._nothing_sent()
        request = self.prepare(observation, goal, episode_time)
        return self.conclude(request, self.solve(request, deadline), observation.stamp, disturb)

    def _judge(self, solution: Solution | None, model: ControlModel) -> str:
        """Why this solution must not be followed; empty if it may."""
        if solution is None:
            self._late += 1
            if self._late >= self.safety.config.max_late_plans:
                return f"planner late {self._late} times in a row"
            return ""
        self._late = 0
        if not solution.plan.valid or not np.isfinite(solution.targets).all():
            return "no candidate had a finite return"
        limit = model.disagreement_limit
        if self.safety.config.check_disagreement and limit is not None and solution.disagreement > limit:
            self._disagreeing += 1
            if self._disagreeing >= self.safety.config.max_disagreeing_plans:
                return f"the ensemble disagrees: {solution.disagreement:.3g} above {limit:.3g}"
        else:
            self._disagreeing = 0
        return ""

    def _nothing_sent(self) -> Tick:
        return Tick(None, "none", self.safety.state, self.safety.reason, self.epoch, self.sequence)

    def _sent_tick(self, command: Array, source: str, request: PlanRequest | None, solution: Solution | None) -> Tick:
        self._sent.append(command)
        self._planner_state = self._planner_state.executed(self.contract.action.to_normalised(command))
        self.sequence += 1
        return Tick(
            command, source, self.safety.state, self.safety.reason, self.epoch, self.sequence - 1, request, solution
        )
