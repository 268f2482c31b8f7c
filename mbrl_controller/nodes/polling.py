# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Subscriptions and services that no executor serves: they are read when their reader wants to.

rclpy's executors build their wait set anew, in Python, for every message. At a hundred messages a second and topic that
takes the interpreter lock from the planner, which needs it back after each call into ONNX Runtime. A multi-threaded
executor is worse: while a callback waits for its thread, Fast DDS reports the subscription's event handlers as long as
the message is there, so that the executor spins without pause and keeps the lock from everyone, the callback included.
So the nodes spin on one thread, and what comes often or takes long is here.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import QoSProfile

from mbrl_controller.control.loop import start_thread

SERVICE_POLL_S = 0.05


class _NeverExecuted(CallbackGroup):
    """Leaves its entities out of every executor's wait set."""

    def can_execute(self, entity: Any) -> bool:
        """Never."""
        return False

    def beginning_execution(self, entity: Any) -> bool:
        """Never."""
        return False

    def ending_execution(self, entity: Any) -> None:
        """Nothing was begun."""


def polled_subscription(node: Node, kind: type, topic: str, profile: QoSProfile) -> Any:
    """A subscription for `take_all`.

    It has no event handlers: in an executor's wait set, Fast DDS reports them as long as a message is waiting.
    """
    return node.create_subscription(
        kind,
        topic,
        lambda message: None,
        profile,
        callback_group=_NeverExecuted(),
        event_callbacks=SubscriptionEventCallbacks(use_default_callbacks=False),
    )


def take_all(
    subscription: Any,
    callback: Callable[[Any, float], None],
    since: float = -math.inf,
    heard: Callable[[int | None, float], None] = lambda number, received: None,
) -> int:
    """Hand every message that waits, oldest first, to `callback`, with when it was received (s, time.monotonic); how
    many they were. `heard` gets the number that its publisher gave to each, and the same time.

    `since` (s, time.monotonic): when they were last taken; nothing here can have been received before. DDS says by the
    time of day when it received a message, and that may jump.
    """
    count = 0
    with subscription.handle:
        while (taken := subscription.handle.take_message(subscription.msg_type, subscription.raw)) is not None:
            message, info = taken
            now = time.monotonic()  # first: held up between the two clocks, a message looks older, never newer
            waited = max(1e-9 * (time.time_ns() - info["received_timestamp"]), 0.0)
            received = max(now - waited, since)
            heard(info.get("publication_sequence_number"), received)
            callback(message, received)
            count += 1
    return count


class SlowService:
    """A service whose callback may take its time: it runs on a thread of its own, one request after the other."""

    def __init__(self, node: Node, kind: type, name: str, callback: Callable[[Any, Any], Any]) -> None:
        self._node, self._callback = node, callback
        self._service = node.create_service(kind, name, callback, callback_group=_NeverExecuted())
        self._closed = threading.Event()
        self._thread = start_thread(self._run, "slow service")

    def close(self) -> None:
        """End the thread after the request in work, and the service."""
        self._closed.set()
        self._thread.join()
        self._node.destroy_service(self._service)

    def _run(self) -> None:
        service: Any = self._service
        while not self._closed.wait(SERVICE_POLL_S):
            with service.handle:
                request, header = service.handle.service_take_request(service.srv_type.Request)
            if header is not None:
                service.send_response(self._callback(request, service.srv_type.Response()), header)
