# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Service calls from threads other than the node's."""

from __future__ import annotations

import threading
from typing import Any

from rclpy.node import Node

from mbrl_controller.base.errors import MbrlError

FOUND_S, ANSWER_S = 2.0, 5.0


class Caller:
    """Clients of another node's services. The node must spin on a thread of its own."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._lock = threading.Lock()
        self._clients: dict[str, Any] = {}
        self._closed = threading.Event()

    def client(self, kind: type, service: str) -> Any:
        """A client, made once."""
        with self._lock:
            if service not in self._clients:
                self._clients[service] = self._node.create_client(kind, service)
            return self._clients[service]

    def ask(self, kind: type, service: str, request: Any, answer_s: float = ANSWER_S) -> Any:
        """The answer; raises MbrlError where there is no such service, or no answer in `answer_s` (s)."""
        client = self.client(kind, service)
        waited = 0.0
        while not client.service_is_ready():
            if waited >= FOUND_S or self._closed.wait(0.05):
                raise MbrlError(f"there is no service {client.srv_name}: is the node running?")
            waited += 0.05
        answered = threading.Event()
        future = client.call_async(request)
        future.add_done_callback(lambda _: answered.set())
        if not answered.wait(answer_s):
            client.remove_pending_request(future)
            raise MbrlError(f"{client.srv_name} gave no answer in {answer_s:g} s")
        return future.result()

    def close(self) -> None:
        """Destroy the clients, and let go of who waits for a service."""
        self._closed.set()
        with self._lock:
            for client in self._clients.values():
                self._node.destroy_client(client)
            self._clients.clear()
