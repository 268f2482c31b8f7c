# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Any request to set parameters, as it comes over the wire: taken whole, or refused and nothing changed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy")

import numpy as np
import rclpy
from hypothesis import given
from hypothesis import strategies as st
from rcl_interfaces.msg import Parameter, ParameterValue
from rcl_interfaces.srv import DescribeParameters, GetParameters, SetParameters, SetParametersAtomically
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.logging import LoggingSeverity

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.contract.contract import load_contract
from mbrl_controller.control.config import SafetyConfig
from mbrl_controller.nodes.controller import ControllerNode
from mbrl_controller.nodes.controller_options import all_planner_specs, general_specs
from mbrl_controller.nodes.lifecycle import ManagedNode
from mbrl_controller.nodes.logger import Logger
from mbrl_controller.nodes.sim import Sim

from ..ros.conftest import SMALL_HAND, linear_registry

INT64 = 2**63
doubles = st.one_of(st.floats(), st.floats(0, 10), st.sampled_from([0.0, 1.0, -1.0, 1e308, float("nan"), float("inf")]))
integers = st.one_of(st.integers(0, 20), st.integers(-INT64, INT64 - 1), st.sampled_from([INT64 - 1, -INT64, 0, -1]))
texts = st.one_of(
    st.text(max_size=10).map(lambda text: text.encode(errors="replace").decode()),
    st.sampled_from(["", "~no_such_user/x", "{", "{a: &a [*a]}", "[" * 2000, "{angle: 1e400}", "{angle: 9e9}"]),
    st.sampled_from(
        ["{angle: " + "9" * 400 + "}", "direction=clockwise", "angle=1, direction=", "phase=.nan", "'", "a b", "../x"]
    ),
    st.sampled_from(["int8", "cem", "worst", "white", "measured", "perturbed", "\0"]),
)
KINDS = {
    0: st.just({}),
    1: st.builds(lambda v: {"bool_value": v}, st.booleans()),
    2: st.builds(lambda v: {"integer_value": v}, integers),
    3: st.builds(lambda v: {"double_value": v}, doubles),
    4: st.builds(lambda v: {"string_value": v}, texts),
    5: st.builds(lambda v: {"byte_array_value": v}, st.lists(st.binary(min_size=1, max_size=1), max_size=3)),
    6: st.builds(lambda v: {"bool_array_value": v}, st.lists(st.booleans(), max_size=3)),
    7: st.builds(lambda v: {"integer_array_value": v}, st.lists(integers, max_size=3)),
    8: st.builds(lambda v: {"double_array_value": v}, st.lists(doubles, max_size=4)),
    9: st.builds(lambda v: {"string_array_value": v}, st.lists(texts, max_size=3)),
}
odd_kind = st.one_of(st.integers(0, 10), st.just(255))


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """This process in a ROS graph of its own."""
    before = dict(os.environ)
    os.environ |= {"ROS_AUTOMATIC_DISCOVERY_RANGE": "OFF", "MBRL_HOME": str(tmp_path_factory.mktemp("home"))}
    rclpy.init()
    yield
    rclpy.try_shutdown()
    os.environ.clear()
    os.environ.update(before)


def quiet(node: ManagedNode) -> ManagedNode:
    """Thousands of refusals are not to be read."""
    node.get_logger().set_level(LoggingSeverity.FATAL)
    return node


def _entry(name: str, kind: int, fields: dict[str, Any]) -> Parameter:
    return Parameter(name=name, value=ParameterValue(type=kind, **fields))


class Client:
    """Calls a node's parameter services as the executor does."""

    def __init__(self, node: ManagedNode) -> None:
        self.node = node
        self.names = sorted(node._parameters)
        self.kinds = {name: int(node.get_parameter(name).type_.value) for name in self.names}

    def values(self) -> dict[str, Any]:
        """All that are declared, as text: NaN is not equal to itself."""
        return {name: repr(self.node.get_parameter(name).value) for name in self.names}

    def entries(self) -> st.SearchStrategy[Parameter]:
        """A right kind of value for a known name; or any value and kind, also one that does not exist, for any name."""
        right = st.sampled_from(self.names).flatmap(
            lambda name: st.builds(_entry, st.just(name), st.just(self.kinds[name]), KINDS[self.kinds[name]])
        )
        names = st.one_of(st.sampled_from(self.names), texts)
        return st.one_of(right, right, right, st.builds(_entry, names, odd_kind, st.one_of(*KINDS.values())))

    def call(self, kind: type, parameters: list[Parameter]) -> list[Any]:
        """The results of setting them."""
        (service,) = (s for s in self.node.services if s.srv_type is kind)
        response = service.callback(kind.Request(parameters=parameters), kind.Response())
        return list(response.results) if kind is SetParameters else [response.result]


