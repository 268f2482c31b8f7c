# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The driver of a hand that no world of this package knows: three fingers that rub a valve, in plain NumPy.

Run as a script. It knows topics and messages, and nothing of this package: joint states and the valve's at 100 Hz, each
joint towards its target with a time constant of 50 ms; the valve turns with the fingers' mean speed.
"""

from __future__ import annotations

import sys
from contextlib import suppress

import numpy as np
import rclpy
from rclpy.executors import ExternalShutdownException
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray

RATE, TIME_CONSTANT, GRIP = 100.0, 0.05, 2.0  # Hz, s, valve rad per joint rad
JOINTS = ["J0", "J1", "J2"]


def main() -> None:
    """Run until a signal."""
    rclpy.init()
    node = rclpy.create_node("hand_driver")
    sensors = np.random.default_rng(0)
    position, target = np.array([0.0, 0.1, 0.2]), np.array([0.0, 0.1, 0.2])
    angle = 0.0
    joints = node.create_publisher(JointState, "joint_states", 10)
    valve = node.create_publisher(JointState, "valve/joint_states", 10)

    def take(message: Float64MultiArray) -> None:
        target[:] = message.data

    def step() -> None:
        nonlocal angle
        speed = (target - position) / TIME_CONSTANT
        position[:] += (target - position) * (1.0 - np.exp(-1.0 / (RATE * TIME_CONSTANT)))
        angle += GRIP * float(speed.mean()) / RATE
        stamp = node.get_clock().now().to_msg()
        for publisher, names, values, rates in (
            (joints, JOINTS, position, speed),
            (valve, ["valve"], np.array([angle]), np.array([GRIP * speed.mean()])),
        ):
            noise = sensors.normal(0.0, 1e-4, len(values))  # a sensor never says the same twice
            message = JointState(name=names, position=(values + noise).tolist(), velocity=rates.tolist())
            message.header.stamp = stamp
            publisher.publish(message)

    node.create_subscription(Float64MultiArray, "hand/commands", take, 1)
    node.create_timer(1.0 / RATE, step)
    with suppress(KeyboardInterrupt, ExternalShutdownException):
        rclpy.spin(node)
    sys.exit(0)


if __name__ == "__main__":
    main()
