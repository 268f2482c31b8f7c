"""The one place that decides what may be sent, and in which state the controller is.

inactive -> ready -> running -> holding (recoverable) -> stopped (latched: only `clear_stop` leaves it); and handed_over
while someone else commands the hand (only `take_back` leaves it for ready). Every transition keeps its reason.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from mbrl_controller.control.limits import allowed, obstacle
from mbrl_controller.tasks.spaces import ActionSpace, Array
from mbrl_controller.units import Count, Number, Seconds, Unit


class SafetyState(str, Enum):
    """Where the controller stands."""

    INACTIVE = "inactive"
    READY = "ready"
    RUNNING = "running"
    HOLDING = "holding"
    STOPPED = "stopped"
    HANDED_OVER = "handed_over"


SILENT = {SafetyState.INACTIVE, SafetyState.STOPPED, SafetyState.HANDED_OVER}  # nothing is sent
ALLOWED = {
    SafetyState.INACTIVE: {SafetyState.READY, SafetyState.STOPPED},
    SafetyState.READY: {SafetyState.RUNNING, SafetyState.HOLDING, SafetyState.INACTIVE, SafetyState.STOPPED},
    SafetyState.RUNNING: {SafetyState.HOLDING, SafetyState.READY, SafetyState.INACTIVE, SafetyState.STOPPED},
    SafetyState.HOLDING: {SafetyState.RUNNING, SafetyState.READY, SafetyState.INACTIVE, SafetyState.STOPPED},
    SafetyState.STOPPED: set(),
    SafetyState.HANDED_OVER: {SafetyState.INACTIVE, SafetyState.STOPPED},
}


class SafetyConfig(BaseModel):
    """When the controller holds, and how fast a command may change. A command's *reach* is what the contract's
    max_rate allows a joint in one period."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    max_late_plans: Count = Field(default=3, ge=1, description="late plans in a row before holding")
    check_disagreement: bool = Field(default=True, description="hold above the model's disagreement limit")
    max_disagreeing_plans: Count = Field(default=3, ge=1, description="plans above the limit in a row before holding")
    # While a joint is anywhere between where it was and its command, the rate limit alone keeps to twice the reach.
    max_jump: Annotated[float, Unit("max_rate times the control period")] = Field(
        default=2.0, ge=0.1, le=10, description="largest change of a command from the one before"
    )
    safe_speed: Number = Field(
        default=0.5, gt=0, le=1, description="speed of the way to the neutral pose, as a share of max_rate"
    )
    ramp_s: Seconds = Field(
        default=0.5, ge=0, le=10, description="time in which commands gain speed after a hold or start"
    )
    frozen_periods: Annotated[int, Unit("control periods")] = Field(
        default=1, ge=0, description="time after which joints that stand still under moving commands hold; 0: never"
    )
    frozen_object_periods: Annotated[int, Unit("control periods")] = Field(
        default=0, ge=0, description="the same for sources of objects, where these cannot rest; 0: never"
    )


@dataclass(frozen=True)
class Transition:
    """A change of safety state."""

    time: float
    before: SafetyState
    after: SafetyState
    reason: str


