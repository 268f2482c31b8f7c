# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What `ros2 param set`, `dump` and `load` make of values: the same functions of rclpy, on nodes in this process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("rclpy")

import rclpy
from rcl_interfaces.msg import Parameter as ParameterMessage
from rcl_interfaces.srv import GetParameters, ListParameters, SetParameters
from rclpy.logging import LoggingSeverity
from rclpy.parameter import get_parameter_value, parameter_dict_from_yaml_file, parameter_value_to_python

from mbrl_controller.nodes.controller import ControllerNode
from mbrl_controller.nodes.controller_options import read_options
from mbrl_controller.nodes.lifecycle import ManagedNode
from mbrl_controller.nodes.logger import Logger
from mbrl_controller.nodes.sim import Sim


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    before = dict(os.environ)
    os.environ |= {"ROS_AUTOMATIC_DISCOVERY_RANGE": "OFF", "MBRL_HOME": str(tmp_path_factory.mktemp("home"))}
    rclpy.init()
    yield
    rclpy.try_shutdown()
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def controller(context: None) -> Iterator[ControllerNode]:
    node = make(ControllerNode)
    yield node
    node.destroy_node()


def make(kind: type[ManagedNode], **given: Any) -> Any:
    overrides = [rclpy.Parameter(name.replace("__", "."), value=value) for name, value in given.items()]
    node = kind(parameter_overrides=overrides) if overrides else kind()
    node.get_logger().set_level(LoggingSeverity.FATAL)
    return node


def call(node: ManagedNode, kind: type, request: Any) -> Any:
    (service,) = (s for s in node.services if s.srv_type is kind)
    return service.callback(request, kind.Response())


def set_one(node: ManagedNode, name: str, text: str) -> str:
    """`ros2 param set NODE name text`: the reason for a refusal."""
    message = ParameterMessage(name=name, value=get_parameter_value(text))
    (result,) = call(node, SetParameters, SetParameters.Request(parameters=[message])).results
    assert result.successful or result.reason
    return "" if result.successful else result.reason


def dump(node: ManagedNode, file: Path) -> dict[str, Any]:
    """`ros2 param dump NODE > file`; the values written."""
    names = sorted(call(node, ListParameters, ListParameters.Request()).result.names)
    values = call(node, GetParameters, GetParameters.Request(names=names)).values
    flat = {name: parameter_value_to_python(value) for name, value in zip(names, values, strict=True)}
    tree: dict[str, Any] = {}
    for name, value in flat.items():
        *folders, leaf = name.split(".")
        at = tree
        for folder in folders:
            at = at.setdefault(folder, {})
        at[leaf] = value
    file.write_text(yaml.dump({"/node": {"ros__parameters": tree}}))
    return flat


def load(node: ManagedNode, file: Path) -> dict[str, str]:
    """`ros2 param load NODE file`: the refusals, by name."""
    messages = list(parameter_dict_from_yaml_file(str(file), True).values())
    results = call(node, SetParameters, SetParameters.Request(parameters=messages)).results
    return {m.name: r.reason for m, r in zip(messages, results, strict=True) if not r.successful}


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("direction=clockwise", "direction=clockwise"),
        ("direction=clockwise,period=4", "direction=clockwise, period=4"),
        ("phase=observed, lead=0.5", "phase=observed, lead=0.5"),
        ("", ""),
        ('"{direction: clockwise}"', "direction=clockwise"),  # quoted twice, as before
    ],
)
def test_a_goal_is_set_as_on_the_command_line(controller: ControllerNode, text: str, kept: str) -> None:
    assert set_one(controller, "goal_options", text) == ""
    assert controller.get_parameter("goal_options").value == kept


def test_a_goal_of_a_launch_file_may_still_be_a_mapping(context: None, tmp_path: Path) -> None:
    """What it becomes is what ros2 param can load."""
    node = make(ControllerNode, goal_options="{phase: observed, lead: 0.5}")
    try:
        assert read_options(node._table.values()).session.goal_options == {"phase": "observed", "lead": 0.5}
        dump(node, tmp_path / "dump.yaml")
        assert load(node, tmp_path / "dump.yaml") == {}
        assert read_options(node._table.values()).session.goal_options == {"phase": "observed", "lead": 0.5}
    finally:
        node.destroy_node()


CHANGED = {
    "controller": (
        ControllerNode,
        {
            "goal_options": "direction=clockwise, period=4.5",
            "planner.joint_scale": "[1, 0.5, 2]",
            "cpus": "[0, 1]",
            "planner.noise": "white",
            "reset_service": "sim/reset",
            "drop_cost": "7",
        },
    ),
    "logger": (Logger, {"before_s": "2"}),
    "sim": (Sim, {"preset": "perturbed", "options.joint_noise": "0.1"}),
}


