"""Subscriptions and services beside the executor."""

from __future__ import annotations

import threading
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

    def newest_is_there() -> bool:
        """The executor has every chance to take the messages; it must not."""
        take_all(subscription, lambda message: taken.append(message.data[0]))
        return bool(taken) and taken[-1] == 99.0

    for i in range(100):
        publisher.publish(Float64MultiArray(data=[float(i)]))
    ros.wait(newest_is_there, "the newest message")
    assert taken == sorted(taken)
    assert take_all(subscription, taken.append) == 0


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
