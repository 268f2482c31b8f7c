# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""How a logger knows whether a hand is real: a simulated one says so, latched, on the topic `simulated_world`."""

from __future__ import annotations

from typing import Any

from rclpy.node import Node
from std_msgs.msg import String

from mbrl_controller.models.origin import REAL
from mbrl_controller.nodes import qos

TOPIC = "simulated_world"


class WorldListener:
    """Hears of the simulated world beside it. `world` may be called on any thread."""

    def __init__(self, node: Node, given: str = "") -> None:
        """`given`: the world if it is known otherwise, such as that of another simulator."""
        self._node, self._given, self._heard = node, given, ""
        self._subscription = node.create_subscription(String, TOPIC, self._take, qos.LATCHED)

    @property
    def world(self) -> str:
        """The hand's world, as in models/origin.py; empty while that is not known."""
        if self._given:
            return self._given
        if self._node.count_publishers(TOPIC):
            return self._heard
        on_simulated_time = self._node.get_parameter("use_sim_time").value
        return "" if on_simulated_time else REAL

    def close(self) -> None:
        """Hear no more."""
        self._node.destroy_subscription(self._subscription)

    def _take(self, message: Any) -> None:
        self._heard = "".join(filter(str.isprintable, message.data[:100]))
