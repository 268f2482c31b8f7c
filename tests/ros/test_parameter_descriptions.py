# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What `ros2 param describe` says of every parameter of every node."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("rclpy")

import rclpy
from pydantic import BaseModel
from rcl_interfaces.msg import ParameterDescriptor, ParameterType

from mbrl_controller.control.config import ControllerConfig, SafetyConfig, SessionConfig
from mbrl_controller.nodes.controller import ControllerNode
from mbrl_controller.nodes.controller_options import Thresholds, general_specs, planner_specs
from mbrl_controller.nodes.joint_poller import SPECS as JOINT_POLLER
from mbrl_controller.nodes.lifecycle import ManagedNode
from mbrl_controller.nodes.logger import SPECS as LOGGER
from mbrl_controller.nodes.logger import Logger
from mbrl_controller.nodes.parameter_spec import Spec
from mbrl_controller.nodes.sim import SPECS as SIM
from mbrl_controller.nodes.sim import Sim
from mbrl_controller.planning.catalog import PLANNERS
from mbrl_controller.planning.risk import Risk
from mbrl_controller.simulation.sim_options import SimOptions

NUMBERS = {
    ParameterType.PARAMETER_INTEGER,
    ParameterType.PARAMETER_DOUBLE,
    ParameterType.PARAMETER_INTEGER_ARRAY,
    ParameterType.PARAMETER_DOUBLE_ARRAY,
}
ROS_OWN = ("qos_overrides", "use_sim_time", "start_type_description_service")
SUFFIXES = {
    "_s": "s",
    "rate": "Hz",
    "_hz": "Hz",
    "latency": "s",
    "_periods": "control periods",
    "horizon": "control periods",
}
ALL: list[Spec] = [
    *general_specs(),
    *LOGGER,
    *SIM,
    *JOINT_POLLER,
    *(spec for name in PLANNERS for spec in planner_specs(name)),
]


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    before = dict(os.environ)
    os.environ |= {"ROS_AUTOMATIC_DISCOVERY_RANGE": "OFF", "MBRL_HOME": str(tmp_path_factory.mktemp("home"))}
    rclpy.init()
    yield
    rclpy.try_shutdown()
    os.environ.clear()
    os.environ.update(before)


def check(name: str, described: ParameterDescriptor) -> None:
    """A sentence, a type, and for numbers a unit and a range."""
    text = described.description
    sentence = text.partition(".")[0]
    assert text.endswith("."), name
    assert len(sentence.split()) >= 2, f"{name}: {text}"
    assert sentence[0].isupper(), f"{name}: {text}"
    assert sentence.casefold() != name.rpartition(".")[2].replace("_", " "), name
    assert described.type not in (ParameterType.PARAMETER_BYTE_ARRAY, ParameterType.PARAMETER_NOT_SET), name
    assert not described.dynamic_typing, name
    if described.type not in NUMBERS:
        return
    unit = text.partition(" Unit: ")[2].partition(".")[0]
    assert unit or " No unit." in text, f"{name}: {text}"
    for suffix, expected in SUFFIXES.items():
        if name.endswith(suffix):
            assert unit == expected, f"{name}: {text}"
    if described.type == ParameterType.PARAMETER_INTEGER:
        assert described.integer_range, name
    elif described.type == ParameterType.PARAMETER_DOUBLE:
        assert described.floating_point_range, name
    else:
        assert described.additional_constraints, name


@pytest.mark.parametrize("make", [ControllerNode, Logger, Sim])
def test_each_declared_parameter_has_a_sentence_a_unit_and_a_range(context: None, make: type[ManagedNode]) -> None:
    node = make()
    try:
        own = sorted(name for name in node._parameters if not name.startswith(ROS_OWN))
        assert own
        for name in own:
            described = node.describe_parameter(name)
            check(name, described)
            assert described.type == node.get_parameter(name).type_.value, name
    finally:
        node.destroy_node()


@pytest.mark.parametrize("planner", PLANNERS)
def test_each_planners_own_options_are_described(planner: str) -> None:
    for spec in planner_specs(planner):
        described = spec.descriptor()
        described.type = spec.type_.value
        check(spec.name, described)


@pytest.mark.parametrize(
    ("model", "prefix"),
    [
        (SessionConfig, ""),
        (SafetyConfig, ""),
        (ControllerConfig, ""),
        (Risk, "risk."),
        (Thresholds, "diagnostics."),
        (SimOptions, "options."),
        *((planner.config_type, "planner.") for planner in PLANNERS.values()),
    ],
)
def test_ranges_are_those_that_the_configuration_checks(model: type[BaseModel], prefix: str) -> None:
    """What lies in the range is taken, as far as one value can tell, and what lies beyond it is not."""
    specs = {spec.name: spec for spec in [*planner_specs(_planner_of(model)), *ALL]}
    checked = 0
    for name in model.model_fields:
        spec = specs.get(prefix + name)
        if spec is None or not spec.is_number or spec.is_list:
            continue
        for bound, outwards, open_end in (
            (spec.lower, -1, spec.above_lower),
            (spec.upper, 1, spec.below_upper),
        ):
            if bound is None:
                continue
            step = 1 if isinstance(spec.default, int) else max(abs(bound) * 1e-9, 1e-9)
            assert taken(model, name, bound) is not open_end, spec.name
            assert not taken(model, name, bound + outwards * step), spec.name
            checked += 1
        if spec.lower is None or spec.upper is None:
            far = -1e18 if spec.lower is None else 1e18
            assert taken(model, name, type(spec.default)(far)), f"{spec.name}: bounded, but its range is not"
    assert checked


def _planner_of(model: type[BaseModel]) -> str:
    return next((name for name, planner in PLANNERS.items() if planner.config_type is model), "pddm")


def taken(model: type[BaseModel], name: str, value: float) -> bool:
    changed: dict[str, Any] = {name: value}
    if name in ("num_samples", "starts", "horizon"):  # their product is bounded, too
        few = {"num_samples": 2, "starts": 1, "horizon": 1}
        changed = {n: v for n, v in few.items() if n in model.model_fields} | changed
    try:
        model(**changed)
    except ValueError:
        return False
    return True


def test_an_end_that_is_not_taken_is_told() -> None:
    """A range of ROS has its ends in it."""
    specs = {spec.name: spec.descriptor() for spec in ALL}
    assert specs["planner.inverse_temperature"].additional_constraints == "Above 0"
    assert specs["planner.inverse_temperature"].floating_point_range[0].to_value == math.inf
    assert "below 3.14" in specs["max_goal_lead"].additional_constraints
