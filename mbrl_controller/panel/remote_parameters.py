# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The parameters of another node, as they are there: whoever changes one, this follows."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from rcl_interfaces.msg import ParameterEvent
from rcl_interfaces.srv import DescribeParameters, GetParameters, ListParameters, SetParametersAtomically
from rclpy.node import Node
from rclpy.parameter import Parameter, parameter_value_to_python

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.control.loop import start_thread
from mbrl_controller.panel.calls import Caller
from mbrl_controller.panel.parameter_info import ParameterInfo, read_descriptor

POLL_S, MISSING_S = 5.0, 1.0


class RemoteParameters:
    """Live parameters with their values. Listeners are called on its thread, after a change."""

    def __init__(self, node: Node, caller: Caller, of: str) -> None:
        """`of`: name of the other node, in this one's namespace."""
        self._caller, self._of = caller, of
        self._lock = threading.Lock()
        self._infos: dict[str, ParameterInfo] = {}
        self._values: dict[str, Any] = {}
        self._listeners: list[Callable[[], None]] = []
        self._wake, self._closed = threading.Event(), threading.Event()
        full = str(node.resolve_service_name(f"{of}/get_parameters")).removesuffix("/get_parameters")
        self._full_name, self._node = full, node
        self._events = node.create_subscription(ParameterEvent, "/parameter_events", self._heard, 100)
        self._thread = start_thread(self._run, "panel parameters")

    def close(self) -> None:
        """End the thread."""
        self._closed.set()
        self._wake.set()
        self._thread.join()
        self._node.destroy_subscription(self._events)

    def listen(self, listener: Callable[[], None]) -> None:
        """Call it after each change from now on."""
        with self._lock:
            self._listeners.append(listener)

    def unlisten(self, listener: Callable[[], None]) -> None:
        """Call it no more."""
        with self._lock, suppress(ValueError):
            self._listeners.remove(listener)

    @property
    def infos(self) -> dict[str, ParameterInfo]:
        """The live ones, by name; empty before they are known."""
        with self._lock:
            return {name: info for name, info in self._infos.items() if info.live}

    def value(self, name: str) -> Any:
        """The value, as it was last told; None: unknown."""
        with self._lock:
            return self._values.get(name)

    def set_now(self, name: str, value: Any) -> None:
        """Set one and wait for the answer; raises MbrlError with the reason of a refusal."""
        with self._lock:
            info = self._infos.get(name)
        if info is None:
            raise MbrlError(f"{self._of} has no parameter {name}, as far as is known")
        if info.is_number:
            value = float(value) if info.kind == Parameter.Type.DOUBLE else int(value)
        message = Parameter(name, info.kind, value).to_parameter_msg()
        request = SetParametersAtomically.Request(parameters=[message])
        result = self._caller.ask(SetParametersAtomically, f"{self._of}/set_parameters_atomically", request).result
        self._wake.set()
        if not result.successful:
            raise MbrlError(result.reason or "no reason given")

    def _heard(self, message: Any) -> None:
        if message.node == self._full_name:
            self._wake.set()

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                changed = self._refresh()
            except MbrlError:  # the node is gone, or not there yet
                changed = bool(self._infos)
                with self._lock:
                    self._infos, self._values = {}, {}
            if changed:
                with self._lock:
                    listeners = list(self._listeners)
                for listener in listeners:
                    listener()
            self._wake.wait(POLL_S if self._infos else MISSING_S)
            self._wake.clear()
            time.sleep(0.02)  # events of one batch come together

    def _refresh(self) -> bool:
        """Ask for all; whether anything is new."""
        ask, of = self._caller.ask, self._of
        names = list(ask(ListParameters, f"{of}/list_parameters", ListParameters.Request()).result.names)
        infos = self._infos
        if set(names) != set(infos):
            request = DescribeParameters.Request(names=names)
            found = ask(DescribeParameters, f"{of}/describe_parameters", request).descriptors
            infos = {info.name: info for info in map(read_descriptor, found)}
        answer = ask(GetParameters, f"{of}/get_parameters", GetParameters.Request(names=names))
        values = {
            name: _plain(parameter_value_to_python(value)) for name, value in zip(names, answer.values, strict=False)
        }
        with self._lock:
            changed = values != self._values or infos is not self._infos
            self._infos, self._values = infos, values
        return changed


def _plain(value: Any) -> Any:
    return value if isinstance(value, bool | int | float | str | None) else list(value)
