# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Control steps and interventions around the controller's core: all of a control node but its messages.

The loop calls `step`; e-stop, reset, goals and new models come from other threads. A lock keeps them apart; it is never
held while planning. The result of a step is handed to `send` under the lock, so nothing can be sent after a stop.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from mbrl_controller.base.errors import MessageError
from mbrl_controller.control.config import ControllerConfig, SafetyConfig, SessionConfig
from mbrl_controller.control.core import ControllerCore
from mbrl_controller.control.doubt import CLOCK_WENT_BACK, Doubt
from mbrl_controller.control.episode_manager import NO_OBJECT, EpisodeManager, Phase
from mbrl_controller.control.exploration import ExplorationNoise
from mbrl_controller.control.heads import Asked
from mbrl_controller.control.safety import SILENT, SafetyState
from mbrl_controller.control.simulated_time import SimulatedTime
from mbrl_controller.control.state_input import StateInput
from mbrl_controller.control.steps import ControlModel, EpisodeEvent, Observation, PlanRequest, Solution, Step, Tick
from mbrl_controller.planning.base import Planner
from mbrl_controller.tasks.base import Goal
from mbrl_controller.tasks.spaces import Array

Solve = Callable[[PlanRequest], Solution | None]
NON_FINITE = "the state has non-finite entries"
EXECUTIONS = 9  # steps whose median execution time is expected of the next


@dataclass(frozen=True)
class PlanInput:
    """What a step plans on and reports."""

    request: PlanRequest
    observation: Observation
    goal: Array  # [G] at the step's time
    episode_time: float  # s
    events: tuple[EpisodeEvent, ...]


