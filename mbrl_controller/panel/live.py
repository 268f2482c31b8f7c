# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What was heard last from a running hand: written by the node's thread, read by those that draw. No ROS in it."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.panel.history import History
from mbrl_controller.tasks.spaces import Array

SHOWN_S = 30.0  # of plots
SILENT_S = 2.5  # without a word after which a node is taken for gone
NOTES = 6
LIMIT_TOLERANCE = 1e-3  # rad
TICK_COLUMNS = (
    "stamp", "reward", "return", "plan_duration", "previous_execution", "lateness", "disagreement", "source",
)  # fmt: skip


@dataclass(frozen=True)
class Status:
    """A status on /diagnostics, and when it came (s, time.monotonic)."""

    level: int
    message: str
    values: Mapping[str, str]
    received: float


@dataclass
class Live:
    """The newest of everything. `lock` guards all of it; what it hands out is never changed afterwards."""

    contract: RobotContract
    lock: threading.Lock = field(default_factory=threading.Lock)
    tick: dict[str, float] = field(default_factory=dict)  # the newest row of ~/tick
    ticked: float = -np.inf  # s, time.monotonic, of it
    command: Array | None = None  # [A] rad
    position: Array | None = None  # [A] rad, at the newest tick
    goal: Array | None = None  # [G]
    plan: Array | None = None  # [H, A] rad
    plans: int = 0  # heard so far
    episode: dict[str, Any] = field(default_factory=dict)  # the newest event
    statuses: dict[str, Status] = field(default_factory=dict)  # by name
    notes: deque[str] = field(default_factory=lambda: deque(maxlen=NOTES))

    def __post_init__(self) -> None:
        rows = max(round(SHOWN_S / self.contract.action.period), 10)
        self.ticks = History(TICK_COLUMNS, rows)
        joints = self.contract.action.names
        self.joints = History([f"{kind} {joint}" for kind in ("command", "position") for joint in joints], rows)

    def take_tick(self, row: dict[str, float]) -> None:
        """A row of ~/tick, by its labels."""
        with self.lock:
            before = self.tick
            same = bool(before) and row.get("episode") == before.get("episode")
            reward = row.get("reward", np.nan)
            row["return"] = np.nansum([before.get("return", 0.0) if same else 0.0, reward])
            self.tick, self.ticked = row, time.monotonic()
            self.ticks.add(np.array([row.get(name, np.nan) for name in TICK_COLUMNS]))
            unknown = np.full(len(self.contract.action), np.nan)
            command = unknown if self.command is None else self.command
            self.joints.add(np.concatenate([command, unknown if self.position is None else self.position]))

    def take_plan(self, targets: Array) -> None:
        """A plan [H, A] (rad)."""
        with self.lock:
            self.plan, self.plans = targets, self.plans + 1

    def take_episode(self, event: dict[str, Any]) -> None:
        """An event of ~/episode."""
        with self.lock:
            self.episode = event
            if event.get("event") == "begin":
                self._note(f"episode {event.get('episode')} began")
            else:
                self._note(f"episode {event.get('episode')} ended: {event.get('reason')}")

    def take_status(self, name: str, level: int, message: str, values: Mapping[str, str]) -> None:
        """A status of /diagnostics."""
        with self.lock:
            self.statuses[name] = Status(level, message, values, time.monotonic())

    def status(self, name: str) -> Status | None:
        """The newest status of this name; None if there is none, or it is old."""
        with self.lock:
            found = self.statuses.get(name)
        return found if found is not None and time.monotonic() - found.received < SILENT_S else None

    def note(self, text: str) -> None:
        """Add a line to those that every browser shows."""
        with self.lock:
            self._note(text)

    def _note(self, text: str) -> None:
        self.notes.append(f"{time.strftime('%H:%M:%S')} {text}")

    @property
    def is_ticking(self) -> bool:
        """Whether a controller is active: its ticks come."""
        return time.monotonic() - self.ticked < max(SILENT_S, 3 * self.contract.action.period)

    def binding_limits(self) -> list[str]:
        """Joints whose command is at a position limit, or as far from the joint as it may go in a period."""
        with self.lock:
            command, position = self.command, self.position
        if command is None or not self.is_ticking:
            return []
        action = self.contract.action
        bound = (command <= action.lower + LIMIT_TOLERANCE) | (command >= action.upper - LIMIT_TOLERANCE)
        if position is not None:
            bound |= np.abs(command - position) >= action.max_rate * action.period - LIMIT_TOLERANCE
        return [name for name, is_bound in zip(action.names, bound, strict=True) if is_bound]
