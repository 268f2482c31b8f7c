# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""`true` is no number, wherever numbers or names are meant."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from pydantic import Field, ValidationError

from mbrl_controller.base.number_entries import NumberEntries


class Inner(NumberEntries):
    size: float = 1.0
    on: bool = False


class Outer(NumberEntries):
    version: Literal[1, 2] = 1
    count: int = 1
    pair: tuple[float, float] = (0.0, 0.0)
    gains: dict[str, float] = Field(default_factory=dict)
    name: str = ""
    called: int = Field(default=1, alias="as")
    parts: dict[str, Inner] = Field(default_factory=dict)
    several: tuple[str | Inner, ...] = ()
    inner: Inner = Inner()
    flag: bool | float = False
    anything: dict[str, Any] = Field(default_factory=dict)


@pytest.mark.parametrize("given", [True, False])
@pytest.mark.parametrize(
    ("place", "wrap"),
    [
        ("version", lambda b: {"version": b}),
        ("count", lambda b: {"count": b}),
        ("pair", lambda b: {"pair": [0.0, b]}),
        ("gains", lambda b: {"gains": {"a": b}}),
        ("name", lambda b: {"name": b}),
        ("as", lambda b: {"as": b}),
        ("size", lambda b: {"parts": {"a": {"size": b}}}),
        ("size", lambda b: {"several": ["a", {"size": b}]}),
        ("several", lambda b: {"several": [b]}),
        ("size", lambda b: {"inner": {"size": b}}),
    ],
)
def test_a_boolean_is_refused_by_the_name_of_its_entry(place: str, wrap: Any, given: bool) -> None:
    with pytest.raises(ValidationError, match=f"{place}: {str(given).lower()} is neither"):
        Outer.model_validate(wrap(given))


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"flag": True, "inner": {"on": True}, "parts": {"a": {"on": True}}, "anything": {"a": True, "b": [False]}},
        {"several": [{"on": True}, "a"], "version": 2, "count": 0, "gains": {"a": 0}},
    ],
)
def test_what_may_be_true_or_is_a_number_is_taken(given: dict[str, Any]) -> None:
    Outer.model_validate(given)
