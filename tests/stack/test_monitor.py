# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Asking nodes for transitions: an answer that gets lost is not the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

rclpy = pytest.importorskip("rclpy")

from lifecycle_msgs.msg import State
from lifecycle_msgs.srv import ChangeState, GetState

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.control.task_config import contract_for
from mbrl_controller.nodes.spinning import Spinner
from mbrl_controller.stack import monitor as stack_monitor
from mbrl_controller.stack.monitor import StackMonitor
from mbrl_controller.stack.processes import ProcessError

from ..ros.conftest import ros_env  # noqa: F401 (fixture)

pytestmark = [pytest.mark.ros, pytest.mark.usefixtures("ros_env")]
GROUP: Any = SimpleNamespace(check=lambda: None, children={"logger": SimpleNamespace(last_words=lambda: "no disk")})


class Node:
    """A lifecycle node's services; transitions take `takes` s."""

    def __init__(self, takes: float, succeeds: bool = True) -> None:
        self.takes, self.succeeds, self.asked = takes, succeeds, 0
        self.state = State.PRIMARY_STATE_UNCONFIGURED
        self.node = rclpy.create_node("logger")
        self.node.create_service(ChangeState, "logger/change_state", self._change)
        self.node.create_service(GetState, "logger/get_state", self._tell)
        self.spinner = Spinner(self.node, "logger")

    def close(self) -> None:
        self.spinner.stop()
        self.node.destroy_node()

    def _change(self, request: Any, response: Any) -> Any:
        self.asked += 1
        possible = self.succeeds and self.state == State.PRIMARY_STATE_UNCONFIGURED
        if possible:
            time.sleep(self.takes)
            self.state = State.PRIMARY_STATE_INACTIVE
        response.success = possible
        return response

    def _tell(self, request: Any, response: Any) -> Any:
        response.current_state.id = self.state
        return response


@pytest.fixture
def monitor(monkeypatch: pytest.MonkeyPatch) -> Iterator[StackMonitor]:
    monkeypatch.setattr(stack_monitor, "ANSWER_S", 0.3)
    with StackMonitor(contract_for("valve"), lambda row: None) as made:
        yield made


@pytest.mark.parametrize("takes", [0.0, 0.45, 0.8])
def test_a_transition_counts_once_it_is_made_however_late_the_answer(monitor: StackMonitor, takes: float) -> None:
    node = Node(takes)
    try:
        monitor.change("logger", "configure", GROUP)
        assert node.state == State.PRIMARY_STATE_INACTIVE
    finally:
        node.close()


def test_a_refusal_is_told_with_the_nodes_last_words(monitor: StackMonitor) -> None:
    node = Node(0.0, succeeds=False)
    try:
        with pytest.raises(ProcessError, match=r"logger refused to configure(.|\n)*no disk"):
            monitor.change("logger", "configure", GROUP)
        assert node.asked == 1
    finally:
        node.close()


def test_a_node_that_never_answers_is_an_error(monitor: StackMonitor) -> None:
    node = Node(0.0)
    begun, held = threading.Event(), threading.Event()
    node.node.create_timer(0.01, lambda: (begun.set(), held.wait(20.0)))
    assert begun.wait(10.0)
    try:
        with pytest.raises(MbrlError, match="unanswered"):
            monitor.change("logger", "configure", GROUP)
    finally:
        held.set()
        node.close()
