# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""State that lives as long as the process: latches, and the numbers of epochs and episodes.

A controller may be configured, cleaned up and configured again; each time its safety, core and session are new. That
must not clear what a person or a fault latched, and must not give a number twice.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from enum import Enum


class SafetyState(str, Enum):
    """Where the controller stands."""

    INACTIVE = "inactive"
    READY = "ready"
    RUNNING = "running"
    HOLDING = "holding"
    STOPPED = "stopped"
    HANDED_OVER = "handed_over"


@dataclass(frozen=True)
class Transition:
    """A change of safety state."""

    time: float
    before: SafetyState
    after: SafetyState
    reason: str


@dataclass(frozen=True)
class Latch:
    """Stays until a person clears it: why, and since when (s, node clock)."""

    reason: str
    time: float


class Standing:
    """The latched stop, the hand-over, the transitions so far, and the numbers given. One per process."""

    def __init__(self) -> None:
        self.stop: Latch | None = None
        self.hand_over: Latch | None = None  # kept while stopped: clearing a stop does not take the hand back
        self.transitions: deque[Transition] = deque(maxlen=1000)
        self.count = 0  # transitions made
        self.epoch = 0  # the last one
        self.episode = -1  # the last one, -1 before the first
        self._lock = threading.Lock()

    def latch_stop(self, reason: str, now: float, before: SafetyState = SafetyState.INACTIVE) -> bool:
        """Stop until `clear_stop`, from the state `before`; False if it was stopped already: the first reason stays."""
        if self.stop is not None:
            return False
        self.stop = Latch(reason, now)
        self.record(before, SafetyState.STOPPED, reason, now)
        return True

    def clear_stop(self, reason: str, now: float, after: SafetyState = SafetyState.INACTIVE) -> bool:
        """A person's decision: go to the state `after`; False if it was not stopped."""
        if self.stop is None:
            return False
        self.stop = None
        self.record(SafetyState.STOPPED, after, reason, now)
        return True

    def latch_hand_over(self, reason: str, now: float) -> bool:
        """Someone else commands the hand, until `clear_hand_over`; False if that was so already."""
        if self.hand_over is not None:
            return False
        self.hand_over = Latch(reason, now)
        return True

    def clear_hand_over(self) -> bool:
        """A person's decision; False if it was not handed over."""
        before, self.hand_over = self.hand_over, None
        return before is not None

    def record(self, before: SafetyState, after: SafetyState, reason: str, now: float) -> None:
        """Keep a change of state at `now` (s, node clock)."""
        with self._lock:
            self.transitions.append(Transition(now, before, after, reason))
            self.count += 1

    def changes_since(self, count: int) -> tuple[list[Transition], int]:
        """The transitions after the first `count`, as far as they are kept, and how many there are now."""
        with self._lock:
            new = min(self.count - count, len(self.transitions))
            return list(self.transitions)[len(self.transitions) - new :], self.count
