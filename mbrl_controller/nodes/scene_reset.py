# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Asks a service to put the object back, until it succeeds."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rclpy.client import Client
from std_srvs.srv import Trigger

from mbrl_controller.nodes.lifecycle import ManagedNode

RETRY_S = 1.0
ANSWER_S = 30.0


class SceneReset:
    """A std_srvs/Trigger client. `ask` may be called from any thread; call `poll` regularly."""

    def __init__(self, node: ManagedNode, service: str, done: Callable[[], None]) -> None:
        self._node, self._done = node, done
        self._client: Client = node.create_client(Trigger, service)
        self._wanted = False
        self._asked: float | None = None  # s, time.monotonic
        self._retry_at = 0.0

    def ask(self) -> None:
        """A reset is wanted."""
        self._wanted, self._retry_at, self._asked = True, 0.0, None
        self.poll()

    def poll(self) -> None:
        """Send the request as soon as the service is there; again if it failed or did not answer."""
        now = time.monotonic()
        if self._asked is not None and now - self._asked > ANSWER_S:
            self._asked = None
            self._warn(f"did not answer within {ANSWER_S:.0f} s")
        if not self._wanted or self._asked is not None or now < self._retry_at:
            return
        if not self._client.service_is_ready():
            return
        self._asked = asked = now
        self._client.call_async(Trigger.Request()).add_done_callback(lambda future: self._answered(future, asked))

    def close(self) -> None:
        """Forget what was asked."""
        self._wanted = False
        self._node.destroy_client(self._client)

    def _answered(self, future: Any, asked: float) -> None:
        if not self._wanted or self._asked != asked:
            return
        self._asked = None
        error = future.exception()
        answer = None if error is not None else future.result()
        if answer is not None and answer.success:
            self._wanted = False
            self._done()
            return
        self._retry_at = time.monotonic() + RETRY_S
        self._warn(str(error) if answer is None else answer.message)

    def _warn(self, what: str) -> None:
        self._node.get_logger().warning(
            f"reset service {self._client.srv_name}: {what}; asking again", throttle_duration_sec=5.0
        )
