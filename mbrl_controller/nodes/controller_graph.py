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

from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.control.safety import SILENT
from mbrl_controller.control.session import ControlSession
from mbrl_controller.nodes import graph
from mbrl_controller.nodes.listeners import Listeners
from mbrl_controller.nodes.state_publishers import StatePublishers

LOOK_S = 1.0
ASK_S = 0.02


class CommandArbiter:
    """Publishers on the hand's command topics: two controllers on one would fight over the hand."""

    def __init__(self, node: Node, contract: RobotContract) -> None:
        self._topics = [graph.Publishers(node, destination.topic) for destination in contract.destinations]

    def others(self, own: bool) -> list[str]:
        """Names of the other nodes on any command topic; `own`: this node has publishers there, too."""
        return list(dict.fromkeys(name for topic in self._topics for name in topic.others(own)))

    def conflict(self, own: bool) -> str:
        """Why this node must not command; empty if it is alone."""
        for topic in self._topics:
            if others := topic.others(own):
                return f"{topic.topic} is already commanded by {', '.join(others)}: one hand, one master"
        return ""

    def await_conflict(self, until: float) -> str:
        """`conflict` of a node that has no publisher there yet, as soon as there is one: asked until `until` (s,
        monotonic), because a node that just joined the graph does not know everybody in it, and at least once."""
        while not (conflict := self.conflict(own=False)) and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, ASK_S))
        return conflict


class ControllerGraph:
    """Checks the graph at every tick, and makes a session hold. `matched` counts the subscriptions matched with the
    publisher of each command topic."""

    def __init__(self, node: Node, contract: RobotContract, profile: QoSProfile, matched: Callable[[str], int]) -> None:
        self._node, self._matched = node, matched
        self._listeners = [Listeners(node, d.topic, d.type, profile, d.driver) for d in contract.destinations]
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
        """Why nobody would follow the commands of a topic; empty if somebody follows those of each."""
        reasons = [listeners.missing(self._matched(listeners.topic)) for listeners in self._listeners]
        return "; ".join(reason for reason in reasons if reason)

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
            for listeners in self._listeners:
                listeners.look(self._matched(listeners.topic))
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
            problems = [text for listeners in self._listeners for text in listeners.problems()]
            found += [text for text in problems if text not in nobody]
        return found

    def _deaf(self, matters: bool) -> list[str]:
        return [str(topic) for topic, does in self._requests if does is matters and topic.found()]

    def new_problems(self, problems: list[str]) -> list[str]:
        """Those that were not there at the last call."""
        new = [text for text in problems if text not in self._known]
        self._known = set(problems)
        return new
