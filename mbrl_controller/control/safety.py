# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Decides what may be sent, and holds the controller's safety state. Nothing is sent but through here.

inactive -> ready -> running -> holding (recoverable) -> stopped (latched; only `clear_stop` leaves it). handed_over
means that someone else commands the hand (only `take_back` leaves it for ready). Both latches are kept in the process's
`Standing`, so a new Safety finds them. Every transition keeps its reason.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mbrl_controller.control.config import SafetyConfig
from mbrl_controller.control.limits import allowed, obstacle
from mbrl_controller.control.standing import SafetyState, Standing, Transition
from mbrl_controller.tasks.spaces import ActionSpace, Array

__all__ = ["SILENT", "Safety", "SafetyState", "Transition"]

SILENT = {SafetyState.INACTIVE, SafetyState.STOPPED, SafetyState.HANDED_OVER}  # nothing is sent
ALLOWED = {  # where nothing is latched
    SafetyState.INACTIVE: {SafetyState.READY},
    SafetyState.READY: {SafetyState.RUNNING, SafetyState.HOLDING, SafetyState.INACTIVE},
    SafetyState.RUNNING: {SafetyState.HOLDING, SafetyState.READY, SafetyState.INACTIVE},
    SafetyState.HOLDING: {SafetyState.RUNNING, SafetyState.READY, SafetyState.INACTIVE},
}


