# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The controller's place in the ROS graph: whether somebody takes its commands, each state has one publisher, and every
stop button is heard."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from rclpy.node import Node
from rclpy.qos import QoSProfile

from mbrl_controller.contract.commands import Command
from mbrl_controller.control.safety import SILENT
from mbrl_controller.control.session import ControlSession
from mbrl_controller.nodes import graph
from mbrl_controller.nodes.listeners import Listeners
from mbrl_controller.nodes.state_publishers import StatePublishers

LOOK_S = 1.0


class CommandArbiter(graph.Publishers):
    """Publishers on the hand's command topic: two controllers on one would fight over the hand."""

    def conflict(self, own: bool) -> str:
        """Why this node must not command; empty if it is alone. `own`: it has a publisher there, too."""
        others = self.others(own)
        return f"{self.topic} is already commanded by {', '.join(others)}: one hand, one master" if others else ""


class ControllerGraph:
    """Checks the graph at every tick, and makes a session hold. `matched` counts the subscriptions matched with the
    publisher of the command topic."""

    def __init__(self, node: Node, command: Command, profile: QoSProfile, matched: Callable[[], int]) -> None:
        self._node, self._matched = node, matched
        self._listeners = Listeners(node, command.topic, command.type, profile, command.driver)
        self.states: list[StatePublishers] = []
        self._requests: list[tuple[graph.Unheard, bool]] = []
        self._looked = -math.inf
        self._disputed = ""
        self._known: set[str] = set()

    def add_requests(self, topic: str, *profiles: QoSProfile, matters: bool) -> None:
        """Watch a topic to which this node subscribes with `profiles`; `matters`: hold while one of its publishers
        cannot be heard."""
        self._requests.append((graph.Unheard(self._node, topic, *profiles), matters))

    def nobody_listens(self) -> str:
        """Why nobody would follow the commands; empty if somebody does."""
        return self._listeners.missing(self._matched())

    def holds(self, session: ControlSession, stamp: float) -> bool:
        """Hold if there is a reason; whether there is. Call it at a tick of time `stamp` (s), after taking its
        messages."""
        self._disputed = next(filter(None, [state.dispute(time.monotonic()) for state in self.states]), "")
        if session.core.safety.state in SILENT:
            return False
        if nobody := self.nobody_listens():
            session.unheard(nobody, stamp)
        elif self._disputed:
            session.disputed(self._disputed, stamp)
        elif deaf := self._deaf(matters=True):
            session.hold(deaf[0], stamp)
        else:
            return False
        return True

    def holds_anew(self, session: ControlSession) -> bool:
        """Whether nobody listens, and the session does not know it."""
        nobody = self.nobody_listens()
        return bool(nobody) and session.core.safety.reason != nobody

    def look(self, active: bool) -> None:
        """Ask discovery again, a few times a second: one node may leave as another comes."""
        if active:
            self._listeners.look(self._matched())
        else:
            self._disputed = ""
        if (now := time.monotonic()) - self._looked >= LOOK_S:
            self._looked = now
            for state in self.states:
                state.look()
            for topic, _ in self._requests:
                topic.look()

    def errors(self) -> list[str]:
        """What is wrong, and what to do about it."""
        return [text for text in (self._disputed, *self._deaf(matters=True)) if text]

    def warnings(self, active: bool) -> list[str]:
        """Which messages are lost, and why; `active`: somebody should hear the commands."""
        found = [text for state in self.states for text in (*state.incompatible(), state.idle(self._disputed)) if text]
        found += self._deaf(matters=False)
        if active:
            nobody = self.nobody_listens()
            found += [nobody] if nobody else []
            found += [text for text in self._listeners.problems() if text not in nobody]
        return found

    def _deaf(self, matters: bool) -> list[str]:
        return [str(topic) for topic, does in self._requests if does is matters and topic.found()]

    def new_problems(self, problems: list[str]) -> list[str]:
        """Those that were not there at the last call."""
        new = [text for text in problems if text not in self._known]
        self._known = set(problems)
        return new