class Safety:
    """State machine and command limits. Commands [A] are joint targets in rad."""

    def __init__(self, action: ActionSpace, config: SafetyConfig | None = None, safe: str = "hold") -> None:
        self.action = action
        self.config = config or SafetyConfig()
        self.safe = safe
        self.state = SafetyState.INACTIVE
        self.reason = "not configured"
        self.transitions: deque[Transition] = deque(maxlen=1000)
        self.count = 0  # transitions made
        self._last_command: Array | None = None
        self._handed_over = ""  # why; kept while stopped, since clearing a stop does not take the hand back
        self._running = 0  # commands sent since the last hold

    def change(self, after: SafetyState, reason: str, now: float = 0.0) -> bool:
        """Go to `after`; False, and nothing changes, where that transition does not exist."""
        if after == self.state:
            if after is not SafetyState.STOPPED:  # the first reason for a stop is the one to read
                self.reason = reason
            return True
        if after not in ALLOWED[self.state]:
            return False
        self._go(after, reason, now)
        return True

    def clear_stop(self, reason: str, now: float = 0.0) -> bool:
        """Leave `stopped`: a person's decision. To `ready`, or to `handed_over` where the hand still is someone
        else's. False if not stopped."""
        if self.state is not SafetyState.STOPPED:
            return False
        if self._handed_over:
            self._go(SafetyState.HANDED_OVER, self._handed_over, now)
        else:
            self._go(SafetyState.READY, reason, now)
        return True

    def hand_over(self, reason: str, now: float = 0.0) -> bool:
        """Send nothing more: someone else commands the hand. False where inactive."""
        if self.state is SafetyState.INACTIVE:
            return False
        self._handed_over = self._handed_over or reason
        if self.state not in SILENT:
            self._go(SafetyState.HANDED_OVER, reason, now)
        return True

    def take_back(self, reason: str, now: float = 0.0) -> bool:
        """Be `ready` again, and start from where the hand is. False if it was not handed over; a stop stays."""
        if not self._handed_over:
            return False
        self._handed_over = ""
        self.forget_command()
        if self.state is SafetyState.HANDED_OVER:
            self._go(SafetyState.READY, reason, now)
        return True

    def _go(self, after: SafetyState, reason: str, now: float) -> None:
        self.transitions.append(Transition(now, self.state, after, reason))
        self.count += 1
        self.state, self.reason = after, reason
        if after is not SafetyState.RUNNING:
            self._running = 0
        if after is SafetyState.INACTIVE:
            self._handed_over = ""

    @property
    def last_command(self) -> Array | None:
        """The command sent last [A], None before the first."""
        return self._last_command

    @property
    def is_handed_over(self) -> bool:
        """Whether someone else commands the hand; also while stopped."""
        return bool(self._handed_over)

    def forget_command(self) -> None:
        """The hand was moved by someone else: the next command starts from where it is."""
        self._last_command = None

    def obstacle(self, position: Array | None) -> str:
        """Why no command can be sent while the joints are at `position` [A] (None: not known); empty if one can."""
        return obstacle(self.action, position, self._last_command, self.config.max_jump)

    def command(self, target: Array, position: Array) -> Array:
        """The command [A] for a planned `target`, from where the joints are. Raises ValueError if they are not finite
        or if there is an `obstacle`."""
        if not (np.isfinite(target).all() and np.isfinite(position).all()):
            raise ValueError("non-finite target or position")
        # A tolerance: 0.3 s are three periods of 0.1 s, whatever their sum comes to.
        speed = (self._running + 1) * self.action.period / self.config.ramp_s if self.config.ramp_s else np.inf
        if speed < 1 + 1e-9:
            target = self._slowed(target, position, speed)
        command = self._send(target, position)
        self._running += 1
        return command

    def safe_command(self, position: Array | None) -> Array | None:
        """What keeps the hand safe: the last command (it keeps the grip), or the way to neutral where the contract
        says so; from the measured `position` [A] where nothing was sent yet. None where nothing is known at all, or
        there is an `obstacle`."""
        if position is not None and not np.isfinite(position).all():
            position = None
        held = self._last_command if self._last_command is not None else position
        self._running = 0
        if held is None or self.obstacle(position):
            return None
        if self.safe == "neutral":
            return self._send(self._slowed(self.action.neutral, held, self.config.safe_speed), position)
        return self._send(held, position)

    def _slowed(self, target: Array, position: Array, speed: float) -> Array:
        """`target` no further from the last command (before the first: `position`) than `speed` reaches."""
        start = position if self._last_command is None else self._last_command
        reach = speed * self.action.max_rate * self.action.period
        return np.clip(target, start - reach, start + reach)

    def _send(self, target: Array, position: Array | None) -> Array:
        """The limits come last: they hold whatever was asked for."""
        problem = self.obstacle(position)
        if problem:
            raise ValueError(problem)
        window = allowed(self.action, position, self._last_command, self.config.max_jump)
        self._last_command = window.nearest(target)
        return self._last_command
