# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What moves a simulated hand, in time or in lockstep: its topics, its queue of commands, its resets."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from rclpy.publisher import Publisher

from mbrl_controller.base.errors import MessageError
from mbrl_controller.contract.command_messages import read_plan
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.control.timing import LoopStatistics
from mbrl_controller.episodes import ros_messages
from mbrl_controller.episodes.source_messages import source_message
from mbrl_controller.simulation.hand_simulation import HandSimulation
from mbrl_controller.simulation.measuring import Measurement
from mbrl_controller.tasks.markers import Marker, as_markers
from mbrl_controller.tasks.spaces import Array


class Command(NamedTuple):
    """A message of a command topic, as `read_plan` reads it."""

    topic: str
    times: Array
    targets: Array


class Runner:
    """Common to both runners: topics, commands, resets."""

    lockstep = False

    def __init__(
        self,
        contract: RobotContract,
        values: dict[str, Any],
        publishers: dict[str, Publisher],
        clock: Publisher | None,
        on_error: Callable[[Exception], None],
    ) -> None:
        self.contract, self.seed = contract, int(values["seed"])
        self.viewer: Any = None
        self._markers: list[Marker] | None = None  # of the newest goal
        self.behind_s = 0.0
        self.statistics = LoopStatistics()
        self._publishers, self._clock, self._on_error = publishers, clock, on_error
        self._commands: queue.SimpleQueue[Command | None] = queue.SimpleQueue()
        self._last_command = time.monotonic()
        self._received = self._rejected = self._resets = 0
        self._rejection = ""
        self._letting_go = False
        self._reset_wanted, self._reset_done = threading.Event(), threading.Event()

    simulation: HandSimulation

    def start(self) -> None:
        """Begin."""
        raise NotImplementedError

    def stop(self) -> None:
        """End, and wait for it."""
        raise NotImplementedError

    def receive(self, topic: str, message: Any) -> None:
        """A command arrives on one of the contract's topics (on the executor's thread)."""
        try:
            times, targets = read_plan(self.contract, topic, message)
        except MessageError as error:
            self._rejected += 1
            self._rejection = str(error)
            return
        self._received += 1
        self._last_command = time.monotonic()
        self._commands.put(Command(topic, times, targets))

    def show_goal(self, message: Any) -> None:
        """A goal that the controller records: the viewer shows its markers."""
        try:
            goal = np.array([point.positions for point in message.points[:1]], dtype=float).ravel()
            self._markers = as_markers(self.contract.task.markers(self.contract.task.check_goal_shape(goal)))
        except Exception:  # another task's goal, or whatever a task raises: a picture must not end the hand
            self._markers = None

    def request_reset(self, timeout: float) -> bool:
        """Ask for a new start and wait for it; False if it did not happen in time, or will not: see `let_go`."""
        self._reset_done.clear()
        self._reset_wanted.set()
        self._commands.put(None)  # wakes up who waits for a command
        done = not self._letting_go and self._reset_done.wait(timeout)
        return done and not self._letting_go

    def let_go(self) -> None:
        """From now on nobody waits for a reset, on whatever thread."""
        self._letting_go = True
        self._reset_done.set()

    def silent_s(self) -> float:
        """s since the last command."""
        return time.monotonic() - self._last_command

    def report(self) -> dict[str, object]:
        """Values for /diagnostics."""
        return {
            "commands received": self._received,
            "commands rejected": self._rejected,
            "last rejection": self._rejection,
            "seed": self.seed,
            "resets": self._resets,
        }

    def _take_reset(self) -> bool:
        """Whether a reset is due; the seed is the new one then, and commands for the old start are forgotten."""
        if not self._reset_wanted.is_set():
            return False
        self._reset_wanted.clear()
        self.seed += 1
        self._resets += 1
        self._drain()
        return True

    def _drain(self) -> list[Command]:
        """The commands waiting, oldest first."""
        waiting = []
        while True:
            try:
                waiting.append(self._commands.get_nowait())
            except queue.Empty:
                return [command for command in waiting if command is not None]

    def _send(self, measurement: Measurement, stamp: int, *, stamped: bool) -> None:
        """Publish as measured at `stamp` (ns); see `source_message` for `stamped`."""
        source = measurement.source
        message = source_message(source, measurement.values, stamp, stamped=stamped)
        self._publishers[source.topic].publish(ros_messages.encode(message))

    def _send_clock(self, stamp: int) -> None:
        if self._clock is not None:
            self._clock.publish(ros_messages.encode(ros_messages.clock(stamp)))

    def _show(self) -> None:
        if self.viewer is not None:
            self.viewer.update(self.simulation, self._markers)
