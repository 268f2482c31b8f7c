# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Follows a node's ROS time if it comes from /clock."""

from __future__ import annotations

from typing import Any

from rclpy.clock import JumpThreshold
from rclpy.duration import Duration
from rclpy.node import Node

from mbrl_controller.control.simulated_time import SimulatedTime

_ANY = JumpThreshold(
    min_forward=Duration(nanoseconds=1), min_backward=Duration(nanoseconds=-1), on_clock_change=True
)  # each message on /clock is a jump to rclpy


class SimulatedClock:
    """Tells a SimulatedTime of each message on /clock, until it is closed."""

    def __init__(self, node: Node) -> None:
        self.time = SimulatedTime()
        clock = node.get_clock()
        self._handle = clock.create_jump_callback(_ANY, post_callback=lambda jump: self._tell(clock))

    def close(self) -> None:
        """Follow it no longer."""
        self._handle.unregister()

    def _tell(self, clock: Any) -> None:
        self.time.tell(1e-9 * float(clock.now().nanoseconds))
