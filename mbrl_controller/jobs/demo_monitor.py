"""The demo's own node: takes the nodes through their lifecycle and watches what the controller does."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any

import numpy as np
import rclpy
from geometry_msgs.msg import PoseStamped
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from nav_msgs.msg import Odometry
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.serialization import deserialize_message
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory

from mbrl_controller.episodes.contract import JOINT_STATE, ODOMETRY, POSE, RobotContract
from mbrl_controller.episodes.state_assembly import StateAssembler
from mbrl_controller.errors import MessageError
from mbrl_controller.jobs.demo_record import DemoRecord
from mbrl_controller.jobs.processes import ProcessError, ProcessGroup, wait_for
from mbrl_controller.nodes import qos
from mbrl_controller.tasks.spaces import Array

TRANSITIONS = {"configure": Transition.TRANSITION_CONFIGURE, "activate": Transition.TRANSITION_ACTIVATE}
MESSAGES = {JOINT_STATE: JointState, ODOMETRY: Odometry, POSE: PoseStamped}
DISCOVERY_S = 30.0
TRANSITION_S = 60.0


class DemoMonitor:
    """A node on a thread of its own, for the time of a `with` block."""

    def __init__(self, contract: RobotContract, record: DemoRecord) -> None:
        self._contract, self._record = contract, record
        self._assembler = StateAssembler(contract)
        self._newest: dict[str, bytes] = {}
        self._command: Array | None = None
        self._goal: Array | None = None

    def __enter__(self) -> DemoMonitor:
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        self._node = rclpy.create_node("demo")
        for source in self._contract.sources:
            # Bytes, of which only those at a tick are read: the rest would cost time that the planner needs.
            self._node.create_subscription(
                MESSAGES[source.type], source.topic, self._keep(source.topic), qos.SENSOR, raw=True
            )
        self._node.create_subscription(JointState, "controller/command", self._on_command, qos.RECORD)
        self._node.create_subscription(JointTrajectory, "controller/goal", self._on_goal, qos.RECORD)
        self._node.create_subscription(Float64MultiArray, "controller/tick", self._on_tick, qos.RECORD)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=self._spin, name="monitor")
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._executor.shutdown(timeout_sec=2.0)
        self._thread.join()
        self._node.destroy_node()
        rclpy.try_shutdown()

    def change(self, name: str, transition: str, group: ProcessGroup) -> None:
        """Ask a lifecycle node for a transition; raises ProcessError with its last words if it refuses."""
        client = self._node.create_client(ChangeState, f"{name}/change_state")
        wait_for(client.service_is_ready, f"{name}: no lifecycle service", DISCOVERY_S, group)
        request = ChangeState.Request(transition=Transition(id=TRANSITIONS[transition]))
        future = client.call_async(request)
        wait_for(future.done, f"{name}: {transition} unanswered", TRANSITION_S, group)
        if not future.result().success:
            words = group.children[name].last_words()
            raise ProcessError(f"{name} refused to {transition}. Its last lines:\n{words}")

    def wait_until_connected(self, listeners: int, group: ProcessGroup) -> None:
        """Wait until the state topics have their publisher and the controller's rows `listeners` subscribers."""
        node = self._node
        for source in self._contract.sources:
            topic = source.topic
            wait_for(lambda t=topic: node.count_publishers(t), f"no publisher of {topic}", DISCOVERY_S, group)  # type: ignore[misc]
        for name in ("tick", "command", "goal", "episode"):
            topic = f"controller/{name}"
            # `episode` is not for the monitor
            wanted = listeners - (name == "episode")
            wait_for(
                lambda t=topic, n=wanted: node.count_subscribers(t) >= n,  # type: ignore[misc]
                f"not all nodes are connected to {topic}",
                DISCOVERY_S,
                group,
            )

    def _keep(self, topic: str) -> Callable[[bytes], None]:
        def keep(data: bytes) -> None:
            self._newest[topic] = data

        return keep

    def _on_command(self, message: Any) -> None:
        self._command = np.array(message.position)

    def _on_goal(self, message: Any) -> None:
        self._goal = np.array(message.points[0].positions)

    def _on_tick(self, message: Any) -> None:
        row = {dimension.label: value for dimension, value in zip(message.layout.dim, message.data, strict=True)}
        self._record.add(row, self._seen(), time.monotonic())

    def _seen(self) -> tuple[Array, Array, Array] | None:
        if self._command is None or self._goal is None:
            return None
        try:
            for source in self._contract.sources:
                if source.topic in self._newest:
                    message = deserialize_message(self._newest[source.topic], MESSAGES[source.type])
                    self._assembler.update(source.topic, message)
            return self._assembler.vector()[0], self._command, self._goal
        except MessageError:
            return None  # the controller tells what is wrong with it

    def _spin(self) -> None:
        with suppress(ExternalShutdownException):
            self._executor.spin()
