# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The hand as markers: newest states, goal and plan, listened to only while they are shown."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from rclpy.qos import QoSProfile
from trajectory_msgs.msg import JointTrajectory
from visualization_msgs.msg import MarkerArray

from mbrl_controller.base.errors import MessageError
from mbrl_controller.contract import ros_types
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.contract.frames import TF_STATIC
from mbrl_controller.contract.sources import ObjectSource
from mbrl_controller.contract.state_assembly import StateAssembler, join_samples
from mbrl_controller.episodes.decoding import NamedValues
from mbrl_controller.nodes import qos
from mbrl_controller.nodes.lifecycle import ManagedNode
from mbrl_controller.nodes.marker_messages import HAND_COLOR, PLAN_COLOR, MarkerList
from mbrl_controller.nodes.messages import message_class
from mbrl_controller.nodes.polling import polled_subscription, take_all
from mbrl_controller.simulation.hand_picture import find_picture
from mbrl_controller.simulation.state_pose import object_entries
from mbrl_controller.simulation.world_shapes import WorldShapes
from mbrl_controller.tasks.markers import Marker
from mbrl_controller.tasks.orientation import IDENTITY
from mbrl_controller.tasks.spaces import Array

BALL = 0.02  # m, radius of an object without a model
BACK_S = 1.0  # stamps that go back further begin anew: a simulator was started again
RECENT_S = 2.0  # a goal or plan older than this is of an episode that is over


class ShownHand:
    """Namespaces of its markers: `objects`, `goals`, `hand`, `plan`; without a model of the robot the first two."""

    def __init__(self, node: ManagedNode, contract: RobotContract, controller: str, frame: str = "") -> None:
        """
        Args:
            node: makes the subscriptions.
            contract: of the hand.
            controller: name of the controller's node.
            frame: frame_id of the markers; empty: the contract's.

        Raises:
            MbrlError: the model's file is wrong.
        """
        self._node, self._contract, self._controller = node, contract, controller
        self._assembler = StateAssembler(contract)
        self._subscriptions: list[Any] = []
        self._newest: dict[str, tuple[float, Any]] = {}  # goal, plan -> when it came (s, time.monotonic), message
        picture = find_picture(contract)
        self._shapes = None if picture is None else WorldShapes(picture)
        frames = [source.frame for source in contract.sources if isinstance(source, ObjectSource)]
        self.frame = frame or (frames[0] if frames else "world")

    def open(self) -> None:
        """Listen."""
        if self._subscriptions:
            return
        node = self._node
        for source in {source.key: source for source in self._contract.sources}.values():
            take = functools.partial(self._on_state, source.key)
            self._listen(message_class(source.type), source.topic, qos.sensor(source), take)
        for name in ("goal", "plan"):
            profile = qos.RECORD if name == "goal" else qos.REQUEST
            self._listen(JointTrajectory, f"{self._controller}/{name}", profile, functools.partial(self._keep, name))
        if self._contract.looks_up_frames:
            kind = message_class(ros_types.TRANSFORMS)
            heard = node.create_subscription(kind, TF_STATIC, self._on_frames, qos.STATIC_FRAMES)
            self._subscriptions.append((heard, None))

    def close(self) -> None:
        """Listen no longer."""
        while self._subscriptions:
            self._node.destroy_subscription(self._subscriptions.pop()[0])
        self._assembler.reset()
        self._newest.clear()

    def markers(self) -> MarkerArray | None:
        """What is known now; None before the first state."""
        for subscription, take in self._subscriptions:
            if take is not None:
                take_all(subscription, take)
        samples, task = self._assembler.samples, self._contract.task
        if not samples:
            return None
        parts = [
            samples[source.key].values if source.key in samples else np.full(len(source.entries()), np.nan)
            for source in self._contract.sources
        ]
        state = join_samples(self._contract, parts)
        found = MarkerList(self.frame, max(sample.stamp for sample in samples.values()))
        if self._shapes is None:
            found.add_markers("objects", self._object_markers(state))
        else:
            found.add_solids("objects", self._shapes.objects(state))
            found.add_lines("hand", self._shapes.bones(state), HAND_COLOR)
        goal, plan = self._recent("goal", task.goal.names), self._recent("plan", self._contract.action.names)
        if goal is not None:
            found.add_markers("goals", task.markers(goal[0]))
        if plan is not None and self._shapes is not None:
            for path in self._shapes.fingertip_paths(state, plan):
                found.add_path("plan", path, PLAN_COLOR)
        return found.message

    def _listen(self, kind: Any, topic: str, profile: QoSProfile, take: Callable[[Any, float], None]) -> None:
        self._subscriptions.append((polled_subscription(self._node, kind, topic, profile), take))

    def _on_state(self, key: str, message: Any, received: float) -> None:
        assembler, now = self._assembler, self._node.now_s()
        with suppress(MessageError):  # the controller says what is wrong with it
            sample = assembler.update(key, message, now)
            if sample is not None and sample.stamp < assembler.samples[key].stamp - BACK_S:
                assembler.forget(key)
                assembler.update(key, message, now)

    def _object_markers(self, state: Array) -> list[Marker]:
        """Objects of which nothing but the pose is known."""
        shown = []
        for own in object_entries(self._contract.task.state.names).values():
            axes = IDENTITY if own.orientation is None else state[own.orientation]
            if np.isfinite(state[own.position]).all() and np.isfinite(axes).all():
                shown.append(Marker(state[own.position], None if own.orientation is None else axes, size=(BALL,)))
        return shown

    def _on_frames(self, message: Any) -> None:
        with suppress(MessageError):
            self._assembler.frames.take(message)

    def _keep(self, name: str, message: JointTrajectory, received: float) -> None:
        self._newest[name] = received, message

    def _recent(self, name: str, wanted: Sequence[str]) -> Array | None:
        """Rows [n, len(wanted)] of the newest goal or plan; None if there is none, or it is of an episode long over."""
        received, message = self._newest.get(name, (-math.inf, None))
        if message is None or time.monotonic() - received > RECENT_S or not message.points:
            return None
        values = NamedValues(name, tuple(wanted))
        try:
            return np.array([values.values(message.joint_names, point.positions) for point in message.points])
        except MessageError:
            return None
