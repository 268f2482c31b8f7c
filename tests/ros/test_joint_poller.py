# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A driver that only answers services: its answers as joint states, and silence where its reads fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")

from nav_msgs.srv import GetMap
from sensor_msgs.msg import JointState

from mbrl_controller.base.errors import MbrlError, MessageError
from mbrl_controller.nodes.joint_poller import AnswerReader, JointPoller, service_class

pytestmark = pytest.mark.ros

JOINTS = ["thumb", "index"]


def test_answers_become_joint_states_in_the_order_of_the_joints() -> None:
    reader = AnswerReader(JOINTS, {"position": "position", "effort": "currents.now"}, 0)
    message = reader.read(SimpleNamespace(position=[1.0, 2.0], currents=SimpleNamespace(now=[3.0, 4.0])))
    assert (message.name, list(message.position), list(message.effort)) == (JOINTS, [1.0, 2.0], [3.0, 4.0])
    assert list(message.velocity) == []


@pytest.mark.parametrize("values", [[1.0], [1.0, 2.0, 3.0], [1.0, float("nan")], [float("inf"), 1.0], []])
def test_an_answer_that_is_no_measurement_is_refused(values: list[float]) -> None:
    with pytest.raises(MessageError, match="position"):
        AnswerReader(JOINTS, {"position": "position"}, 0).read(SimpleNamespace(position=values))


def test_a_field_that_is_not_there_is_named() -> None:
    with pytest.raises(MessageError, match="no field angle; its fields: map"):
        AnswerReader(JOINTS, {"position": "angle"}, 0).read(GetMap.Response())


def test_answers_that_repeat_more_often_than_allowed_are_failed_reads() -> None:
    """The driver sends the values before where a read fails."""
    values = [1, 1, 1, 1, 2, 2, 1]
    passed = {}
    for allowed in (0, 1):
        reader = AnswerReader(["a"], {"position": "position"}, allowed)
        passed[allowed] = [reader.read(SimpleNamespace(position=[float(value)])) is not None for value in values]
    assert passed[0] == [True] * 7
    assert passed[1] == [True, True, False, False, True, True, True]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("leap_hand/srv/LeapPosition", "No module named 'leap_hand'.*source its workspace"),
        ("nav_msgs/srv/GetPosition", "GetPosition.*source its workspace"),
        ("nav_msgs/msg/Path", "expected a service type"),
        ("GetMap", "expected a service type"),
        ("../srv/x", "expected a service type"),
    ],
)
def test_a_type_that_is_not_there_is_said_with_how_to_get_it(name: str, said: str) -> None:
    with pytest.raises(MbrlError, match=f"(?s){said}"):
        service_class(name)


class Driver:
    """A driver that answers with the integers of a map: none of a hand's own types are in the wheels."""

    def __init__(self, node: Any) -> None:
        self.values: list[int] = [0, 0]
        self.moves = True
        self.service = node.create_service(GetMap, "hand/read", self.answer)

    def answer(self, request: Any, response: Any) -> Any:
        if self.moves:
            self.values = [(value + 1) % 100 for value in self.values]
        response.map.data = self.values
        return response


@pytest.fixture
def poller(ros: Any) -> Iterator[Callable[..., JointPoller]]:
    """Makes the node, in the observer's executor; it leaves at the end."""
    made = []

    def make(**given: Any) -> JointPoller:
        values = {
            "service": "hand/read",
            "type": "nav_msgs/srv/GetMap",
            "joints": JOINTS,
            "position": "map.data",
        } | given
        arguments = ["--ros-args", *(word for name, value in values.items() for word in ("-p", f"{name}:={value}"))]
        node = JointPoller(context=ros.context, cli_args=arguments)
        made.append(node)
        ros.executor.add_node(node)
        return node

    yield make
    for node in made:
        node.bring_down()
        ros.executor.remove_node(node)
        node.destroy_node()


def test_a_polled_driver_is_heard_as_if_it_published_and_falls_silent_with_its_reads(ros: Any, poller: Any) -> None:
    driver = Driver(ros.node)
    reports = ros.diagnostics("joint_poller: polling")
    heard = ros.collect("joint_states", JointState)
    node = poller(rate=200.0, max_repeats=2)
    assert node.bring_up(), node.reason
    ros.wait(lambda: len(heard) > 20, "joint states")
    assert all(list(message.name) == JOINTS for message in heard)
    positions = np.array([message.position[0] for message in heard])
    assert set(np.diff(positions)) <= {1.0, -99.0}
    stamps = np.array([message.header.stamp.sec + 1e-9 * message.header.stamp.nanosec for message in heard])
    assert (np.diff(stamps) > 0).all()
    assert abs(stamps[-1] - node.now_s()) < 5.0

    driver.moves = False  # each read fails, and gives the values before
    ros.wait(lambda: node.repeated > 20, "repeated answers")
    assert sum(message.position[0] == heard[-1].position[0] for message in heard[-10:]) <= 3
    ros.wait(lambda: any("the answers repeat" in text for _, text, _ in reports), "a diagnostic")

    driver.values = [0, 0, 0]
    ros.wait(lambda: node.failed > 2, "failed answers")
    ros.wait(lambda: any("map.data has 3 values for 2 joints" in text for _, text, _ in reports), "a diagnostic")

    before = node.published
    driver.values, driver.moves = [0, 0], True
    ros.wait(lambda: node.published > before, "joint states again")

    node._stamp, before = node.now_s() + 3600.0, node.published  # as where a clock was an hour ahead, and went back
    ros.wait(lambda: node.published > before, "joint states by the clock as it is now")


def test_a_driver_that_is_not_there_is_named(ros: Any, poller: Any) -> None:
    reports = ros.diagnostics("joint_poller: polling")
    node = poller(service="hand/nobody")
    assert node.bring_up(), node.reason
    ros.wait(lambda: any("start the hand's driver" in text for _, text, _ in reports), "a diagnostic")
    assert node.published == 0


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"position": "position"}, "no field position; its fields: map"),
        ({"position": "map"}, "map is no list of numbers but OccupancyGrid"),
        ({"position": "map.header.frame_id"}, "map.header.frame_id is no list of numbers but str"),
        ({"type": "leap_hand/srv/LeapPosition"}, "source its workspace"),
        ({"service": "no service"}, "parameter service"),
        ({"type": "GetMap"}, "expected a service type"),
    ],
)
def test_what_is_missing_is_said_when_the_node_is_configured(ros: Any, poller: Any, given: Any, said: str) -> None:
    node = poller(**given)
    assert not node.bring_up()
    assert said in node.reason
