# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""NAME=VALUE on the command line and in parameters."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.base.overrides import format_options, parse_options, parse_overrides


def test_values_are_yaml() -> None:
    pairs = ["seed=1", "hidden=[250, 250]", "direction=clockwise", "period=4.5", "name=a=b", "lr=1e-3", "on=true"]
    assert parse_overrides("--set", pairs) == {
        "seed": 1,
        "hidden": [250, 250],
        "direction": "clockwise",
        "period": 4.5,
        "name": "a=b",
        "lr": 0.001,
        "on": True,
    }
    assert parse_overrides("--set", None) == {}


@pytest.mark.parametrize("pair", ["seed", "=1", " =1", "x=[1", "x={", "x=2001-99-99", "x=" + "[" * 3000])
def test_what_is_no_pair_is_named_with_its_option(pair: str) -> None:
    with pytest.raises(MbrlError, match=r"--goal .*") as error:
        parse_overrides("--goal", ["fine=1", pair])
    assert pair in str(error.value)


@pytest.mark.parametrize("text", ["5,0", "-0,524", "1,5e3"])
def test_a_decimal_comma_is_named(text: str) -> None:
    for refused in (lambda: parse_overrides("--set", [f"x={text}"]), lambda: parse_options("p", f"a=1, x={text}, b=2")):
        with pytest.raises(MbrlError, match="decimal point, not a comma"):
            refused()
    assert parse_overrides("--set", ["x=[5,0]"]) == {"x": [5, 0]}


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("", {}),
        ("  ", {}),
        ("{}", {}),
        ("direction=clockwise", {"direction": "clockwise"}),
        ("direction=clockwise,period=4", {"direction": "clockwise", "period": 4}),
        (" phase = observed , lead = 0.5, ", {"phase": "observed", "lead": 0.5}),
        ("hidden=[1, 2], x=1", {"hidden": [1, 2], "x": 1}),
        ("{direction: clockwise, period: 4.0}", {"direction": "clockwise", "period": 4.0}),
        ('{"phase": "observed"}', {"phase": "observed"}),
    ],
)
def test_options_are_pairs_or_a_yaml_mapping(text: str, options: dict[str, Any]) -> None:
    assert parse_options("goal_options", text) == options


@pytest.mark.parametrize("text", ["clockwise", "[1]", "{", "{1: 2}", "a, b=1", "{a: &a [*a]}", "=1"])
def test_other_text_is_refused_by_name(text: str) -> None:
    with pytest.raises(MbrlError, match="goal_options"):
        parse_options("goal_options", text)


def test_a_decimal_comma_in_a_mapping_is_named() -> None:
    with pytest.raises(MbrlError, match="decimal point, not a comma"):
        parse_options("goal_options", "{period: 5,0}")


scalars = st.one_of(
    st.booleans(), st.none(), st.integers(), st.floats(allow_nan=False), st.text(max_size=8),
    st.sampled_from(["4", "true", "1e-3", "5,0", " x", "null", "2001-01-01", "a: b", "#", "'", '"']),
)  # fmt: skip


@given(st.dictionaries(st.from_regex(r"[A-Za-z_]\w{0,5}", fullmatch=True), scalars, max_size=3))
def test_what_is_written_reads_the_same_also_after_yaml(options: dict[str, Any]) -> None:
    try:
        text = format_options(options)
    except MbrlError:
        assert any(isinstance(value, str) for value in options.values())  # odd text may be refused, numbers never
        return
    assert parse_options("p", text) == options
    assert not text or yaml.safe_load(text) == text


def test_what_pairs_cannot_say_is_refused() -> None:
    for value in ([1, 2], {"a": 1}, "a, b=c"):
        with pytest.raises(MbrlError, match="cannot be written"):
            format_options({"x": value})
