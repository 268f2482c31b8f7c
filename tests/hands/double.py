# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A node that speaks as a driver of the table does: its hand is wherever `angles` says, and hears commands."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import JointState
from std_msgs.msg import Float32MultiArray

from mbrl_controller.nodes.messages import message_class

from .drivers import ARRAY, TRAJECTORY, CommandTopic, Driver

NUMBERS = {"zero": 0.0, "nan": math.nan}


def profile(depth: int, reliable: bool) -> QoSProfile:
    policy = ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
    return QoSProfile(depth=depth, reliability=policy)


class Double:
    """`angles` (rad, by the driver's names) is where the hand is; `numbers` replaces what it sends of them."""

    def __init__(self, driver: Driver, make_node: Callable[..., Any], angles: dict[str, float]) -> None:
        self.driver, self.angles = driver, angles
        self.numbers: list[float] | None = None
        self.tactile = [float(i) / 2 for i in range(16)]
        self.commanded: list[dict[str, float]] = []  # what it heard: targets (rad) by the driver's names
        self.points: list[list[float]] = []  # s, of trajectories
        self.refused = 0
        self.node = make_node(driver.node, driver.namespace or None)
        self._states = self.node.create_publisher(JointState, driver.state, profile(5, driver.reliable))
        if driver.tactile:
            self._tactile = self.node.create_publisher(Float32MultiArray, driver.tactile, 10)
        for command in driver.commands:
            kind, take = message_class(command.type), partial(self._take, command)
            self.node.create_subscription(kind, command.topic, take, profile(10, command.reliable))
        self.node.create_timer(1.0 / driver.rate, self._publish)

    def _publish(self) -> None:
        driver = self.driver
        if driver.only_heard and not self._states.get_subscription_count():
            return
        message = JointState(name=list(driver.joints) if driver.names_states else [])
        message.header.stamp = self.node.get_clock().now().to_msg()
        numbers = [driver.unit(joint).number(self.angles[joint]) for joint in driver.joints]
        if driver.whole:
            numbers = [float(round(number)) for number in numbers]
        message.position = numbers if self.numbers is None else self.numbers
        for quantity in ("velocity", "effort"):
            if number := getattr(driver, quantity):
                setattr(message, quantity, [NUMBERS[number]] * len(driver.joints))
        self._states.publish(message)
        if driver.tactile:
            self._tactile.publish(Float32MultiArray(data=self.tactile))

    def _take(self, command: CommandTopic, message: Any) -> None:
        names: list[str] = []
        if command.type == TRAJECTORY:
            names, numbers = list(message.joint_names), list(message.points[0].positions)
            times = [point.time_from_start for point in message.points]
            self.points.append([time.sec + 1e-9 * time.nanosec for time in times])
        elif command.type == ARRAY:
            numbers = list(message.data)
        else:
            names, numbers = list(message.name), list(message.position)
        order = names if command.named and names else list(command.joints)
        if self.driver.whole:
            numbers = [float(int(number)) for number in numbers]
        outside = self.driver.whole and not all(0 <= number <= 255 for number in numbers)
        if len(numbers) != len(order) or not set(order) <= set(command.joints) or outside:
            self.refused += 1
            return
        targets = {name: self.driver.unit(name, True).angle(value) for name, value in zip(order, numbers, strict=True)}
        if self.driver.left_out_is_zero:
            targets = dict.fromkeys(command.joints, 0.0) | targets
        self.commanded.append(targets)