@pytest.mark.parametrize("changed", [False, True])
@pytest.mark.parametrize("name", CHANGED)
def test_what_is_dumped_can_be_loaded(context: None, tmp_path: Path, name: str, changed: bool) -> None:
    """Into the same node, and into a new one, which has the same values then."""
    kind, settings = CHANGED[name]
    node, other = make(kind), make(kind)
    try:
        for parameter, text in settings.items() if changed else ():
            assert set_one(node, parameter, text) == ""
        written = dump(node, tmp_path / "first.yaml")
        assert load(node, tmp_path / "first.yaml") == {}
        assert load(other, tmp_path / "first.yaml") == {}
        assert dump(other, tmp_path / "second.yaml") == written
    finally:
        node.destroy_node()
        other.destroy_node()


def test_what_is_dumped_can_be_loaded_while_it_is_configured(context: None, tmp_path: Path) -> None:
    """Values that cannot change there are no reason to refuse them as they are."""
    node = make(Logger)
    try:
        node.trigger_configure()
        assert node.lifecycle_state == "inactive", node.reason
        dump(node, tmp_path / "dump.yaml")
        assert load(node, tmp_path / "dump.yaml") == {}
        assert "unconfigured" in set_one(node, "before_s", "3.0")
    finally:
        node.bring_down()
        node.destroy_node()


@pytest.mark.parametrize(
    ("text", "kept"), [("[1, 0.5]", [1.0, 0.5]), ("[1, 2]", [1.0, 2.0]), ("[0.5, 2.0]", [0.5, 2.0]), ("[]", [])]
)
def test_a_list_of_numbers_may_be_written_as_it_comes(controller: ControllerNode, text: str, kept: list[float]) -> None:
    assert set_one(controller, "planner.joint_scale", text) == ""
    value = controller.get_parameter("planner.joint_scale")
    assert (value.type_, list(value.value)) == (rclpy.Parameter.Type.DOUBLE_ARRAY, kept)
    assert read_options(controller._table.values()).planner_options["joint_scale"] == kept


@pytest.mark.parametrize("given", [[], [1, 2], [0.5]])
def test_a_list_of_a_launch_file_has_its_type(context: None, given: list[float]) -> None:
    node = make(ControllerNode, planner__joint_scale=given)
    try:
        assert node._table.values()["planner.joint_scale"] == given
        assert node.get_parameter("planner.joint_scale").type_ == rclpy.Parameter.Type.DOUBLE_ARRAY
    finally:
        node.destroy_node()


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("drop_cost", "5,0", "decimal point, not a comma"),
        ("planner.num_samples", "1,5", "decimal point, not a comma"),
        ("goal_options", "period=5,0", "decimal point, not a comma"),
        ("goal_options", "clockwise", "NAME=VALUE"),
        ("session", "2024", "quote it twice"),
        ("deadline_fraction", "2", "from 0.1 to 1"),
        ("planner.joint_scale", "[1, 200]", "from 0 to 100"),
        ("planner.joint_scale", "[true]", "a list of numbers"),
        ("threads", "1.5", "a whole number"),
        ("cpus", "[0.5]", "a list of whole numbers"),
        ("cpus", "[9000]", "from -1 to 8191"),
        ("auto_reset", "1", "true or false"),
    ],
)
def test_a_refusal_says_what_to_write(controller: ControllerNode, name: str, text: str, said: str) -> None:
    before = controller.get_parameter(name).value
    reason = set_one(controller, name, text)
    assert name in reason
    assert said in reason
    assert controller.get_parameter(name).value == before


def test_a_value_of_a_file_that_does_not_fit_is_told_at_configuration(context: None) -> None:
    node = make(ControllerNode, drop_cost="5,0", cpus=[0.5])
    try:
        node.trigger_configure()
        assert node.lifecycle_state == "unconfigured"
        for said in ("drop_cost", "decimal point, not a comma", "cpus: expected a list of whole numbers"):
            assert said in node.reason
    finally:
        node.destroy_node()


def test_planner_parameters_may_have_their_names_of_version_0_1(context: None) -> None:
    node = make(ControllerNode, planner__candidates=48)
    try:
        assert read_options(node._table.values()).planner_options["num_samples"] == 48
        assert set_one(node, "planner.kappa", "3.0") == ""
        assert read_options(node._table.values()).planner_options["inverse_temperature"] == 3.0
        assert set_one(node, "planner.kappa", "-3.0") != ""
    finally:
        node.destroy_node()


@pytest.mark.parametrize(
    ("old", "new"),
    [("goal_lead", "max_goal_lead"), ("exploration", "exploration_noise"), ("exploration_beta", "noise_smoothing")],
)
def test_names_of_version_0_1_set_the_new_parameters(context: None, old: str, new: str) -> None:
    node = make(ControllerNode, **{old: 0.25})
    try:
        assert node._table.values()[new] == 0.25
        read_options(node._table.values())
    finally:
        node.destroy_node()
