# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A node beside the running nodes: changes their lifecycle states and receives the controller's records."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.signals import SignalHandlerOptions
from std_msgs.msg import Float64MultiArray

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.nodes import qos
from mbrl_controller.nodes.logger import listener_qos
from mbrl_controller.nodes.spinning import Spinner
from mbrl_controller.stack.processes import ProcessError, ProcessGroup, is_true_within, wait_for

TRANSITIONS = {  # and the state each leads to
    "configure": (Transition.TRANSITION_CONFIGURE, State.PRIMARY_STATE_INACTIVE),
    "activate": (Transition.TRANSITION_ACTIVATE, State.PRIMARY_STATE_ACTIVE),
}
DISCOVERY_S = 30.0
ANSWER_S, TIMES_ASKED = 10.0, 4
FIRST_TICK_S = 20.0
CATCH_UP_S = 60.0


class StackMonitor:
    """A node that spins on its own thread within a `with` block; `on_row` gets each tick's row on that thread."""

    hears = frozenset({"tick"})  # the controller's records that it subscribes to

    def __init__(self, contract: RobotContract, on_row: Callable[[dict[str, float]], None]) -> None:
        self.contract = contract
        self.reports: dict[str, dict[str, str]] = {}  # newest values on /diagnostics, by status name
        self._on_row = on_row
        self._newest_row = 0.0  # s, stamp

    def __enter__(self) -> StackMonitor:
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        self._node = rclpy.create_node("monitor")
        self._listen()
        self._spinner = Spinner(self._node, "monitor")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._spinner.stop()
        self._node.destroy_node()
        rclpy.try_shutdown()

    def prepare(self, group: ProcessGroup) -> None:
        """Configure the nodes, activate the logger, and wait until all are connected."""
        for name in ("logger", "controller"):
            self.change(name, "configure", group)
        self.change("logger", "activate", group)
        self.wait_until_connected(2, group)  # this node and the logger

    def begin(self, group: ProcessGroup) -> None:
        """Activate the controller and wait for its first tick."""
        self.change("controller", "activate", group)
        wait_for(lambda: self._newest_row, "the controller does not tick", FIRST_TICK_S, group)

    def catch_up(self, group: ProcessGroup) -> None:
        """Wait for the rows of all ticks until now: on a busy machine this node lags behind."""
        now = time.time()
        wait_for(lambda: self._newest_row >= now, "the controller's rows do not arrive", CATCH_UP_S, group)

    def change(self, name: str, transition: str, group: ProcessGroup) -> None:
        """Request a lifecycle transition; raises ProcessError with the node's last output if it refuses."""
        node = self._node
        changes = node.create_client(ChangeState, f"{name}/change_state")
        states = node.create_client(GetState, f"{name}/get_state")
        for client in (changes, states):
            wait_for(client.service_is_ready, f"{name}: no lifecycle service", DISCOVERY_S, group)
        transition_id, goal = TRANSITIONS[transition]
        # A response can get lost if the node has not yet discovered this client.
        for _ in range(TIMES_ASKED):
            answer = changes.call_async(ChangeState.Request(transition=Transition(id=transition_id)))
            if is_true_within(answer.done, ANSWER_S, group) and answer.result().success:
                return
            state = states.call_async(GetState.Request())
            if is_true_within(state.done, ANSWER_S, group) and state.result().current_state.id == goal:
                return
            if answer.done():
                words = group.children[name].last_words()
                raise ProcessError(f"{name} refused to {transition}. Its last lines:\n{words}")
        raise MbrlError(f"{name}: {transition} unanswered, asked {TIMES_ASKED} times")

    def wait_until_connected(self, listeners: int, group: ProcessGroup) -> None:
        """Wait until each state topic has a publisher and each of the controller's records has `listeners` subscribers.

        One of them is this node, for the records that it subscribes to.
        """
        node = self._node
        for source in self.contract.sources:
            topic = source.topic
            wait_for(lambda t=topic: node.count_publishers(t), f"no publisher of {topic}", DISCOVERY_S, group)  # type: ignore[misc]
        for name in ("tick", "command", "goal", "episode"):
            topic, wanted = f"controller/{name}", listeners - (name not in self.hears)
            wait_for(
                lambda t=topic, n=wanted: node.count_subscribers(t) >= n,  # type: ignore[misc]
                f"not all nodes are connected to {topic}",
                DISCOVERY_S,
                group,
            )

    def _listen(self) -> None:
        node, deep = self._node, listener_qos(False, latched=False)
        node.create_subscription(Float64MultiArray, "controller/tick", self._on_tick, deep)
        node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, qos.DIAGNOSTICS)

    def _on_tick(self, message: Any) -> None:
        row = {dimension.label: value for dimension, value in zip(message.layout.dim, message.data, strict=True)}
        self._on_row(row)
        self._newest_row = row["stamp"]

    def _on_diagnostics(self, message: Any) -> None:
        for status in message.status:
            self.reports[status.name] = {value.key: value.value for value in status.values}
