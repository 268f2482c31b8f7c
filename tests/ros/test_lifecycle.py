# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""When a node's parts are taken away: never while an executor may wait for them, and never only half."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

import pytest

rclpy = pytest.importorskip("rclpy")

from std_msgs.msg import Bool

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.nodes.lifecycle import ManagedNode, run

pytestmark = pytest.mark.ros


class GoldenSamples(ManagedNode):
    """Notes what is called, and whether callbacks could run meanwhile."""

    def __init__(self, fails: str = "") -> None:
        super().__init__("probe")
        self.declare_parameter("autostart", True)
        self.fails = fails
        self.calls: list[tuple[str, bool]] = []

    def _note(self, what: str) -> None:
        self.calls.append((what, any(thread.name == "executor" for thread in threading.enumerate())))
        if what == self.fails:
            raise MbrlError(f"{what} fails")

    def setup(self) -> None:
        self.made = self.create_subscription(Bool, "something", lambda message: None, 1)
        self._note("setup")

    def start(self) -> None:
        self._note("start")

    def stop(self) -> None:
        self._note("stop")

    def halt(self) -> None:
        self._note("halt")

    def teardown(self) -> None:
        self._note("teardown")
        self.destroy_subscription(self.made)


@pytest.fixture
def handlers(ros_env: dict[str, str]) -> Iterator[None]:
    """`run` leaves signals ignored."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def run_probe(fails: str) -> list[tuple[str, bool]]:
    probes: list[GoldenSamples] = []

    def make() -> GoldenSamples:
        probes.append(GoldenSamples(fails))
        return probes[0]

    assert run(make, [], until=lambda node: True) == 0
    return probes[0].calls


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize(
    ("fails", "expected"),
    [
        ("", ["setup", "start", "halt", "stop", "teardown"]),
        ("setup", ["setup", "teardown", "halt"]),
        ("start", ["setup", "start", "stop", "halt", "teardown"]),
        ("halt", ["setup", "start", "halt", "stop", "teardown"]),
    ],
)
def test_nothing_is_taken_away_while_callbacks_may_run(fails: str, expected: list[str]) -> None:
    calls = run_probe(fails)
    assert [what for what, _ in calls] == expected
    assert [what for what, running in calls if running] == ["halt"]


def test_an_error_in_a_transition_ends_what_was_begun(ros_env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What rclpy does itself on activation can fail, too: the node is unconfigured then, and must not go on."""
    rclpy.init()
    node = GoldenSamples()
    try:
        node.trigger_configure()
        assert node.lifecycle_state == "inactive"

        def fail(*_: object) -> None:
            raise RuntimeError("a managed entity")

        monkeypatch.setattr(rclpy.lifecycle.LifecycleNode, "on_activate", fail)
        node.trigger_activate()
        assert node.lifecycle_state == "unconfigured"
        assert [what for what, _ in node.calls] == ["setup", "start", "stop", "teardown"]
    finally:
        node.destroy_node()
        rclpy.try_shutdown()
