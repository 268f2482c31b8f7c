# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Hears what a running hand tells on its topics."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray, String
from trajectory_msgs.msg import JointTrajectory

from mbrl_controller.base.errors import MessageError
from mbrl_controller.contract import ros_types
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.contract.frames import TF_STATIC
from mbrl_controller.contract.state_assembly import StateAssembler
from mbrl_controller.nodes import qos
from mbrl_controller.nodes.messages import message_class
from mbrl_controller.nodes.polling import polled_subscription, take_all
from mbrl_controller.panel.live import Live
from mbrl_controller.tasks.spaces import Array


class Feed:
    """Subscriptions that fill a `Live`. States are taken when `state` is asked, on the thread that asks: a hand may
    publish far more of them than are drawn."""

    def __init__(self, node: Node, contract: RobotContract, live: Live, controller: str) -> None:
        self._node, self._contract, self._live = node, contract, live
        self._assembler = StateAssembler(contract)
        self._state: Array | None = None
        self._states = [
            (
                polled_subscription(node, message_class(source.type), source.topic, qos.sensor(source)),
                partial(self._take_state, source.key),
            )
            for source in contract.sources
        ]
        listened: list[tuple[type, str, Callable[[Any], None], Any]] = [
            (Float64MultiArray, f"{controller}/tick", self._take_tick, qos.RECORD),
            (JointState, f"{controller}/command", self._take_command, qos.RECORD),
            (JointTrajectory, f"{controller}/plan", self._take_plan, qos.REQUEST),
            (JointTrajectory, f"{controller}/goal", self._take_goal, qos.RECORD),
            (String, f"{controller}/episode", self._take_episode, qos.LATCHED),
            (DiagnosticArray, "/diagnostics", self._take_diagnostics, qos.DIAGNOSTICS),
        ]
        if contract.looks_up_frames:
            listened.append((message_class(ros_types.TRANSFORMS), TF_STATIC, self._take_frames, qos.STATIC_FRAMES))
        self._subscriptions = [node.create_subscription(*one) for one in listened]
        self._joints = contract.task.joint_positions

    def close(self) -> None:
        """Leave all topics. Nobody asks for a state any more."""
        for subscription in [*self._subscriptions, *(one for one, _ in self._states)]:
            self._node.destroy_subscription(subscription)

    def state(self) -> Array | None:
        """The newest state [S]; None before every source has sent. One thread asks."""
        for subscription, take in self._states:
            take_all(subscription, take)
        with suppress(MessageError):
            self._state = self._assembler.vector()[0]
            with self._live.lock:
                self._live.position = self._state[self._joints]
        return self._state

    def _take_state(self, key: str, message: Any, received: float) -> None:
        with suppress(MessageError):  # the controller reports the reason
            self._assembler.update(key, message, time.time())

    def _take_frames(self, message: Any) -> None:
        with suppress(MessageError):
            self._assembler.frames.take(message)

    def _take_tick(self, message: Any) -> None:
        self._live.take_tick({one.label: value for one, value in zip(message.layout.dim, message.data, strict=False)})

    def _take_command(self, message: Any) -> None:
        names = self._contract.action.names
        if tuple(message.name) == names and len(message.position) == len(names):
            with self._live.lock:
                self._live.command = np.array(message.position)

    def _take_plan(self, message: Any) -> None:
        if tuple(message.joint_names) == self._contract.action.names:
            self._live.take_plan(np.array([point.positions for point in message.points], dtype=float))

    def _take_goal(self, message: Any) -> None:
        if tuple(message.joint_names) == self._contract.task.goal.names and message.points:
            with self._live.lock:
                self._live.goal = np.array(message.points[0].positions)

    def _take_episode(self, message: Any) -> None:
        with suppress(ValueError):
            event = json.loads(message.data)
            if isinstance(event, dict):
                self._live.take_episode(event)

    def _take_diagnostics(self, message: Any) -> None:
        for status in message.status:
            level = int.from_bytes(status.level, "little")
            self._live.take_status(status.name, level, status.message, {one.key: one.value for one in status.values})
