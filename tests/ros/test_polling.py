# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Subscriptions and services beside the executor."""

from __future__ import annotations

import threading
import time
import uuid
from typing import Any

import pytest

pytest.importorskip("rclpy")

from std_msgs.msg import Float64MultiArray
from std_srvs.srv import Trigger

from mbrl_controller.nodes import qos
from mbrl_controller.nodes.polling import SlowService, polled_subscription, take_all

pytestmark = pytest.mark.ros


def test_messages_wait_until_they_are_taken_and_only_the_newest_are_kept(ros: Any) -> None:
    topic = f"polled_{uuid.uuid4().hex[:8]}"
    subscription = polled_subscription(ros.node, Float64MultiArray, topic, qos.SENSOR)
    publisher = ros.publisher(topic, Float64MultiArray, qos.SENSOR)
    taken: list[float] = []
    times: list[float] = []
    began = time.monotonic()

    def take(message: Float64MultiArray, received: float) -> None:
        taken.append(message.data[0])
        times.append(received)

    def newest_is_there() -> bool:
        """The executor has every chance to take the messages; it must not."""
        take_all(subscription, take)
        return bool(taken) and taken[-1] == 99.0

    for i in range(100):
        publisher.publish(Float64MultiArray(data=[float(i)]))
    ros.wait(newest_is_there, "the newest message")
    assert taken == sorted(taken)
    assert began <= times[0]
    assert times == sorted(times)
    assert take_all(subscription, take) == 0


def test_when_a_message_was_received_is_told_not_when_it_was_taken(ros: Any) -> None:
    topic = f"polled_{uuid.uuid4().hex[:8]}"
    subscription = polled_subscription(ros.node, Float64MultiArray, topic, qos.SENSOR)
    beside = ros.collect(topic, Float64MultiArray, qos.SENSOR)
    publisher = ros.publisher(topic, Float64MultiArray, qos.SENSOR, subscribers=2)
    times: list[float] = []
    for _ in range(2):
        publisher.publish(Float64MultiArray())
        ros.wait(lambda: beside, "the message")
        heard = time.monotonic()
        ros.wait(lambda: time.monotonic() > heard + 0.3, "some time to pass")  # noqa: B023
        beside.clear()
        # Not before it was last looked for, whatever the time of day says.
        since = heard + 0.2 if times else 0.0
        assert take_all(subscription, lambda _, received: times.append(received), since) == 1
    assert times[0] < heard - 0.2
    assert times[1] == since


def test_a_reader_held_up_between_two_clocks_takes_no_message_for_newer_than_it_is(
    ros: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = f"polled_{uuid.uuid4().hex[:8]}"
    subscription = polled_subscription(ros.node, Float64MultiArray, topic, qos.SENSOR)
    beside = ros.collect(topic, Float64MultiArray, qos.SENSOR)
    ros.publisher(topic, Float64MultiArray, qos.SENSOR, subscribers=2).publish(Float64MultiArray())
    ros.wait(lambda: beside, "the message")
    heard, time_ns = time.monotonic(), time.time_ns

    def held_up() -> int:
        now = time_ns()
        time.sleep(0.3)
        return now

    monkeypatch.setattr(time, "time_ns", held_up)
    times: list[float] = []
    assert take_all(subscription, lambda _, received: times.append(received)) == 1
    assert times[0] < heard + 0.2


def test_a_slow_service_answers_while_the_executor_goes_on(ros: Any) -> None:
    name = f"slow_{uuid.uuid4().hex[:8]}"
    go = threading.Event()

    def work(request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success = go.wait(10.0)
        return response

    service = SlowService(ros.node, Trigger, name, work)
    timer = ros.node.create_timer(0.02, lambda: ticks.append(1))
    ticks: list[int] = []
    client = ros.node.create_client(Trigger, name)
    ros.wait(client.service_is_ready, "the service")
    future = client.call_async(Trigger.Request())
    ros.wait(lambda: len(ticks) > 5, "the executor's timer")
    assert not future.done()
    go.set()
    ros.wait(future.done, "the answer")
    assert future.result().success
    ros.node.destroy_timer(timer)
    ros.node.destroy_client(client)
    service.close()
