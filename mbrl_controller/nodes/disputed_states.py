# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""States that several publishers send, as the logger sees them: nobody can tell which is right.

The controller holds meanwhile and marks its ticks; in a person's episode, which has no ticks, the logger leaves marks.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import QoSProfile

from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.nodes.state_publishers import StatePublishers

MARK_S = 0.2  # between two marks; each stands for more than that (episodes/exclusions.py)


class DisputedStates:
    """Counts the publishers of each state of a contract."""

    def __init__(self, node: Node, contract: RobotContract, profile: QoSProfile, mark: Callable[[], None]) -> None:
        """Watch from now on; `profile` is that of the subscriptions, `mark` is called while a state is disputed."""
        self._node, self._mark, self._lock = node, mark, threading.Lock()
        self._states: dict[str, list[StatePublishers]] = {}  # by topic, which objects may share
        for source in contract.sources:
            topic = node.resolve_topic_name(source.topic)
            self._states.setdefault(topic, []).append(StatePublishers(node, source, profile))
        self._timer = node.create_timer(MARK_S, self._look, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def close(self) -> None:
        """Watch no more."""
        self._node.destroy_timer(self._timer)

    def subscribed(self, topic: str, subscription: Any) -> None:
        """This is what hears `topic`."""
        for state in self._states.get(topic, ()):
            state.subscription = subscription

    def hear(self, topic: str, number: int | None) -> None:
        """A message with this number of its publisher's came."""
        with self._lock:
            for state in self._states.get(topic, ()):
                state.hear(number, time.monotonic())

    def problems(self) -> list[str]:
        """Which states must not be believed now, and why. On any thread."""
        with self._lock:
            now = time.monotonic()
            found = [state.dispute(now) for states in self._states.values() for state in states]
        return list(dict.fromkeys(text for text in found if text))

    def _look(self) -> None:
        if self.problems():
            self._mark()
