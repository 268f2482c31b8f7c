# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The demo's own node: watches what the controller does, and to what."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import JointState
from trajectory_msgs.msg import JointTrajectory

from mbrl_controller.base.errors import MessageError
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.contract.state_assembly import StateAssembler
from mbrl_controller.nodes import qos
from mbrl_controller.nodes.messages import message_class
from mbrl_controller.stack.demo_recorder import DemoRecord
from mbrl_controller.stack.monitor import ServiceMonitor
from mbrl_controller.tasks.spaces import Array


class DemoMonitor(ServiceMonitor):
    """Fills a record with the rows, states, commands and goals of the ticks."""

    hears = frozenset({"tick", "command", "goal"})

    def __init__(self, contract: RobotContract, record: DemoRecord) -> None:
        super().__init__(contract, lambda row: record.add(row, self._seen(), time.monotonic()))
        self._assembler = StateAssembler(contract)
        self._newest: dict[str, bytes] = {}
        self._command: Array | None = None
        self._goal: Array | None = None

    def _listen(self) -> None:
        for source in self.contract.sources:
            # Bytes, of which only those at a tick are read: the rest would cost time that the planner needs.
            self._node.create_subscription(
                message_class(source.type), source.topic, self._keep(source.topic), qos.SENSOR, raw=True
            )
        self._node.create_subscription(JointState, "controller/command", self._on_command, qos.RECORD)
        self._node.create_subscription(JointTrajectory, "controller/goal", self._on_goal, qos.RECORD)
        super()._listen()

    def _keep(self, topic: str) -> Callable[[bytes], None]:
        def keep(data: bytes) -> None:
            self._newest[topic] = data

        return keep

    def _on_command(self, message: Any) -> None:
        self._command = np.array(message.position)

    def _on_goal(self, message: Any) -> None:
        self._goal = np.array(message.points[0].positions)

    def _seen(self) -> tuple[Array, Array, Array] | None:
        if self._command is None or self._goal is None:
            return None
        try:
            for source in self.contract.sources:
                if source.topic in self._newest:
                    message = deserialize_message(self._newest[source.topic], message_class(source.type))
                    self._assembler.update(source.topic, message)
            return self._assembler.vector()[0], self._command, self._goal
        except MessageError:
            return None  # the controller tells what is wrong with it