class ControlSession:
    """A core with its episodes. Thread-safe."""

    def __init__(
        self,
        core: ControllerCore,
        inputs: StateInput,
        config: SessionConfig,
        send: Callable[[Step], None],
        *,
        lockstep: bool = False,
        reset_scene: Callable[[], None] | None = None,
        simulated: SimulatedTime | None = None,
        send_correction: Callable[[Tick, float], None] = lambda tick, stamp: None,
    ) -> None:
        """Args:
        core: plans and limits.
        inputs: the newest state.
        config: options of episodes, goals and exploration.
        send: gets every step, under the lock; must be quick.
        lockstep: the hand waits for each command.
        reset_scene: asks for a reset of the scene; None: nobody can do it.
        simulated: the time in which control periods are counted; None: real time.
        send_correction: gets a command that corrects a step's before the next, and its time (s), as `send` does.
        """
        self.core, self.inputs, self.lockstep = core, inputs, lockstep
        core.plan_points = 1 if lockstep else core.contract.plan_points
        self.episodes = EpisodeManager(core, inputs, config, reset_scene)
        self.last_sent: Step | None = None
        self._send, self._send_correction = send, send_correction
        self._simulated, self._elapsed_now = simulated, simulated.now if simulated is not None else time.monotonic
        self._lock = threading.RLock()
        self._observation: Observation | None = None  # the newest good one; None: the hand's position is unknown
        self._executions: deque[float] = deque(maxlen=EXECUTIONS)  # s from a step's begin to its command
        self._exploration = ExplorationNoise(len(core.contract.action))

    @property
    def config(self) -> SessionConfig:
        """The options in force."""
        return self.episodes.config

    # --- from the thread that ticks -----------------------------------------------------------------------------

    def step(
        self, stamp: float, now: float | None, clock: float | None, solve: Solve, expires: float = math.inf
    ) -> Step:
        """One control step.

        Args:
            stamp: s, the step's time.
            now, clock: as for StateInput.observation.
            solve: makes the plan; None if it is late.
            expires: s, time.monotonic; a command that is not ready by then is not sent. The process was stopped
                meanwhile, and the hand is elsewhere.
        """
        began = self._elapsed_now()
        with self._lock:
            stamp = self._episode_stamp(stamp)
            prepared = self._prepare(stamp, now, clock)
        if isinstance(prepared, Step):
            return prepared
        solution, failure = None, ""
        try:
            solution = solve(prepared.request)
        except Exception as error:  # whatever a model raises, the hand must be left safe
            failure = f"the planner failed: {type(error).__name__}: {error}"
        with self._lock:
            events, observation = prepared.events, prepared.observation
            if failure and not self.core.goes_on_without(prepared.request):
                events += self.episodes.end("stop", stamp)
                tick = self.core.stop(failure, observation, stamp)
            elif (late := time.monotonic() - expires) > 0:
                tick = self.core.send_nothing(f"the step was held up and ended {late:.2f} s too late", stamp)
            else:
                noise = self._exploration.sample(self.config.exploration_noise, self.config.noise_smoothing)
                tick = self.core.conclude(prepared.request, solution, stamp, noise, failure)
            reward, goal = self._reward(observation, prepared.goal), prepared.goal
            doubt = Doubt.CORRECTED if self.core.corrects else Doubt.NONE
            number, time_in = self.episodes.number, prepared.episode_time
            step = Step(stamp, tick, number, time_in, observation, goal, reward, events=events, doubt=doubt)
            self._executions.append(self._elapsed_now() - began)
            return self._finish(step)

    def correct(self, stamp: float, now: float | None, clock: float | None) -> bool:
        """Correct the last step's command by its plan's feedback and the newest state, and send it; whether there was
        anything to correct. Never waits for a plan. Times as in `step`."""
        with self._lock:
            if not self.core.corrects or not self.episodes.is_running:
                return False
            try:
                observation = self._observe(now, clock)
            except MessageError:
                return False  # the next step says what is wrong
            tick = self.core.correct(observation, stamp)
            if tick is None:
                return False
            self._send_correction(tick, stamp)
            return True

    def hold(self, reason: str, stamp: float) -> Step:
        """A step without a plan."""
        with self._lock:
            stamp = self._episode_stamp(stamp)
            return self._check_clock(stamp) or self._finish_idle(
                stamp, self.core.hold(reason, self._observation, stamp)
            )

    def unheard(self, reason: str, stamp: float) -> Step:
        """A step without a command, because nobody would take it: `ready` before an episode, a hold within one. The
        next command starts at the position that the hand then has."""
        with self._lock:
            stamp, safety = self._episode_stamp(stamp), self.core.safety
            if over := self._check_clock(stamp, heard=False, doubt=Doubt.UNHEARD):
                safety.forget_command()
                return over
            self._observation = None
            if safety.state is SafetyState.READY:
                safety.change(SafetyState.READY, reason, stamp)
                tick = self.core.idle(stamp)
            else:
                tick = self.core.send_nothing(reason, stamp)
            safety.forget_command()
            return self._finish_idle(stamp, tick, doubt=Doubt.UNHEARD)

    def disputed(self, reason: str, stamp: float) -> Step:
        """A hold while a state comes from several publishers: the hand's position is unknown, and what they sent must
        not be used afterwards."""
        with self._lock:
            stamp = self._episode_stamp(stamp)
            if over := self._check_clock(stamp, doubt=Doubt.DISPUTED):
                return over
            self._observation = None
            self.inputs.reset()
            # In lockstep a command would make the scene move on.
            tick = self.core.send_nothing(reason, stamp) if self.lockstep else self.core.hold(reason, None, stamp)
            return self._finish_idle(stamp, tick, doubt=Doubt.DISPUTED)

    def _prepare(self, stamp: float, now: float | None, clock: float | None) -> Step | PlanInput:
        """What to plan on; or the step, finished, where there is nothing to plan."""
        episodes = self.episodes
        if self.core.safety.state in SILENT:
            return self._finish_idle(stamp, self.core.hold("", None))
        if over := self._check_clock(stamp):
            return over
        try:
            observation = self._observe(now, clock)
        except MessageError as error:
            self._observation = None
            return self._finish_idle(stamp, self.core.hold(str(error), None, stamp))
        if self.lockstep and episodes.last_step is not None and episodes.last_step.answers(observation):
            return self._finish(replace(episodes.last_step, events=(), repeated=True))
        self._observation = observation
        dropped = bool(self.core.task.dropped(observation.state))
        if obstacle := episodes.obstacle(dropped):
            return self._finish(self._waiting(obstacle, stamp, observation))
        events = () if episodes.is_running else self._begin(stamp, observation)
        goal, goal_time, goal_now = episodes.goal_at(observation.state, stamp)
        elapsed = episodes.elapsed(stamp)
        if dropped or episodes.is_out_of_time(stamp):
            reason = "drop" if dropped else "timeout"
            step = self._waiting(f"episode over: {reason}", stamp, observation)
            reward, events = self._reward(observation, goal_now), episodes.end(reason, stamp)
            step = replace(step, episode_time=elapsed, goal=goal_now, reward=reward, dropped=dropped, events=events)
            return self._finish(step)
        # In lockstep the hand waits for its command: planning takes none of its time.
        execution = float(np.median(self._executions)) if self._executions and not self.lockstep else 0.0
        request = self.core.prepare(observation, goal, goal_time, stamp, execution)
        return PlanInput(request, observation, goal_now, elapsed, events)

    def _observe(self, now: float | None, clock: float | None) -> Observation:
        observation = self.inputs.observation(now, clock)
        if not np.isfinite(observation.state).all():
            raise MessageError(NON_FINITE)
        return observation

    def _check_clock(self, stamp: float, heard: bool = True, doubt: Doubt = Doubt.NONE) -> Step | None:
        """End the episode if the clock jumped backwards in it. Its end is stamped with its newest tick, and what was
        measured before the jump is forgotten. `heard`: somebody would take a command."""
        if not self.episodes.clock_jumped_back(stamp):
            return None
        self._observation = None
        self.inputs.reset()
        reason, silent = f"episode over: {CLOCK_WENT_BACK}", self.lockstep or not heard
        tick = self.core.send_nothing(reason, stamp) if silent else self.core.hold(reason, None, stamp)
        return self._finish_idle(stamp, tick, self.episodes.end(CLOCK_WENT_BACK, stamp), doubt)

    def _begin(self, stamp: float, observation: Observation) -> tuple[EpisodeEvent, ...]:
        if self.episodes.phase is Phase.OVER:
            if self.episodes.ended_by_clock and self._simulated is not None:
                self.core.safety.forget_command()  # the world was reset, which has put the hand elsewhere
            self.episodes.wait(keep_inputs=True)
        seed = self.episodes.begin(stamp)
        self.core.reset(seed, observation.state[self.core.task.joint_positions])
        self._exploration.reset(seed)
        self.episodes.sample_goal(stamp)
        return (self.episodes.event("begin", stamp),)

    def _episode_stamp(self, stamp: float) -> float:
        """In lockstep an episode's time is that of the measurements; while there is none, it stands still."""
        if not self.lockstep or not self.episodes.is_running:
            return stamp
        measured = self.inputs.newest_stamp
        return self.episodes.newest if measured is None else measured

    def _waiting(self, reason: str, stamp: float, observation: Observation) -> Step:
        """Hold. Where the scene waits for commands and is to be reset, a command would only make it move on."""
        if self.lockstep and self.episodes.reset_scene is not None and self.config.auto_reset:
            tick = self.core.send_nothing(reason, stamp)
        else:
            tick = self.core.hold(reason, observation, stamp)
        return Step(stamp, tick, self.episodes.number, self.episodes.time(stamp), observation)

    def _finish_idle(
        self, stamp: float, tick: Tick, events: tuple[EpisodeEvent, ...] = (), doubt: Doubt = Doubt.NONE
    ) -> Step:
        number, time = self.episodes.number, self.episodes.time(stamp)
        return self._finish(Step(stamp, tick, number, time, events=events, doubt=doubt))

    def _finish(self, step: Step) -> Step:
        self._send(step)
        self.last_sent = step
        if not step.repeated:
            self.episodes.record(step)
        return step

    # --- from other threads -------------------------------------------------------------------------------------

    def enter(self, stamp: float) -> None:
        """Become ready: a new session of episodes. A latched stop stays, and so does a hand-over."""
        with self._lock:
            self._restart()

    def leave(self, stamp: float) -> Step:
        """The safe command, then inactive. Calling it again changes nothing."""
        with self._lock:
            if not self.core.safety.is_active:
                return Step(stamp, self.core.hold("", None), self.episodes.number, self.episodes.time(stamp))
            events = self.episodes.end("deactivate", stamp)
            return self._finish_intervention(stamp, self.core.leave("deactivated", self._observation, stamp), events)

    def stop(self, reason: str, stamp: float) -> Step:
        """The safe command, then none until `reset`."""
        with self._lock:
            events = self.episodes.end("stop", stamp)
            return self._finish_intervention(stamp, self.core.stop(reason, self._observation, stamp), events)

    def reset(self, stamp: float) -> tuple[EpisodeEvent, ...]:
        """Clear a stop and end the episode. Where the session is active and not handed over, a new episode begins with
        the next good state, after the scene's reset."""
        with self._lock:
            events = self.episodes.end("reset", stamp)
            self.core.safety.clear_stop("reset", stamp)
            self._restart(if_active=True)
            if self.core.safety.state not in SILENT:  # else the scene belongs to someone else
                self.episodes.ask_for_reset()
            return events

    def hand_over(self, reason: str, stamp: float, asked: bool = True) -> bool:
        """End the episode and send nothing until `take_back`: someone else commands the hand. False if that was so
        already. `asked`: the other waits; else he commands already, and not even a plan's end is sent."""
        with self._lock:
            stop_at = self.core.stop_point(stamp)
            if not self.core.safety.hand_over(reason, stamp):
                return False
            tick = replace(self.core.hold("", None), stop_at=stop_at if asked else None)
            events = self.episodes.end("hand-over", stamp)
            if events or tick.stop_at is not None:
                self._finish_idle(stamp, tick, events)
            return True

    def take_back(self, reason: str, stamp: float) -> bool:
        """Begin a new episode with the next good state, at the hand's position. False if it was not handed over."""
        with self._lock:
            if not self.core.safety.take_back(reason, stamp):
                return False
            self._restart(if_active=True)
            return True

    def state_problem(self, now: float | None, clock: float | None) -> str:
        """Why no episode could begin with the present state; empty if one could. Times as in `step`."""
        with self._lock:
            try:
                state = self._observe(now, clock).state
            except MessageError as error:
                return str(error)
            return NO_OBJECT if self.core.task.dropped(state) else ""

    def scene_was_reset(self, when: float) -> None:
        """The scene is in place, as was reported at `when` (s, time.monotonic): the next state begins an episode."""
        with self._lock:
            if self.episodes.phase is Phase.RESETTING:
                self._forget()
                self.episodes.scene_was_reset(when, self.lockstep)

    def set_goal(self, goal: Goal, stamp: float) -> None:
        """Pursue `goal` from now on, its times counted from `stamp` (s)."""
        with self._lock:
            self.episodes.set_goal(goal, stamp)

    def swap(self, model: ControlModel) -> None:
        """Plan with `model` from the next step on; a plan in work is finished with the old one."""
        with self._lock:
            self.core.swap(model)

    def reconfigure(
        self,
        planner: Planner,
        core: ControllerConfig,
        safety: SafetyConfig,
        config: SessionConfig,
        stamp: float,
        acting: Asked | None = None,
    ) -> None:
        """Use new options from the next step on; raises ModelError for a head that is asked for and not there.

        Args:
            planner: of the same shape of plans as the present one.
            core, safety, config: options.
            stamp: s, now.
            acting: who acts; None: as before.
        """
        with self._lock:
            self.core.reconfigure(planner, core, acting)
            self.core.safety.config = safety
            self.episodes.reconfigure(config, stamp)

    # --- helpers, under the lock --------------------------------------------------------------------------------

    def _restart(self, if_active: bool = False) -> None:
        """A new epoch, and a new episode with the next good state."""
        if self.core.safety.is_active or not if_active:
            self.core.reset(self.config.seed)
        self._forget()
        self.episodes.wait()

    def _forget(self) -> None:
        """Others may have moved the hand meanwhile."""
        self.core.safety.forget_command()
        self._observation = None

    def _finish_intervention(self, stamp: float, tick: Tick, events: tuple[EpisodeEvent, ...]) -> Step:
        observation = self._observation
        return self._finish(Step(stamp, tick, self.episodes.number, float("nan"), observation, events=events))

    def _reward(self, observation: Observation, goal: Array) -> float:
        command = self.core.safety.last_command
        action = observation.state[self.core.task.joint_positions] if command is None else command
        return float(self.core.task.reward(observation.state, action, goal))