class Safety:
    """State machine and command limits. Commands [A] are joint targets in rad."""

    def __init__(
        self,
        action: ActionSpace,
        config: SafetyConfig | None = None,
        safe: str = "hold",
        standing: Standing | None = None,
    ) -> None:
        """Args:
        action: limits and rates of the joints.
        config: options; None: the defaults.
        safe: the safe command: hold, or neutral.
        standing: what is latched in this process; None: nothing.
        """
        self.action = action
        self.config = config or SafetyConfig()
        self.safe = safe
        self.standing = standing or Standing()
        # inactive, ready, running or holding: what the state is where nothing is latched
        self._state, self._reason = SafetyState.INACTIVE, "not activated"
        self._last_command: Array | None = None
        self._running = 0  # commands sent since the last hold
        self._before: Array | None = None  # the command before the last step's

    @property
    def state(self) -> SafetyState:
        """The present state."""
        return SafetyState.STOPPED if self.standing.stop is not None else self._unstopped

    @property
    def reason(self) -> str:
        """Why it is in this state."""
        stop, hand_over = self.standing.stop, self.standing.hand_over
        if stop is not None:
            return stop.reason
        return hand_over.reason if hand_over is not None and self.is_active else self._reason

    @property
    def is_active(self) -> bool:
        """Whether it would send commands if nothing were latched."""
        return self._state is not SafetyState.INACTIVE

    @property
    def transitions(self) -> Sequence[Transition]:
        """The changes of state of this process, oldest first."""
        return self.standing.transitions

    def change(self, after: SafetyState, reason: str, now: float = 0.0) -> bool:
        """Go to `after`; False, without a change, if there is no such transition. Activation and deactivation count
        under a latch, too: they decide which state follows it."""
        before = self.state
        if after is SafetyState.STOPPED:
            self.standing.latch_stop(reason, now, before)
            self._rest()
            return True
        latched = before in (SafetyState.STOPPED, SafetyState.HANDED_OVER)
        if latched and after not in (SafetyState.READY, SafetyState.INACTIVE):
            return False
        if not latched and after is not before and after not in ALLOWED[before]:
            return False
        self._state, self._reason = after, reason
        if after is not SafetyState.RUNNING:
            self._running = 0
        self._record(before, now)
        return self.state is after

    def clear_stop(self, reason: str, now: float = 0.0) -> bool:
        """Leave `stopped`, by a person's decision: for `ready`, for `handed_over` if someone else still has the hand,
        or for `inactive`. False if it is not stopped."""
        hand_over, after = self.standing.hand_over, self._unstopped
        if hand_over is not None and after is SafetyState.HANDED_OVER:
            return self.standing.clear_stop(hand_over.reason, now, after)
        if self.standing.stop is not None:
            self._reason = reason
        return self.standing.clear_stop(reason, now, after)

    def hand_over(self, reason: str, now: float = 0.0) -> bool:
        """Send nothing more, also after the next activation: someone else commands the hand. False if that was so
        already."""
        before = self.state
        if not self.standing.latch_hand_over(reason, now):
            return False
        self._rest()
        self._record(before, now)
        return True

    def take_back(self, reason: str, now: float = 0.0) -> bool:
        """Return to READY; the next command starts at the measured position. False if it was not handed over. A stop
        stays."""
        before = self.state
        if not self.standing.clear_hand_over():
            return False
        self._reason = reason
        self.forget_command()
        self._record(before, now)
        return True

    @property
    def _unstopped(self) -> SafetyState:
        """The state without a stop."""
        handed_over = self.standing.hand_over is not None and self.is_active
        return SafetyState.HANDED_OVER if handed_over else self._state

    def _rest(self) -> None:
        """Under a latch nothing runs or holds; once it is cleared, everything starts from READY."""
        self._running = 0
        if self.is_active:
            self._state = SafetyState.READY

    def _record(self, before: SafetyState, now: float) -> None:
        if self.state is not before:
            self.standing.record(before, self.state, self.reason, now)

    @property
    def last_command(self) -> Array | None:
        """The last command [A]; None before the first."""
        return self._last_command

    @property
    def is_handed_over(self) -> bool:
        """Whether someone else commands the hand; also while stopped or inactive."""
        return self.standing.hand_over is not None

    def forget_command(self) -> None:
        """Someone else has moved the hand: the next command starts at the measured position."""
        self._last_command = self._before = None

    def obstacle(self, position: Array | None) -> str:
        """Why no command is allowed with the joints at `position` [A] (None: not known); empty if one is."""
        return obstacle(self.action, position, self._last_command, self.config.max_jump)

    def command(self, target: Array, position: Array) -> Array:
        """The command [A] for a planned `target` with the joints at `position`. Raises ValueError if either is not
        finite or if there is an `obstacle`."""
        if not (np.isfinite(target).all() and np.isfinite(position).all()):
            raise ValueError("non-finite target or position")
        speed = self._speed(self._running + 1)
        if speed < np.inf:
            target = self._slowed(target, position, speed)
        self._before = self._last_command
        command = self._send(target, position)
        self._running += 1
        return command

    def correct(self, target: Array, position: Array) -> Array | None:
        """The command [A] for a `target` that corrects the last one before the next step, with the joints at
        `position` [A]; None where nothing may be sent. All corrections of a period together change no more than one
        command may: the limits count from the command of the period before."""
        if self.state is not SafetyState.RUNNING or not (np.isfinite(target).all() and np.isfinite(position).all()):
            return None
        last = self._before if self._before is not None else self._last_command
        if obstacle(self.action, position, last, self.config.max_jump):
            return None
        speed = self._speed(max(self._running, 1))
        if speed < np.inf:
            start = position if last is None else last
            reach = speed * self.action.max_rate * self.action.period
            target = np.clip(target, start - reach, start + reach)
        self._last_command = allowed(self.action, position, last, self.config.max_jump).nearest(target)
        return self._last_command

    def following(self, targets: Array) -> Array:
        """Planned `targets` [n, A] for the periods after the last command, as a driver may follow them by itself:
        within the joints' limits, each no further from the one before than rate limit and ramp allow. Those from the
        first non-finite one on are left out."""
        points, before = np.empty_like(targets), self._last_command
        for i, target in enumerate(targets):
            if before is None or not np.isfinite(target).all():
                return points[:i]
            reach = min(self._speed(self._running + 1 + i), 1.0) * self.action.max_rate * self.action.period
            near = np.clip(target, before - reach, before + reach)
            before = points[i] = np.clip(near, self.action.lower, self.action.upper)
        return points

    def went_on(self, point: Array) -> None:
        """The driver went on by itself to a `point` [A] of those `following`: that is the last command now."""
        if self._last_command is not None:
            self._last_command = point

    def safe_command(self, position: Array | None) -> Array | None:
        """The safe command: the last command, which keeps the grip, or a step towards neutral if the contract says so.
        Before the first command it starts at the measured `position` [A]. None if neither is known, or if there is an
        `obstacle`."""
        if position is not None and not np.isfinite(position).all():
            position = None
        held = self._last_command if self._last_command is not None else position
        self._running = 0
        if held is None or self.obstacle(position):
            return None
        if self.safe == "neutral":
            return self._send(self._slowed(self.action.neutral, held, self.config.safe_speed), position)
        return self._send(held, position)

    def _speed(self, number: int) -> float:
        """Share of max_rate at the `number`-th command since the last hold; infinite after the ramp."""
        # A tolerance for rounding: 0.3 s are three periods of 0.1 s.
        speed = number * self.action.period / self.config.ramp_s if self.config.ramp_s else np.inf
        return speed if speed < 1 + 1e-9 else np.inf

    def _slowed(self, target: Array, position: Array, speed: float) -> Array:
        """`target` no further from the last command (before the first: `position`) than `speed` reaches."""
        start = position if self._last_command is None else self._last_command
        reach = speed * self.action.max_rate * self.action.period
        return np.clip(target, start - reach, start + reach)

    def _send(self, target: Array, position: Array | None) -> Array:
        """The limits come last, so they hold for every request."""
        problem = self.obstacle(position)
        if problem:
            raise ValueError(problem)
        window = allowed(self.action, position, self._last_command, self.config.max_jump)
        self._last_command = window.nearest(target)
        return self._last_command
