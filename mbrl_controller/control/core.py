# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The controller without ROS and without a clock: from an observation to a command.

A tick has three parts, so that a late planner cannot stall it: `prepare` (quick), `solve` (heavy; may run on another
thread and touches nothing of the core) and `conclude` (quick; limits, memory, safety). `tick` runs all three in a row,
as lockstep evaluation does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.control import solver
from mbrl_controller.control.command_source import CommandSource
from mbrl_controller.control.config import ControllerConfig, DelayKind
from mbrl_controller.control.delay import Delay, SentCommands, commands_in_force, estimate
from mbrl_controller.control.feedback import MAX_AGE, corrected_target
from mbrl_controller.control.gradients import check_gradients
from mbrl_controller.control.heads import Acting, Asked, UsedHeads, used_heads, who_acts
from mbrl_controller.control.plan_ahead import PlanAhead
from mbrl_controller.control.safety import SILENT, Safety, SafetyState
from mbrl_controller.control.steps import ControlModel, NoModel, Observation, PlanRequest, Solution, Tick
from mbrl_controller.control.stuck_sensors import StuckSensorMonitor
from mbrl_controller.planning.base import Planner
from mbrl_controller.tasks.base import Goal, ObservingGoal
from mbrl_controller.tasks.spaces import Array


@dataclass(frozen=True)
class _Ticked:
    """A step's command [A], when it was sent (s), and the points [n, A] sent with it."""

    now: float
    command: Array
    following: Array


