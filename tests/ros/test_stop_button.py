# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The stop button's topic: from before, from now, and no more."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

rclpy = pytest.importorskip("rclpy")

from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import Bool

from mbrl_controller.nodes import stop_button
from mbrl_controller.nodes.stop_button import StopButton

from .conftest import Ros

pytestmark = pytest.mark.ros
KEPT = QoSProfile(depth=5, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class Bench:
    """A button in a node of its own, and what its presses led to."""

    def __init__(self, ros: Ros) -> None:
        self.ros = ros
        self.node = rclpy.create_node("listener", context=ros.context, start_parameter_services=False)
        self.presses: list[float] = []
        self.button = StopButton(self.node, lambda: self.presses.append(time.monotonic()))

    def hear(self, condition: Callable[[], Any], what: str) -> None:
        """As the controller does: look, and hear what waits."""

        def heard() -> bool:
            self.button.hear_now()
            return bool(condition())

        self.ros.wait(heard, what)

    def let_pass(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        self.hear(lambda: time.monotonic() > end, "time to pass")


@pytest.fixture
def bench(ros: Ros) -> Iterator[Bench]:
    made = Bench(ros)
    yield made
    made.node.destroy_node()


@pytest.mark.parametrize("profile", [QoSProfile(depth=1), KEPT], ids=["volatile", "kept"])
def test_a_press_is_heard_once(bench: Bench, profile: QoSProfile) -> None:
    publisher = bench.ros.node.create_publisher(Bool, "e_stop", profile)
    bench.hear(lambda: publisher.get_subscription_count() >= 1, "a subscriber")
    publisher.publish(Bool(data=True))
    bench.hear(lambda: bench.presses, "the press")
    bench.let_pass(0.3)  # the other subscription, which comes later, hears it again
    assert len(bench.presses) == 1
    publisher.publish(Bool(data=False))
    publisher.publish(Bool(data=True))
    bench.hear(lambda: len(bench.presses) == 2, "another press")
    bench.let_pass(0.3)
    assert len(bench.presses) == 2


def test_a_press_from_before_is_heard(ros: Ros) -> None:
    publisher = ros.node.create_publisher(Bool, "e_stop", KEPT)
    publisher.publish(Bool(data=True))
    bench = Bench(ros)
    try:
        bench.hear(lambda: bench.presses, "the press from before")
        bench.let_pass(0.3)
        assert len(bench.presses) == 1
    finally:
        bench.node.destroy_node()
        ros.node.destroy_publisher(publisher)


def test_who_knows_of_what_is_kept_hears_it_before_going_on(ros: Ros) -> None:
    publisher = ros.node.create_publisher(Bool, "e_stop", KEPT)
    publisher.publish(Bool(data=True))
    bench = Bench(ros)
    try:
        ros.wait(lambda: bench.node.count_publishers("e_stop"), "discovery")
        bench.button.hear_now()
        assert len(bench.presses) == 1
    finally:
        bench.node.destroy_node()
        ros.node.destroy_publisher(publisher)


def test_a_bouncing_button_does_not_overwrite_its_own_press(bench: Bench) -> None:
    publisher = bench.ros.node.create_publisher(Bool, "e_stop", QoSProfile(depth=100))
    bench.hear(lambda: publisher.get_subscription_count() >= 1, "a subscriber")
    publisher.publish(Bool(data=True))
    for _ in range(50):
        publisher.publish(Bool(data=False))
    bench.hear(lambda: bench.presses, "the press")


def test_a_volatile_publisher_is_not_told_that_it_is_not_heard(bench: Bench) -> None:
    """A subscription that asks for what is kept would make `ros2 topic pub` warn: whoever stops would doubt it."""
    publisher = bench.ros.node.create_publisher(Bool, "e_stop", QoSProfile(depth=1))
    bench.hear(lambda: publisher.get_subscription_count() >= 1, "a subscriber")
    bench.let_pass(0.3)
    infos = bench.ros.node.get_subscriptions_info_by_topic("e_stop")
    assert [info.qos_profile.durability for info in infos] == [DurabilityPolicy.VOLATILE]


def test_a_button_is_missing_until_it_is_heard_and_silent_afterwards(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]  # s
    monkeypatch.setattr(stop_button, "time", SimpleNamespace(monotonic=lambda: now[0], sleep=time.sleep))
    button = bench.button
    button.watch()
    assert (button.missing(0.0), button.silence(0.0)) == ("", "")
    assert "e_stop: nothing heard yet" in button.missing(0.3)
    now[0] += 0.9 * stop_button.DISCOVERY_S
    assert button.silence(0.3) == ""  # DDS may still be about to introduce it
    now[0] += 0.2 * stop_button.DISCOVERY_S
    assert "e_stop: nothing heard for 5.50 s" in button.silence(0.3)
    assert button.silence(6.0) == ""
    publisher = bench.ros.node.create_publisher(Bool, "e_stop", 10)
    bench.ros.wait(publisher.get_subscription_count, "a subscriber")

    def beats() -> bool:
        publisher.publish(Bool(data=False))
        button.hear_now()
        return button.missing(0.3) == button.silence(0.3) == ""

    bench.ros.wait(beats, "a beat")
    assert not bench.presses
    now[0] += 0.2
    button.watch()
    assert button.missing(0.3) == button.silence(0.3) == ""  # it was heard just before
    now[0] += 0.2
    assert "e_stop: nothing heard for 0.40 s" in button.silence(0.3)
    button.watch()
    assert "nothing heard yet" in button.missing(0.3)
    bench.ros.node.destroy_publisher(publisher)
    bench.ros.wait(lambda: "its publisher has left" in button.silence(30.0), "its publisher to be missed")


def test_what_is_kept_is_looked_for_as_soon_as_its_publisher_is_found(bench: Bench) -> None:
    bench.ros.executor.add_node(bench.node)
    publisher = bench.ros.node.create_publisher(Bool, "e_stop", KEPT)
    publisher.publish(Bool(data=True))
    bench.ros.wait(lambda: bench.presses, "the press, without a look")
    bench.ros.executor.remove_node(bench.node)
    bench.ros.node.destroy_publisher(publisher)
