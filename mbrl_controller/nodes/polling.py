# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Subscriptions and services outside every executor: their reader polls them.

rclpy's executors rebuild their wait set, in Python, for every message. At a hundred messages a second and topic that
takes the GIL from the planner, which needs it back after each call into ONNX Runtime. A multi-threaded executor is
worse. While a callback waits for its thread, Fast DDS keeps reporting the subscription's event handlers, so the
executor spins without pause and keeps the GIL from everyone, the callback included. So the nodes spin on one thread,
and frequent messages and slow services are handled here.
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
    """Take every waiting message, oldest first; returns how many.

    Args:
        subscription: made by `polled_subscription`.
        callback: gets each message and when it was received (s, time.monotonic).
        since: s, time.monotonic, of the last call; no message can have been received before. DDS stamps receipt by the
            time of day, which may jump.
        heard: gets each message's sequence number at its publisher, and the same time.
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
    """A service with a slow callback, which runs on its own thread, one request at a time."""

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