class ControllerCore:
    """The controller for one contract. Only `solve` is thread-safe."""

    def __init__(
        self,
        contract: RobotContract,
        model: ControlModel,
        planner: Planner,
        config: ControllerConfig | None = None,
        safety: Safety | None = None,
        seed: int = 0,
        *,
        active: bool = True,
        acting: Asked = "controller",
    ) -> None:
        """Raises ModelError for heads or gradients that the options ask for and the model has not.

        Args:
            contract: states, actions and task.
            model: predicts what commands do; may have heads.
            planner: searches for them.
            config: options besides the planner's own; None: the defaults.
            safety: limits and safety state; None: a new one with default options.
            seed: of the first plan.
            active: ready at once, or only after the next `reset`.
            acting: the planner acts, or the model's policy alone; auto: the policy, where the model has one.
        """
        self.contract = contract
        self.task = contract.task
        self.model = model
        self.planner = planner
        self.config = config or ControllerConfig()
        self._asked: Asked = acting
        self.acting: Acting = who_acts(acting, model)
        self._heads = self._used_heads(model, planner, self.config, self.acting)
        self.safety = safety or Safety(contract.action, safe=contract.file.command.safe)
        self._joints = self.task.joint_positions
        self._sent = SentCommands()
        self._ahead = PlanAhead(contract.action.period)
        self.plan_points = 1  # of a plan, that a driver is sent at once
        self._stuck_sensors = StuckSensorMonitor(contract)
        self._source = CommandSource(planner.initial_state(seed))
        self._begin_epoch(seed, None)
        if active:
            self.safety.change(SafetyState.READY, "reset")

    @property
    def epoch(self) -> int:
        """The epoch begun last; unique in a process."""
        return self.safety.standing.epoch

    def reset(self, seed: int, position: Array | None = None) -> None:
        """Forget everything planned: a new epoch, whose plans start from the joint `position` [A] (rad). A latched stop
        stays."""
        self._begin_epoch(seed, position)
        self.safety.change(SafetyState.READY, "reset")

    def _begin_epoch(self, seed: int, position: Array | None) -> None:
        last = None if position is None else self.contract.action.to_normalised(position)
        self._source.begin(self.planner.initial_state(seed, last))
        self._planner_goal: tuple[Goal, float, Goal] | None = None  # goal, `max_goal_lead`, goal as planned for
        self._sent.clear()
        self._ticked: _Ticked | None = None  # the last step that sent a command, until a hold
        self._corrected_at = -np.inf  # s, the newest state that a command was made for
        self._stuck_sensors.reset()
        self.safety.standing.epoch += 1
        self.sequence = 0

    def _used_heads(self, model: ControlModel, planner: Planner, config: ControllerConfig, acting: Acting) -> UsedHeads:
        if acting != "distilled":
            check_gradients(model, planner, self.task, self.contract.action)
        return used_heads(model, planner, config, acting)

    def swap(self, model: ControlModel) -> None:
        """Plan with `model` from the next `prepare` on; raises ModelError if it lacks what is used."""
        acting = who_acts(self._asked, model)
        self._heads = self._used_heads(model, self.planner, self.config, acting)
        self.model, self.acting = model, acting

    def reconfigure(self, planner: Planner, config: ControllerConfig, acting: Asked | None = None) -> None:
        """Plan with new options from the next `prepare` on.

        Args:
            planner: of the same shape of plans as the present one.
            config: options besides the planner's own.
            acting: who acts; None: as before.

        Raises:
            ValueError: the shape of plans would change.
            ModelError: a head that is asked for is not there.
        """
        shape, running = (planner.config.horizon, planner.action_size), self._source.planner_state.mean.shape
        if running != shape:
            raise ValueError(f"the running plan has shape {running}, the new planner's {shape}")
        asked = acting or self._asked
        actor = who_acts(asked, self.model)
        self._heads = self._used_heads(self.model, planner, config, actor)
        planner.throughput = (
            self.planner.throughput
        )  # the time per candidate depends on the machine, not on the planner
        self.planner, self.config, self.acting, self._asked = planner, config, actor, asked

    def prepare(
        self,
        observation: Observation,
        goal: Goal,
        episode_time: float,
        now: float | None = None,
        execution: float = 0.0,
    ) -> PlanRequest:
        """Freeze everything that the next plan depends on.

        Args:
            observation: the newest state.
            goal: what to pursue.
            episode_time: s since the goal's zero.
            now: s, the same moment by the stamps' clock; None: the observation's own stamp.
            execution: s from now until the command is sent.
        """
        period = self.contract.action.period
        now = observation.stamp if now is None else now
        self._catch_up(now)
        predicts = (self.planner.needs_model or self.acting == "distilled") and not isinstance(self.model, NoModel)
        kind = self.config.delay if predicts else "none"
        delay = estimate(kind, self.config.delay_s, now - observation.stamp, execution)
        times = episode_time + delay.lead + period * np.arange(1, self._heads.rows(self.planner.config.horizon) + 1)
        goals = self._as_planned(goal, observation.state, episode_time).at(times)
        return PlanRequest(
            observation=observation,
            delay=delay,
            replay=commands_in_force(self._sent, now, self._bridged(kind, delay, observation), period),
            goals=goals,
            planner_state=self._source.planner_state,
            model=self.model,
            planner=self.planner,
            config=self.config,
            epoch=self.epoch,
            sequence=self.sequence,
            acting=self.acting,
            heads=self._heads,
            rest=self._source.rest(self.config.replan_every),
        )

    def solve(self, request: PlanRequest, deadline: float | None = None) -> Solution:
        """Plan from the state predicted for the moment at which the command acts. Pure: safe on another thread."""
        return solver.solve(request, self.task, self.contract.action, deadline)

    def goes_on_without(self, request: PlanRequest) -> bool:
        """Whether the policy may act for a planner that raised an exception on this request."""
        return request.epoch == self.epoch and self._source.may_replace(request, self.safety.config)

    def conclude(
        self,
        request: PlanRequest,
        solution: Solution | None,
        now: float = 0.0,
        noise: Array | None = None,
        failure: str = "",
    ) -> Tick:
        """The command for this step.

        Args:
            request: from `prepare`.
            solution: from `solve`; None: the planner was late, or failed.
            now: s.
            noise: exploration [A], added to the normalised action.
            failure: what the planner raised, where `goes_on_without` allows to go on.
        """
        if self.safety.state in SILENT:
            return self._nothing_sent(now)
        self._catch_up(now)
        if request.epoch != self.epoch:
            return self.hold("the plan was made before a reset", request.observation, now)
        if not np.isfinite(request.observation.state).all():
            return self.hold("the state has non-finite entries", request.observation, now, request, solution)
        position = request.observation.state[self._joints]
        stuck = self._stuck_sensor(request.observation)  # always asked: it counts periods
        choice = self._source.choose(request, solution, request.model, self.safety.config, failure)
        problem = choice.problem or stuck or self.safety.obstacle(position) or choice.lacking
        if problem:
            return self.hold(problem, request.observation, now, request, solution)
        target = self._source.follow(choice)
        if noise is not None:
            normalised = self.contract.action.to_normalised(target) + noise
            target = self.contract.action.to_target(np.clip(normalised, -1.0, 1.0))
        command = self.safety.command(target, position)
        assert choice.targets is not None
        following = self.safety.following(choice.targets[1 : self.plan_points])
        self.safety.change(SafetyState.RUNNING, choice.reason, now)
        tick = self._sent_tick(command, choice.source, now, request, choice.solution)
        self._ahead.send(now, command, following)
        self._ticked, self._corrected_at = _Ticked(now, command, following), request.observation.stamp
        return replace(tick, following=following)

    @property
    def corrects(self) -> bool:
        """Whether the plan in force has feedback, so that its command may be corrected."""
        return self._source.feedback is not None

    def correct(self, observation: Observation, now: float) -> Tick | None:
        """The command of the last tick, corrected by its plan's feedback for a newer state; None where nothing is to be
        sent: no plan with feedback is in force, it is too old, or the state is not newer or says nothing new.

        Args:
            observation: the newest state.
            now: s, by the clock of the ticks.
        """
        feedback, tick = self._source.feedback, self._ticked
        if feedback is None or tick is None or self.safety.state is not SafetyState.RUNNING:
            return None
        newer = observation.stamp > self._corrected_at and 0 <= now - tick.now <= MAX_AGE * self.contract.action.period
        if not newer or not np.isfinite(observation.state).all():
            return None
        self._corrected_at = observation.stamp
        stamps = observation.stamp + np.broadcast_to(observation.newer, observation.state.shape)
        change = feedback.correction(observation.state, stamps, self.task.state)
        before = self.safety.last_command
        if before is None or not np.isfinite(change).all():
            return None
        target = corrected_target(self.contract.action, tick.command, change)
        command = self.safety.correct(target, observation.state[self._joints])
        if command is None or np.array_equal(command, before):
            return None
        self._catch_up(now)
        self._sent.add(now, command)
        self._source.executed(self.contract.action.to_normalised(command))
        self._ahead.send(now, command, tick.following)
        return Tick(
            command,
            "feedback",
            self.safety.state,
            self.safety.reason,
            self.epoch,
            self.sequence - 1,
            following=tick.following,
        )

    def hold(
        self,
        reason: str,
        observation: Observation | None,
        now: float = 0.0,
        request: PlanRequest | None = None,
        solution: Solution | None = None,
    ) -> Tick:
        """The safe command, with its reason; without an observation, from the last command. Sends nothing in the
        `SILENT` states, and where no command keeps all limits."""
        if self.safety.state in SILENT:
            return self._nothing_sent(now)
        self._catch_up(now)
        position = None if observation is None else observation.state[self._joints]
        command = self.safety.safe_command(position)
        obstacle = "" if command is not None else self.safety.obstacle(position)
        if obstacle not in reason:
            reason = f"{reason}; {obstacle}"
        self._hold(reason, now)
        if command is None:
            return replace(self._nothing_sent(now), request=request, solution=solution)
        return self._sent_tick(command, "safe", now, request, solution)

    def send_nothing(self, reason: str, now: float = 0.0) -> Tick:
        """Hold without a command; the hand's driver keeps the last one."""
        if self.safety.state not in SILENT:
            self._catch_up(now)
            self._hold(reason, now)
        return self._nothing_sent(now)

    def idle(self, now: float = 0.0) -> Tick:
        """A tick that sends nothing and changes nothing."""
        return self._nothing_sent(now)

    def stop_point(self, now: float) -> Array | None:
        """Where a driver [A] (rad) that follows a plan by itself is to stop at `now` (s), since nothing else will be
        sent; None if none does."""
        return self._ahead.stop(now)

    def stop(self, reason: str, observation: Observation | None = None, now: float = 0.0) -> Tick:
        """The safe command once more, then none: latched until `safety.clear_stop`."""
        tick = self.hold(reason, observation, now)
        self.safety.change(SafetyState.STOPPED, reason, now)
        return replace(tick, state=self.safety.state, reason=self.safety.reason)

    def leave(self, reason: str, observation: Observation | None = None, now: float = 0.0) -> Tick:
        """The safe command once more, then inactive until the next `reset`. A latched stop stays, and sends nothing."""
        tick = self.hold(reason, observation, now)
        self.safety.change(SafetyState.INACTIVE, reason, now)
        self._source.drop_plan()
        return replace(tick, state=self.safety.state, reason=self.safety.reason)

    def tick(
        self,
        observation: Observation,
        goal: Goal,
        episode_time: float,
        deadline: float | None = None,
        noise: Array | None = None,
        now: float | None = None,
        late: bool = False,
    ) -> Tick:
        """Prepare, solve and conclude in a row.

        Args:
            observation, goal, episode_time, now: as for `prepare`.
            deadline: s, time.monotonic, until which the planner may refine; None: no limit.
            noise: exploration [A], added to the normalised action.
            late: take the plan for late, on purpose.
        """
        now = observation.stamp if now is None else now
        if self.safety.state in SILENT:
            return self._nothing_sent(now)
        request = self.prepare(observation, goal, episode_time, now)
        if late:
            solver.answer_for_late(request, self.task, self.contract.action)
            return self.conclude(request, None, now, noise)
        return self.conclude(request, self.solve(request, deadline), now, noise)

    def _as_planned(self, goal: Goal, state: Array, episode_time: float) -> Goal:
        """The goal as the planner sees it, waiting for the objects. Rewards are computed by the goal itself."""
        lead = self.config.max_goal_lead
        if not lead:
            return goal
        if self._planner_goal is None or self._planner_goal[0] is not goal or self._planner_goal[1] != lead:
            self._planner_goal = goal, lead, self.task.waiting(goal, lead)
        planner_goal = self._planner_goal[2]
        if planner_goal is not goal and isinstance(planner_goal, ObservingGoal):
            planner_goal.observe(state, episode_time)
        return planner_goal

    def _bridged(self, kind: DelayKind, delay: Delay, observation: Observation) -> float | Array:
        """s from each measurement to the command's effect; the same for all, unless the delay is `measured`."""
        if kind != "measured":
            return delay.total
        return np.maximum(delay.total - observation.newer, delay.lead)

    def _stuck_sensor(self, observation: Observation) -> str:
        """Which sensor is stuck; empty if none is."""
        config = self.safety.config
        return self._stuck_sensors.problem(
            observation.state,
            observation.stamp,
            self.safety.last_command,
            config.frozen_periods,
            config.frozen_object_periods,
        )

    def _hold(self, reason: str, now: float) -> None:
        self._source.drop_plan()
        self._ticked = None
        self.safety.change(SafetyState.HOLDING, reason, now)

    def _catch_up(self, now: float) -> None:
        """A driver that got no command since went on with the plan."""
        for when, point in self._ahead.passed(now):
            self.safety.went_on(point)
            self._sent.add(when, point)

    def _nothing_sent(self, now: float) -> Tick:
        return Tick(
            None,
            "none",
            self.safety.state,
            self.safety.reason,
            self.epoch,
            self.sequence,
            stop_at=self._ahead.stop(now),
        )

    def _sent_tick(
        self, command: Array, source: str, now: float, request: PlanRequest | None, solution: Solution | None
    ) -> Tick:
        self._sent.add(now, command)
        self._ahead.end()
        self._source.executed(self.contract.action.to_normalised(command))
        self.sequence += 1
        return Tick(
            command, source, self.safety.state, self.safety.reason, self.epoch, self.sequence - 1, request, solution
        )
