# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The state machine of episodes: phases, goals, events and the reset of the scene."""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import Enum

import numpy as np

from mbrl_controller.control.config import SessionConfig
from mbrl_controller.control.core import ControllerCore
from mbrl_controller.control.doubt import CLOCK_WENT_BACK
from mbrl_controller.control.state_input import StateInput
from mbrl_controller.control.steps import EpisodeEvent, Step
from mbrl_controller.tasks.base import Goal, ObservingGoal
from mbrl_controller.tasks.spaces import Array

NO_OBJECT = "the object is not in the hand"
NEVER_RESET_AFTER = ("stop", "deactivate", "hand-over", "reset")  # a person intervened: `reset` may ask for the scene


class Phase(str, Enum):
    """What happens with episodes right now."""

    WAITING = "waiting"  # for a good state to begin on
    RUNNING = "running"
    OVER = "over"  # until someone resets
    RESETTING = "resetting"  # the scene is being reset


class EpisodeManager:
    """waiting -> running -> over (-> resetting) -> waiting. Not thread-safe: the session's lock guards it."""

    def __init__(
        self, core: ControllerCore, inputs: StateInput, config: SessionConfig, reset_scene: Callable[[], None] | None
    ) -> None:
        """Args:
        core: gives the task, and numbers the episodes.
        inputs: emptied where what was measured before must not count.
        config: options.
        reset_scene: asks for a reset of the scene; None: nobody can do it.
        """
        self.config, self.reset_scene = config, reset_scene
        self.phase = Phase.WAITING
        self.last_step: Step | None = None  # the newest of the episode
        self.newest = -math.inf  # s, its stamp
        self.end_reason = ""  # of the last episode
        self._core, self._inputs = core, inputs
        self._begun = self._goal_zero = 0.0  # s
        self._goal: Goal | None = None
        self._goal_is_given = False
        self._stamp_before_reset: float | None = None  # s, of the newest measurement when the reset was asked for

    @property
    def number(self) -> int:
        """The episode begun last, -1 before the first; unique in a process."""
        return self._core.safety.standing.episode

    @property
    def is_running(self) -> bool:
        """Whether an episode runs."""
        return self.phase is Phase.RUNNING

    def elapsed(self, stamp: float) -> float:
        """s from the begin of the last episode to `stamp`."""
        return stamp - self._begun

    def time(self, stamp: float) -> float:
        """s from the begin of the running episode to `stamp`; NaN outside of one."""
        return self.elapsed(stamp) if self.is_running else float("nan")

    def is_out_of_time(self, stamp: float) -> bool:
        """Whether the episode has reached its maximum duration. Half a period of tolerance: stamps jitter, and a tick
        too many would be a transition too many."""
        return 0 < self.config.episode_s <= self.elapsed(stamp) + 0.5 * self._core.contract.action.period

    # --- transitions --------------------------------------------------------------------------------------------

    def obstacle(self, dropped: bool) -> str:
        """Why no episode runs or can begin; empty if one does or can. `dropped`: the object is not in the hand."""
        if self.phase is Phase.RESETTING:
            return "waiting for the scene's reset"
        if self.phase is Phase.OVER and (dropped or not self.config.auto_reset):
            hint = "waiting for the object" if self.config.auto_reset else "call ~/reset"
            return f"episode over: {self.end_reason}; {hint}"
        return NO_OBJECT if self.phase is Phase.WAITING and dropped else ""

    def wait(self, keep_inputs: bool = False) -> None:
        """Wait for a good state to begin on; a new one, unless `keep_inputs`."""
        self.phase, self.last_step = Phase.WAITING, None
        if not keep_inputs:
            self._inputs.reset()

    def begin(self, stamp: float) -> int:
        """An episode begins; its seed."""
        self._core.safety.standing.episode += 1
        self._begun = self.newest = stamp
        self._goal_zero = min(self._goal_zero, stamp)  # a goal given before the clock jumped back
        self.phase = Phase.RUNNING
        return int(np.random.SeedSequence([self.config.seed, self.number]).generate_state(1)[0])

    def end(self, reason: str, stamp: float) -> tuple[EpisodeEvent, ...]:
        """The episode ends, if one runs. Where `auto_reset` is on and nobody intervened, the scene is reset."""
        if not self.is_running:
            return ()
        self.phase, self.end_reason = Phase.OVER, reason
        event = self.event("end", stamp, reason)
        if reason not in NEVER_RESET_AFTER:
            self.ask_for_reset()
        return (event,)

    def ask_for_reset(self) -> None:
        """Ask for a reset of the scene, where `auto_reset` is on and someone can do it."""
        if self.reset_scene is not None and self.config.auto_reset:
            self.phase, self.last_step = Phase.RESETTING, None
            self._stamp_before_reset = self._inputs.newest_stamp
            self._inputs.reset()
            self.reset_scene()

    def scene_was_reset(self, when: float, lockstep: bool) -> None:
        """The scene is in place, as was reported at `when` (s, time.monotonic): the next state begins an episode.

        In lockstep nothing was sent since the reset was asked for. What has arrived since is the scene's new state,
        unless it is the state from before, sent again because it got no answer.
        """
        self.wait(keep_inputs=True)
        if not lockstep or self._inputs.newest_stamp == self._stamp_before_reset:
            self._inputs.reset(when)

    def record(self, step: Step) -> None:
        """Remember a step of the running episode."""
        if self.is_running:
            self.last_step = step
            self.newest = max(self.newest, step.stamp)

    def event(self, event: str, stamp: float, reason: str = "") -> EpisodeEvent:
        """The message about a begin or an end. An end is never stamped before what it ends, whatever the clock says."""
        if event == "end":
            stamp = max(stamp, self.newest)
        return EpisodeEvent(event, self.number, self._core.epoch, stamp, reason, self._core.model.version)

    def clock_jumped_back(self, stamp: float) -> bool:
        """Whether `stamp` lies before the newest tick of the running episode: its stamps would come twice."""
        return self.is_running and stamp < self.newest

    @property
    def ended_by_clock(self) -> bool:
        """Whether the clock ended the last episode."""
        return self.end_reason == CLOCK_WENT_BACK

    # --- goals --------------------------------------------------------------------------------------------------

    def set_goal(self, goal: Goal, stamp: float) -> None:
        """Pursue `goal` from now on, its times counted from `stamp` (s)."""
        self._goal, self._goal_zero, self._goal_is_given = goal, stamp, True

    def sample_goal(self, stamp: float) -> None:
        """Draw the episode's goal, unless one was given."""
        if not self._goal_is_given:
            rng = np.random.default_rng([self.config.seed, max(self.number, 0), 2])
            self._goal, self._goal_zero = self._core.task.sample_goal(rng, **self.config.goal_options), stamp

    def goal_at(self, state: Array, stamp: float) -> tuple[Goal, float, Array]:
        """The goal in `state` [S] at `stamp` (s), the time since its zero (s), and its value [G]."""
        assert self._goal is not None
        time = stamp - self._goal_zero
        if isinstance(self._goal, ObservingGoal):
            self._goal.observe(state, time)
        return self._goal, time, np.asarray(self._goal.at(np.asarray(time)), dtype=float)

    def reconfigure(self, config: SessionConfig, stamp: float) -> None:
        """Take new options. New goal options replace the goal, a given one too; at once if an episode runs."""
        before, self.config = self.config, config
        if config.goal_options != before.goal_options:
            self._goal_is_given = False
            if self.is_running:
                self.sample_goal(stamp)