def run_batches(counted: Any, node: ManagedNode, check: Any = lambda: None, names: set[str] | None = None) -> None:
    """Send batches whole, and entry by entry; at the end the node answers, with every parameter still there."""
    client = Client(node)
    if names is not None:
        client.names = sorted(names)

    @counted.settings(inputs_an_example=2)
    @given(st.lists(client.entries(), min_size=1, max_size=3))
    def run(parameters) -> None:
        for kind in (SetParametersAtomically, SetParameters):
            before = client.values()
            with counted.one():
                results = client.call(kind, parameters)
                assert len(results) == (1 if kind is SetParametersAtomically else len(parameters))
                for result in results:
                    assert result.successful or result.reason.strip()
                    assert not result.reason.startswith("unexpected error")
                if not any(result.successful for result in results):
                    assert client.values() == before
                    raise MbrlError(results[0].reason)
                check()

    run()
    assert sorted(node._parameters) == sorted(client.kinds)
    for kind in (DescribeParameters, GetParameters):
        (service,) = (s for s in node.services if s.srv_type is kind)
        service.callback(kind.Request(names=client.names), kind.Response())


def test_an_unconfigured_controller(fuzz, context: None) -> None:
    node = quiet(ControllerNode("fuzzed"))
    try:
        run_batches(fuzz("parameters: controller"), node)
    finally:
        node.destroy_node()


def test_a_configured_controller(fuzz, context: None, tmp_path: Path) -> None:
    """What is taken is in force, keeps its ranges, and the controller still plans."""
    (tmp_path / "contract.yaml").write_text(SMALL_HAND)
    models = linear_registry(load_contract(tmp_path / "contract.yaml"), tmp_path, ("v0001", "v0002"), turn=0.1)
    node = quiet(
        ControllerNode(
            "configured",
            parameter_overrides=[
                rclpy.Parameter("contract", value=str(tmp_path / "contract.yaml")),
                rclpy.Parameter("models_dir", value=str(models)),
            ],
        )
    )

    def check() -> None:
        assert node._configured is not None
        session = node._configured.session
        safety = session.core.safety.config
        assert SafetyConfig(**safety.model_dump()) == safety
        assert 0.1 <= safety.max_jump <= 10
        planner = session.core.planner
        state = planner.initial_state(0)
        if planner.config.num_samples * planner.config.horizon <= 10_000:
            plan, _ = planner.plan(lambda candidates: candidates.sum(axis=(1, 2)), state)
            assert np.isfinite(plan.actions).all()
            assert np.abs(plan.actions).max() <= 1.0

    try:
        assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS, node.reason
        live = {spec.name for spec in [*general_specs(), *all_planner_specs()] if spec.live}
        run_batches(fuzz("parameters: controller, configured"), node, check, live)
        assert node.lifecycle_state == "inactive"
    finally:
        node.bring_down()
        node.destroy_node()


@pytest.mark.parametrize(("name", "make"), [("logger", Logger), ("sim", Sim)])
def test_logger_and_sim(fuzz, context: None, name: str, make: type[ManagedNode]) -> None:
    node = quiet(make())
    try:
        run_batches(fuzz(f"parameters: {name}"), node)
    finally:
        node.destroy_node()


def value(kind: int, **fields: Any) -> ParameterValue:
    return ParameterValue(type=kind, **fields)


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("seed", value(77)),
        ("seed", value(0)),
        ("planner.joint_scale", value(0)),
        ("planner.joint_scale", value(1)),
        ("planner.joint_scale", value(8, double_array_value=[float("nan")])),
        ("planner.num_samples", value(2, integer_value=100_001)),
        ("planner.sigma", value(3, double_value=1e308)),
        ("", value(2)),
        ("no_such", value(2)),
        ("goal_options", value(4, string_value="[" * 3000)),
        ("goal_options", value(4, string_value="{a: &a [*a]}")),
        ("goal_options", value(4, string_value="place=2001-99-99")),
        ("contract", value(4, string_value="~no_such_user/x")),
        ("rate", value(3, double_value=float("inf"))),
        ("cpus", value(7, integer_array_value=[2**62])),
        ("session", value(4, string_value="../up")),
        ("reset_service", value(4, string_value="a service")),
        ("models_dir", value(4, string_value="/tmp")),
        ("autostart", value(1, bool_value=True)),
    ],
)
def test_what_fuzzing_found(context: None, name: str, asked: ParameterValue) -> None:
    node = quiet(ControllerNode("fuzzed"))
    try:
        client = Client(node)
        for kind in (SetParametersAtomically, SetParameters):
            (result,) = client.call(kind, [Parameter(name=name, value=asked)])
            assert not result.successful
            assert result.reason
            assert not result.reason.startswith("unexpected error")
    finally:
        node.destroy_node()


@pytest.mark.parametrize("name", ["retrain_command", "log_dir"])
def test_nobody_can_have_the_logger_run_or_write_elsewhere(context: None, name: str) -> None:
    node = quiet(Logger())
    try:
        (result,) = Client(node).call(SetParameters, [Parameter(name=name, value=value(4, string_value="/bin/true"))])
        assert not result.successful
        assert "read-only" in result.reason
    finally:
        node.destroy_node()


@pytest.mark.parametrize("make", [ControllerNode, Logger, Sim])
def test_every_parameter_is_described_and_every_number_has_a_range(context: None, make: type[ManagedNode]) -> None:
    node = quiet(make())
    try:
        own = {n for n in node._parameters if not n.startswith(("qos_overrides", "use_sim_time", "start_type"))}
        for name in own:
            described = node.describe_parameter(name)
            assert described.description
            if described.type == 2:
                assert described.integer_range, name
            if described.type == 3:
                assert described.floating_point_range, name
    finally:
        node.destroy_node()
