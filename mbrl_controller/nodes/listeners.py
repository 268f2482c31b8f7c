# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Who takes the hand's commands. Commands that nobody takes would be logged as if the hand had followed them."""

from __future__ import annotations

import time
from dataclasses import dataclass

from rclpy.node import Node
from rclpy.qos import QoSProfile

from mbrl_controller.nodes import graph
from mbrl_controller.nodes.graph import Endpoint

UNNAMED_S = 3.0  # an endpoint without a name for this long has none: a driver that is no ROS node
# Nodes that listen to whatever there is, by how their names begin. Also hidden ones (`_ros2cli_1234`), and loggers.
RECORDERS = ("rosbag2_", "rqt", "rviz", "foxglove_bridge", "rosbridge_", "plotjuggler")
LOGGER = "logger"


@dataclass(frozen=True)
class _Seen:
    matched: int
    reason: str
    problems: tuple[str, ...]


class Listeners:
    """Subscriptions of a command topic, at every tick. Two threads may ask.

    Recorders do not drive the hand: hidden nodes, such as ros2cli's, the usual recorders and viewers, and nodes called
    `logger` or `<something>_logger`, as this package's own is. If the contract names the hand's `driver`, only that
    node counts.
    """

    def __init__(self, node: Node, topic: str, kind: str, profile: QoSProfile, driver: str | None) -> None:
        self.topic = topic
        self._node, self._kind, self._profile, self._driver = node, kind, profile, driver
        self._unnamed_since: float | None = None
        self._seen: _Seen | None = None

    def missing(self, matched: int) -> str:
        """Why a command would reach nobody who follows it; empty if it would. `matched`: subscriptions that the
        publisher is matched with. Cheap while their number is the same."""
        seen = self._seen
        return (seen if seen is not None and seen.matched == matched else self.look(matched)).reason

    def problems(self) -> tuple[str, ...]:
        """Who gets no command though it asks for them, and why, as of the last look."""
        return self._seen.problems if self._seen is not None else ()

    def look(self, matched: int) -> _Seen:
        """Ask discovery anew: one may leave and another come between two looks."""
        endpoints = graph.subscriptions(self._node, self.topic, self._profile, self._kind)
        if not any(endpoint.node == graph.UNKNOWN for endpoint in endpoints):
            self._unnamed_since = None
        drivers = [endpoint for endpoint in endpoints if self._drives(endpoint.node)]
        problems = tuple(f"{d.node} gets no command from {self.topic}: {d.problem}" for d in drivers if d.problem)
        heard = [endpoint for endpoint in drivers if not endpoint.problem]
        reason = ""
        if not heard or not matched:
            reason = f"nobody takes the commands: {self._why(endpoints, drivers, heard, problems)}"
        self._seen = seen = _Seen(matched, reason, problems)
        return seen

    def _why(
        self, endpoints: list[Endpoint], drivers: list[Endpoint], heard: list[Endpoint], problems: tuple[str, ...]
    ) -> str:
        if heard:
            return f"{graph.listed([d.node for d in heard])} on {self.topic} is not connected yet"
        if problems:
            return "; ".join(problems)
        if self._driver is not None:
            return f"the contract's driver {self._driver} is not on {self.topic}"
        if endpoints:
            others = graph.listed([endpoint.node for endpoint in endpoints])
            return f"{self.topic} is heard by {others} alone, which do not drive a hand"
        return f"{self.topic} has no subscription"

    def _drives(self, name: str) -> bool:
        if self._driver is not None:
            return name == self._driver or name.endswith(f"/{self._driver.lstrip('/')}")
        if name == graph.UNKNOWN:
            return self._has_no_name()
        own = name.rsplit("/", 1)[-1]
        return not (own.startswith(("_", *RECORDERS)) or own == LOGGER or own.endswith(f"_{LOGGER}"))

    def _has_no_name(self) -> bool:
        now = time.monotonic()
        if self._unnamed_since is None:
            self._unnamed_since = now
        return now - self._unnamed_since >= UNNAMED_S
