# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Episodes, goals and interventions around the controller's core: all of a control node but its messages.

Whoever ticks calls `step`; e-stop, reset, goals and new models come from other threads. A lock, never held while
planning, keeps them apart, and what a step came to is handed to `send` under it: nothing can be sent after a stop.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from mbrl_controller.base.errors import MessageError
from mbrl_controller.base.units import Count, Number, Seconds
from mbrl_controller.control.core import (
    ControllerCore,
    ControlModel,
    CoreConfig,
    Observation,
    PlanRequest,
    Solution,
    Tick,
)
from mbrl_controller.control.doubt import CLOCK_WENT_BACK, Doubt
from mbrl_controller.control.exploration import ExplorationNoise
from mbrl_controller.control.safety import SILENT, SafetyConfig, SafetyState
from mbrl_controller.control.simulated_time import SimulatedTime
from mbrl_controller.control.state_input import StateInput
from mbrl_controller.planning.base import Planner
from mbrl_controller.tasks.base import Goal, ObservingGoal
from mbrl_controller.tasks.spaces import Array

Solve = Callable[[PlanRequest], Solution | None]
NON_FINITE, NO_OBJECT = "the state has non-finite entries", "the object is not in the hand"
RECENT = 9  # steps whose median execution is expected of the next


class SessionConfig(BaseModel):
    """How episodes begin and end."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    seed: Count = Field(default=0, ge=0, description="seed of plans, sampled goals and exploration")
    episode_s: Seconds = Field(default=0.0, ge=0, description="an episode's longest duration; 0: none")
    auto_reset: bool = Field(default=False, description="begin a new episode after a drop or time-out")
    goal_options: dict[str, Any] = Field(default_factory=dict, description="what is fixed of the sampled goal")
    exploration: Number = Field(
        default=0.0, ge=0, le=1, description="deviation of noise added to the action, which goes from -1 to 1"
    )
    exploration_beta: Number = Field(
        default=0.6, gt=0, le=1, description="filter of the exploration's noise: 1 is white, small is smooth"
    )


class Phase(str, Enum):
    """Where the session stands with its episodes."""

    WAITING = "waiting"  # for a good state to begin on
    RUNNING = "running"
    OVER = "over"  # until someone resets
    RESETTING = "resetting"  # the scene is being reset


@dataclass(frozen=True)
class EpisodeEvent:
    """An episode begins or ends. `reason` of an end: drop, timeout, reset, deactivate, stop, hand-over, the clock went
    back."""

    event: str
    episode: int
    epoch: int
    stamp: float  # s
    reason: str
    model_version: str


@dataclass(frozen=True)
class Step:
    """What one step came to."""

    stamp: float  # s, the tick's time
    tick: Tick
    episode: int
    episode_time: float  # s; NaN outside of an episode
    observation: Observation | None = None
    goal: Array | None = None  # [G]
    reward: float = float("nan")
    dropped: bool = False
    events: tuple[EpisodeEvent, ...] = ()
    repeated: bool = False  # the same state came again: the command that answers it, once more
    doubt: Doubt = Doubt.NONE  # why what is logged of this tick must not be learnt from


class ControlSession:
    """A core with its episodes. `send` gets every step, under the lock; it must be quick."""

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
    ) -> None:
        """`simulated`: what periods are of, where that is not real time."""
        self.core, self.inputs, self.config = core, inputs, config
        self.lockstep = lockstep
        self._send, self._reset_scene = send, reset_scene
        self._simulated, self._elapsed_now = simulated, simulated.now if simulated is not None else time.monotonic
        self._lock = threading.RLock()
        self.phase = Phase.WAITING
        self._goal: Goal | None = None
        self._given_goal = False
        self._goal_zero = self._begun = 0.0
        self._newest = -math.inf  # s, stamp of the newest tick of the episode
        self._over = ""
        self._stamp_before: float | None = None  # s, of the newest measurement as the scene's reset was asked for
        self._last: Observation | None = None
        self._last_step: Step | None = None
        self.last_sent: Step | None = None
        self._execution: deque[float] = deque(maxlen=RECENT)  # s from a step's begin to its command
        self._exploration = ExplorationNoise(len(core.contract.action))

    @property
    def episode(self) -> int:
        """The last one begun, -1 before the first; none comes twice in a process."""
        return self.core.safety.standing.episode

    # --- from the thread that ticks -----------------------------------------------------------------------------

    def step(
        self, stamp: float, now: float | None, clock: float | None, solve: Solve, expires: float = math.inf
    ) -> Step:
        """One control step at time `stamp` (s). `now` and `clock` as in StateInput.observation. What is not ready by
        `expires` (s, time.monotonic) is not sent: the process was stopped meanwhile, and the hand is elsewhere."""
        began = self._elapsed_now()
        with self._lock:
            stamp = self._in_step(stamp)
            prepared = self._prepare(stamp, now, clock)
            if isinstance(prepared, Step):
                return self._finish(prepared)
            request, observation, goal, events = prepared
        solution, failure = None, ""
        try:
            solution = solve(request)
        except Exception as error:  # whatever a model raises, the hand must be left safe
            failure = f"the planner failed: {type(error).__name__}: {error}"
        with self._lock:
            if failure:
                events += self._end("stop", stamp)
                tick = self.core.stop(failure, observation, stamp)
            elif (late := time.monotonic() - expires) > 0:
                tick = self.core.send_nothing(f"the step was held up and ended {late:.2f} s too late", stamp)
            else:
                noise = self._exploration.sample(self.config.exploration, self.config.exploration_beta)
                tick = self.core.conclude(request, solution, stamp, noise)
            reward = self._reward(observation, goal)
            step = Step(stamp, tick, self.episode, stamp - self._begun, observation, goal, reward, False, events)
            self._execution.append(self._elapsed_now() - began)
            return self._finish(step)

    def hold(self, reason: str, stamp: float) -> Step:
        """A step without a plan."""
        with self._lock:
            stamp = self._in_step(stamp)
            if over := self._look_at_clock(stamp):
                return self._finish(over)
            return self._finish(self._idle(stamp, self.core.hold(reason, self._last, stamp)))

    def unheard(self, reason: str, stamp: float) -> Step:
        """A step without a command, since nobody would take it: `ready` before an episode, a hold within one. The next
        command starts from where the hand then is."""
        with self._lock:
            stamp, safety = self._in_step(stamp), self.core.safety
            if over := self._look_at_clock(stamp, heard=False):
                safety.forget_command()
                return self._finish(replace(over, doubt=Doubt.UNHEARD))
            self._last = None
            if safety.state is SafetyState.READY:
                safety.change(SafetyState.READY, reason, stamp)
            tick = self.core.send_nothing(reason, stamp) if safety.state is not SafetyState.READY else self.core.idle()
            safety.forget_command()
            return self._finish(replace(self._idle(stamp, tick), doubt=Doubt.UNHEARD))

    def disputed(self, reason: str, stamp: float) -> Step:
        """A hold while a state comes from several publishers: where the hand is, nobody knows, and what they sent
        counts for nothing afterwards."""
        with self._lock:
            stamp = self._in_step(stamp)
            if over := self._look_at_clock(stamp):
                return self._finish(replace(over, doubt=Doubt.DISPUTED))
            self._last = None
            self.inputs.reset()
            # In lockstep a command would make the scene move on.
            tick = self.core.send_nothing(reason, stamp) if self.lockstep else self.core.hold(reason, None, stamp)
            return self._finish(replace(self._idle(stamp, tick), doubt=Doubt.DISPUTED))

    def _prepare(
        self, stamp: float, now: float | None, clock: float | None
    ) -> Step | tuple[PlanRequest, Observation, Array, tuple[EpisodeEvent, ...]]:
        if self.core.safety.state in SILENT:
            return self._idle(stamp, self.core.hold("", None))
        if over := self._look_at_clock(stamp):
            return over
        try:
            observation = self.inputs.observation(now, clock)
        except MessageError as error:
            self._last = None  # where the hand is now, nobody knows
            return self._idle(stamp, self.core.hold(str(error), None, stamp))
        if not np.isfinite(observation.state).all():
            self._last = None
            return self._idle(stamp, self.core.hold(NON_FINITE, None, stamp))
        previous = self._last_step
        if self.lockstep and previous is not None and _answers(previous, observation):
            return replace(previous, events=(), repeated=True)
        self._last = observation
        task = self.core.task
        dropped = bool(task.dropped(observation.state))
        if self.phase is Phase.RESETTING:
            return self._wait("waiting for the scene's reset", stamp, observation)
        if self.phase is Phase.OVER:
            if not self.config.auto_reset or dropped:
                hint = "waiting for the object" if self.config.auto_reset else "call ~/reset"
                return self._wait(f"episode over: {self._over}; {hint}", stamp, observation)
            if self._over == CLOCK_WENT_BACK and self._simulated is not None:
                self.core.safety.forget_command()  # the world was reset, which has put the hand elsewhere
            self._wait_for_begin(keep_inputs=True)
            self._last = observation
        events: tuple[EpisodeEvent, ...] = ()
        if self.phase is Phase.WAITING:
            if dropped:
                return self._wait(NO_OBJECT, stamp, observation)
            events = self._begin(stamp, observation)
        elapsed = stamp - self._begun
        # Half a period of tolerance: stamps jitter, and a tick too many would be a transition too many.
        out_of_time = 0 < self.config.episode_s <= elapsed + 0.5 * self.core.contract.action.period
        if isinstance(self._goal, ObservingGoal):
            self._goal.observe(observation.state, stamp - self._goal_zero)
        goal = self._goal_now(stamp)
        if dropped or out_of_time:
            reason = "drop" if dropped else "timeout"
            step = self._wait(f"episode over: {reason}", stamp, observation)
            return Step(
                stamp, step.tick, self.episode, elapsed, observation, goal, self._reward(observation, goal), dropped,
                self._end(reason, stamp),
            )  # fmt: skip
        assert self._goal is not None
        # In lockstep the hand waits for its command: planning takes none of its time.
        execution = float(np.median(self._execution)) if self._execution and not self.lockstep else 0.0
        request = self.core.prepare(observation, self._goal, stamp - self._goal_zero, stamp, execution)
        return request, observation, goal, events

    def _look_at_clock(self, stamp: float, heard: bool = True) -> Step | None:
        """End the episode if time went back in it: its stamps would come twice. Its end is stamped with the last tick
        before that, and what was measured before counts for nothing. `heard`: somebody would take a command."""
        if self.phase is not Phase.RUNNING or stamp >= self._newest:
            return None
        self._last = None
        self.inputs.reset()
        reason, silent = f"episode over: {CLOCK_WENT_BACK}", self.lockstep or not heard
        tick = self.core.send_nothing(reason, stamp) if silent else self.core.hold(reason, None, stamp)
        events = self._end(CLOCK_WENT_BACK, stamp)
        return replace(self._idle(stamp, tick), events=events)

    def _in_step(self, stamp: float) -> float:
        """In lockstep an episode's time is what the measurements say; while there is none, it stands still."""
        if not self.lockstep or self.phase is not Phase.RUNNING:
            return stamp
        measured = self.inputs.newest_stamp
        return self._newest if measured is None else measured

    def _idle(self, stamp: float, tick: Tick) -> Step:
        return Step(stamp, tick, self.episode, self._elapsed(stamp))

    def _wait(self, reason: str, stamp: float, observation: Observation) -> Step:
        """Hold. Where the scene waits for commands and is to be reset, a command would only make it move on."""
        if self.lockstep and self._reset_scene is not None and self.config.auto_reset:
            tick = self.core.send_nothing(reason, stamp)
        else:
            tick = self.core.hold(reason, observation, stamp)
        return Step(stamp, tick, self.episode, self._elapsed(stamp), observation)

    def _begin(self, stamp: float, observation: Observation) -> tuple[EpisodeEvent, ...]:
        self.core.safety.standing.episode += 1
        self._begun = self._newest = stamp
        self._goal_zero = min(self._goal_zero, stamp)  # a goal given before the clock went back
        self.phase = Phase.RUNNING
        seed = int(np.random.SeedSequence([self.config.seed, self.episode]).generate_state(1)[0])
        self.core.reset(seed, observation.state[self.core.task.joint_positions])
        self._exploration.reset(seed)
        if not self._given_goal:
            self._sample_goal(stamp)
        return (self._event("begin", stamp, ""),)

    def _end(self, reason: str, stamp: float) -> tuple[EpisodeEvent, ...]:
        if self.phase is not Phase.RUNNING:
            return ()
        self.phase, self._over = Phase.OVER, reason
        event = self._event("end", stamp, reason)
        if reason not in ("stop", "deactivate", "hand-over") and self.config.auto_reset:
            self._ask_for_reset()
        return (event,)

    def _ask_for_reset(self) -> None:
        if self._reset_scene is not None:
            self.phase = Phase.RESETTING
            self._stamp_before = self.inputs.newest_stamp
            self.inputs.reset()
            self._last_step = None
            self._reset_scene()

    def _finish(self, step: Step) -> Step:
        self._send(step)
        self.last_sent = step
        if not step.repeated and self.phase is Phase.RUNNING:
            self._last_step = step
            self._newest = max(self._newest, step.stamp)
        return step

    # --- from other threads -------------------------------------------------------------------------------------

    def enter(self, stamp: float) -> None:
        """Become ready: a new session of episodes. A latched stop stays, and so does a hand-over."""
        with self._lock:
            self.core.reset(self.config.seed)
            self._forget()

    def leave(self, stamp: float) -> Step:
        """The safe command, then inactive; once more changes nothing."""
        with self._lock:
            if not self.core.safety.is_active:
                return self._idle(stamp, self.core.hold("", None))
            events = self._end("deactivate", stamp)
            tick = self.core.leave("deactivated", self._last, stamp)
            return self._finish(Step(stamp, tick, self.episode, float("nan"), self._last, events=events))

    def stop(self, reason: str, stamp: float) -> Step:
        """The safe command, then none until `reset`."""
        with self._lock:
            events = self._end("stop", stamp)
            tick = self.core.stop(reason, self._last, stamp)
            return self._finish(Step(stamp, tick, self.episode, float("nan"), self._last, events=events))

    def reset(self, stamp: float) -> tuple[EpisodeEvent, ...]:
        """Clear a stop, end the episode, and begin a new one with the next good state (after the scene's reset), where
        active and not handed over."""
        with self._lock:
            events: tuple[EpisodeEvent, ...] = ()
            if self.phase is Phase.RUNNING:
                self.phase, self._over = Phase.OVER, "reset"
                events = (self._event("end", stamp, "reset"),)
            self.core.safety.clear_stop("reset", stamp)
            if self.core.safety.is_active:
                self.core.reset(self.config.seed)
            self._forget()
            if self.config.auto_reset and self.core.safety.state not in SILENT:  # else the scene is someone else's
                self._ask_for_reset()
            return events

    def hand_over(self, reason: str, stamp: float) -> bool:
        """End the episode and send nothing more, until `take_back`: someone else commands the hand. False if that was
        so."""
        with self._lock:
            if not self.core.safety.hand_over(reason, stamp):
                return False
            events = self._end("hand-over", stamp)
            if events:
                self._finish(replace(self._idle(stamp, self.core.hold("", None)), events=events))
            return True

    def take_back(self, reason: str, stamp: float) -> bool:
        """Begin a new episode with the next good state, from where the hand is. False if it was not handed over."""
        with self._lock:
            if not self.core.safety.take_back(reason, stamp):
                return False
            if self.core.safety.is_active:
                self.core.reset(self.config.seed)
            self._forget()
            return True

    def state_problem(self, now: float | None, clock: float | None) -> str:
        """Why no episode could begin with what is known of the state; empty if one could. Times as in `step`."""
        with self._lock:
            try:
                state = self.inputs.observation(now, clock).state
            except MessageError as error:
                return str(error)
            if not np.isfinite(state).all():
                return NON_FINITE
            return NO_OBJECT if self.core.task.dropped(state) else ""

    def scene_was_reset(self, when: float) -> None:
        """The scene is in place, as was heard at `when` (s, time.monotonic): the next state begins an episode."""
        with self._lock:
            if self.phase is Phase.RESETTING:
                self._forget(keep_inputs=True)
                # In lockstep nothing was sent since the reset was asked for, so what arrived since is its state, unless
                # that is the one from before, sent again because it got no answer.
                if not self.lockstep or self.inputs.newest_stamp == self._stamp_before:
                    self.inputs.reset(when)

    def set_goal(self, goal: Goal, stamp: float) -> None:
        """Ask for `goal` from now on, its times counted from `stamp` (s)."""
        with self._lock:
            self._goal, self._goal_zero, self._given_goal = goal, stamp, True

    def swap(self, model: ControlModel) -> None:
        """Plan with `model` from the next step on; a plan in work is finished with the old one."""
        with self._lock:
            self.core.swap(model)

    def retune(
        self, planner: Planner, core: CoreConfig, safety: SafetyConfig, config: SessionConfig, stamp: float
    ) -> None:
        """Other options from the next step on."""
        with self._lock:
            self.core.retune(planner, core)
            self.core.safety.config = safety
            before, self.config = self.config, config
            if config.goal_options != before.goal_options:
                self._given_goal = False
                if self.phase is Phase.RUNNING:
                    self._sample_goal(stamp)

    # --- helpers, under the lock --------------------------------------------------------------------------------

    def _forget(self, keep_inputs: bool = False) -> None:
        self.core.safety.forget_command()  # others may have moved the hand meanwhile
        self._wait_for_begin(keep_inputs)

    def _wait_for_begin(self, keep_inputs: bool) -> None:
        self.phase = Phase.WAITING
        self._last = self._last_step = None
        if not keep_inputs:
            self.inputs.reset()

    def _sample_goal(self, stamp: float) -> None:
        rng = np.random.default_rng([self.config.seed, max(self.episode, 0), 2])
        self._goal, self._goal_zero = self.core.task.sample_goal(rng, **self.config.goal_options), stamp

    def _goal_now(self, stamp: float) -> Array:
        assert self._goal is not None
        return np.asarray(self._goal.at(np.asarray(stamp - self._goal_zero)), dtype=float)

    def _reward(self, observation: Observation, goal: Array) -> float:
        command = self.core.safety.last_command
        action = observation.state[self.core.task.joint_positions] if command is None else command
        return float(self.core.task.reward(observation.state, action, goal))

    def _elapsed(self, stamp: float) -> float:
        return stamp - self._begun if self.phase is Phase.RUNNING else float("nan")

    def _event(self, event: str, stamp: float, reason: str) -> EpisodeEvent:
        if event == "end":  # never before what it ends, whatever the clock says by now
            stamp = max(stamp, self._newest)
        return EpisodeEvent(event, self.episode, self.core.epoch, stamp, reason, self.core.model.version)


def _answers(step: Step, observation: Observation) -> bool:
    """Whether the step's command was made for this very measurement."""
    return (
        step.tick.command is not None and step.observation is not None and step.observation.stamp == observation.stamp
    )
