# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Old names of parameters: given by a launch file, set and read over the wire."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("rclpy")

import rclpy
from rcl_interfaces.msg import Parameter as ParameterMessage
from rcl_interfaces.srv import GetParameters, SetParameters, SetParametersAtomically
from rclpy.parameter import get_parameter_value

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.nodes.lifecycle import ManagedNode
from mbrl_controller.nodes.parameter_spec import Spec
from mbrl_controller.nodes.parameters import Parameters

SPECS = [Spec("search.size", 5, "how many", lower=1, upper=9, live=True), Spec("other", 1.0, "another", live=True)]
RENAMED = {"search.count": "search.size"}


class Node(ManagedNode):
    def __init__(self, **options: Any) -> None:
        super().__init__("renamed", **options)
        self.told: list[str] = []
        self.get_logger().warning = self.told.append  # type: ignore[method-assign]
        self.table = Parameters(self, SPECS, lambda values: None, lambda: None, RENAMED)


@pytest.fixture(scope="module")
def context() -> Iterator[None]:
    before = dict(os.environ)
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "OFF"
    rclpy.init()
    yield
    rclpy.try_shutdown()
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def make(context: None) -> Iterator[Any]:
    made: list[Node] = []

    def make_node(given: dict[str, Any]) -> Node:
        made.append(Node(parameter_overrides=[rclpy.Parameter(name, value=value) for name, value in given.items()]))
        return made[-1]

    yield make_node
    for node in made:
        node.destroy_node()


def call(node: Node, kind: type, request: Any) -> Any:
    (service,) = (s for s in node.services if s.srv_type is kind)
    return service.callback(request, kind.Response())


def messages(**values: str) -> list[ParameterMessage]:
    return [ParameterMessage(name=n.replace("__", "."), value=get_parameter_value(v)) for n, v in values.items()]


def test_an_old_name_in_a_file_sets_the_new_parameter(make: Any) -> None:
    node = make({"search.count": 7, "other": 2.0})
    assert node.table.values() == {"search.size": 7, "other": 2.0}
    assert node.table.given == {"search.size", "other"}
    assert [text for text in node.told if "search.count is now search.size" in text] == node.told != []


def test_a_wrong_value_under_an_old_name_is_refused_as_under_the_new(make: Any) -> None:
    with pytest.raises(MbrlError, match=r"search.size: 70"):
        make({"search.count": 70}).table.values()


@pytest.mark.parametrize("order", [("search.count", "search.size"), ("search.size", "search.count")])
def test_both_names_in_files_are_refused(make: Any, order: tuple[str, str]) -> None:
    with pytest.raises(MbrlError, match="old name"):
        make(dict.fromkeys(order, 7)).table.values()


def test_an_old_name_is_set_and_read_over_the_wire(make: Any) -> None:
    node = make({})
    (result,) = call(node, SetParameters, SetParameters.Request(parameters=messages(search__count="3"))).results
    assert result.successful
    assert node.table.values()["search.size"] == 3
    (value,) = call(node, GetParameters, GetParameters.Request(names=["search.count"])).values
    assert value.integer_value == 3
    assert len(node.told) == 2
    assert not node.has_parameter("search.count")


def test_both_names_at_once_are_refused_over_the_wire(make: Any) -> None:
    node = make({})
    both = messages(search__count="3", search__size="4")
    result = call(node, SetParametersAtomically, SetParametersAtomically.Request(parameters=both)).result
    assert not result.successful
    assert "old name of search.size" in result.reason
    assert node.table.values()["search.size"] == 5
