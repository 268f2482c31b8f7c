"""The one place that decides what may be sent, and in which state the controller is.

inactive -> ready -> running -> holding (recoverable) -> stopped (latched: only `clear_stop` leaves it). Every
transition keeps its reason.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from mbrl_controller.tasks.spaces import ActionSpace, Array


class SafetyState(str, Enum):
    """Where the controller stands."""

    INACTIVE = "inactive"
    READY = "ready"
    RUNNING = "running"
    HOLDING = "holding"
    STOPPED = "stopped"


ALLOWED = {
    SafetyState.INACTIVE: {SafetyState.READY, SafetyState.STOPPED},
    SafetyState.READY: {SafetyState.RUNNING, SafetyState.HOLDING, SafetyState.INACTIVE, SafetyState.STOPPED},
    SafetyState.RUNNING: {SafetyState.HOLDING, SafetyState.READY, SafetyState.INACTIVE, SafetyState.STOPPED},
    SafetyState.HOLDING: {SafetyState.RUNNING, SafetyState.READY, SafetyState.INACTIVE, SafetyState.STOPPED},
    SafetyState.STOPPED: set(),
}


class SafetyConfig(BaseModel):
    """When the controller holds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_late_plans: int = Field(default=3, ge=1, description="late plans in a row before holding")
    check_disagreement: bool = Field(default=True, description="hold above the model's disagreement limit")
    max_disagreeing_plans: int = Field(default=3, ge=1, description="plans above the limit in a row before holding")


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
        """Leave `stopped` for `ready`: a person's decision. False if not stopped."""
        if self.state is not SafetyState.STOPPED:
            return False
        self._go(SafetyState.READY, reason, now)
        return True

    def _go(self, after: SafetyState, reason: str, now: float) -> None:
        self.transitions.append(Transition(now, self.state, after, reason))
        self.count += 1
        self.state, self.reason = after, reason

    @property
    def last_command(self) -> Array | None:
        """The command sent last [A], None before the first."""
        return self._last_command

    def forget_command(self) -> None:
        """The hand was moved by someone else: the next command starts from where it is."""
        self._last_command = None

    def command(self, target: Array, position: Array) -> Array:
        """The command [A] for a planned `target`, from where the joints are; raises ValueError if not finite."""
        if not (np.isfinite(target).all() and np.isfinite(position).all()):
            raise ValueError("non-finite target or position")
        self._last_command = self.action.limit(target, position)
        return self._last_command

    def safe_command(self, position: Array | None) -> Array | None:
        """What keeps the hand safe: the last command (it keeps the grip), or the way to neutral where the contract
        says so; from the measured `position` [A] where nothing was sent yet. None if nothing is known at all."""
        if position is not None and not np.isfinite(position).all():
            position = None
        held = self._last_command if self._last_command is not None else position
        if held is None:
            return None
        wanted = self.action.neutral if self.safe == "neutral" else held
        self._last_command = self.action.limit(wanted, held if position is None else position)
        return self._last_command
