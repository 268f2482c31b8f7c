# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""An answer that DDS loses, as it may on a busy machine, does not leave a hand halfway."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

pytest.importorskip("launch_ros")

from mbrl_controller.bringup import first_start
from mbrl_controller.bringup.first_start import FirstStart, Step


class Answer:
    def __init__(self, value) -> None:
        self.value = value

    def done(self) -> bool:
        return self.value is not None

    def result(self):
        return self.value


class Graph:
    """One node whose answers to requests for a transition are lost; what was asked of it."""

    def __init__(self, states: list[str]) -> None:
        self.states, self.asked = states, []

    def create_client(self, kind, service):
        def call(request):
            self.asked.append(service)
            if service.endswith("change_state"):
                return Answer(None)
            return Answer(SimpleNamespace(current_state=SimpleNamespace(label=self.states.pop(0))))

        return SimpleNamespace(service_is_ready=lambda: True, call_async=call)


@pytest.mark.parametrize(
    ("states", "steps"),
    [
        (["inactive", "active"], ["configure", "activate"]),
        (["configuring", "configuring", "inactive", "activating", "active"], ["configure", "activate"]),
        (["unconfigured"], ["configure"]),  # it did not: what follows is left to a person
        (["inactive", "inactive"], ["configure", "activate"]),
    ],
)
def test_the_nodes_state_tells_instead(monkeypatch, states, steps):
    monkeypatch.setattr(first_start, "PATIENCE_S", 0.2)
    graph, node = Graph(list(states)), SimpleNamespace(node_name="/controller")
    monkeypatch.setattr(first_start, "get_ros_node", lambda context: graph)

    async def start() -> None:
        action = FirstStart([Step(node, "configure"), Step(node, "activate")], node, lambda node: False)
        action.execute(SimpleNamespace(is_shutdown=False, asyncio_loop=asyncio.get_running_loop()))
        await asyncio.wait_for(action.get_asyncio_future(), 20)

    asyncio.run(start())
    assert graph.asked.count("/controller/change_state") == len(steps)
    assert not graph.states
