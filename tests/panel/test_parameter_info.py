# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import math

import pytest

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.nodes.controller_options import all_planner_specs, general_specs
from mbrl_controller.nodes.parameter_spec import Spec
from mbrl_controller.panel.parameter_info import GROUPS, ParameterInfo, read_descriptor


def info(spec: Spec) -> ParameterInfo:
    """As another node is told."""
    descriptor = spec.descriptor()
    descriptor.type = spec.type_.value
    return read_descriptor(descriptor)


def test_a_descriptor_tells_unit_range_choices_and_whether_it_is_live() -> None:
    number = info(Spec("ramp_s", 0.5, "time to full speed", live=True, lower=0, upper=10))
    assert (number.label, number.unit, number.lower, number.upper) == ("ramp (s)", "s", 0.0, 10.0)
    assert number.live
    assert number.slides(0.5)
    assert number.step == pytest.approx(0.1)
    menu = info(Spec("mode", "a", "what to do", live=True, choices=("a", "b")))
    assert menu.choices == ("a", "b")
    fixed = info(Spec("seed", 0, "of all", unit="none", lower=0))
    assert not fixed.live
    assert math.isinf(fixed.upper)
    assert not fixed.slides(0)


def test_a_range_far_wider_than_the_value_is_no_sliders() -> None:
    assert not info(Spec("wait", 0.0, "", unit="s", live=True, lower=0.0, upper=3600.0)).slides(0.0)


def test_each_live_parameter_of_the_controller_has_a_group() -> None:
    for spec in [*general_specs(), *all_planner_specs()]:
        found = info(spec)
        assert found.live is spec.live
        assert found.group in GROUPS
        assert found.label


@pytest.mark.parametrize("text", ["1, 2", "3", "{}", ""])
def test_a_list_that_is_none_is_refused(text: str) -> None:
    found = info(Spec("scale", [1.0], "of joints", unit="none", live=True))
    with pytest.raises(MbrlError, match="scale"):
        found.parse(text)
    assert found.parse("[1, 0.5]") == [1.0, 0.5]
