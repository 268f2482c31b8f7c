# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Options as text, NAME=VALUE: the same on a command line and in a parameter; and layers of options."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.base.yaml_text import load_yaml

COMMA_HINT = "write a decimal point, not a comma"
_COMMA_NUMBER = re.compile(r"[-+]?\d+,\d+(?:[eE][-+]?\d+)?")
_SEPARATOR = re.compile(r",(?=\s*[A-Za-z_][\w.]*\s*=)")  # a comma that no name follows is part of the value


def has_decimal_comma(value: object) -> bool:
    """Whether `value` is text such as 5,0, as many languages write a number."""
    return isinstance(value, str) and _COMMA_NUMBER.fullmatch(value.strip()) is not None


def comma_hint(value: object) -> str:
    """What to add to an error about `value`; empty unless it has a decimal comma."""
    return f"; {COMMA_HINT}" if has_decimal_comma(value) else ""


def parse_overrides(option: str, pairs: Sequence[str] | None) -> dict[str, Any]:
    """`["seed=1", "hidden=[250, 250]"]` as a dictionary; values are numbers, true, false, lists or text.

    Raises MbrlError with `option` and the wrong pair.
    """
    parsed: dict[str, Any] = {}
    for pair in pairs or ():
        name, equals, value = (part.strip() for part in pair.partition("="))
        if not (name and equals):
            raise MbrlError(f"{option} {pair}: expected NAME=VALUE")
        if has_decimal_comma(value):
            raise MbrlError(f"{option} {pair}: {COMMA_HINT}")
        try:
            parsed[name] = _value(value)
        except ValueError as error:
            raise MbrlError(f"{option} {pair}: the value is not YAML: {error}") from error
    return parsed


def parse_options(option: str, text: str) -> dict[str, Any]:
    """`direction=clockwise, period=4` as a dictionary, or the YAML mapping `{direction: clockwise, period: 4}`.

    Raises MbrlError with `option` in its text.
    """
    text = text.strip()
    if not text.startswith("{"):
        return parse_overrides(option, [pair for pair in _SEPARATOR.split(text.rstrip(",")) if pair.strip()])
    try:
        value = load_yaml(text)
    except ValueError as error:
        raise MbrlError(f"{option}: not YAML: {error}; write NAME=VALUE, NAME=VALUE") from error
    if not isinstance(value, dict):
        raise MbrlError(f"{option}: expected NAME=VALUE, NAME=VALUE, got {text!r}")
    for name, part in value.items():
        if not isinstance(name, str):
            # YAML reads {period: 5,0} as two entries: period: 5, and 0 without a value.
            comma = f"; {COMMA_HINT}" if isinstance(name, int) and part is None else ""
            raise MbrlError(f"{option}: {name!r} is not a name{comma}")
    return value


def format_options(options: Mapping[str, Any]) -> str:
    """`options` as text that `parse_options` reads back; raises MbrlError for values that text cannot hold."""
    text = ", ".join(f"{name}={_text(value)}" for name, value in options.items())
    try:
        # ROS tools parse any text as YAML first: that must return the same text.
        same = parse_options("", text) == dict(options) and (not text or load_yaml(text) == text)
    except (MbrlError, ValueError):
        same = False
    if not same:
        raise MbrlError(f"{dict(options)!r} cannot be written as NAME=VALUE, NAME=VALUE")
    return text


def unflatten(options: Mapping[str, Any]) -> dict[str, Any]:
    """`{"training.batch": 64}` as `{"training": {"batch": 64}}`."""
    result: dict[str, Any] = {}
    for name, value in options.items():
        outer, dot, inner = name.partition(".")
        result = deep_merge(result, {outer: unflatten({inner: value})} if dot else {name: value})
    return result


def deep_merge(lower: Mapping[str, Any], upper: Mapping[str, Any]) -> dict[str, Any]:
    """Options of both; `upper` wins. Mappings are merged recursively.

    A mapping over a list of named items changes or adds items by name; a list replaces what is below it. Raises
    MbrlError where an item's options are not a mapping.
    """
    result = dict(lower)
    for name, value in upper.items():
        old = result.get(name)
        if isinstance(value, dict) and isinstance(old, dict):
            result[name] = deep_merge(old, value)
        elif isinstance(value, dict) and isinstance(old, list):
            result[name] = _merge_items(old, value, name)
        else:
            result[name] = value
    return result


def _merge_items(lower: list[Any], upper: Mapping[str, Any], what: str) -> list[Any]:
    """`lower` in its order, then the new names."""
    result = list(lower)
    places = {item["name"]: i for i, item in enumerate(lower) if isinstance(item, dict) and "name" in item}
    for name, options in upper.items():
        if not isinstance(options, dict):
            raise MbrlError(f"{what}.{name}: expected options, such as {what}.{name}.episodes=20, got {options!r}")
        if name in places:
            result[places[name]] = deep_merge(result[places[name]], options)
        else:
            result.append({"name": name, **options})
    return result


def _value(text: str) -> Any:
    value = load_yaml(text)
    if not isinstance(value, str):
        return value
    try:
        return float(value) if value[:1] in "+-.0123456789" else value  # YAML reads 1e-3 as text
    except ValueError:
        return value


def _text(value: Any) -> str:
    if isinstance(value, str):
        try:
            if value and not has_decimal_comma(value) and _value(value) == value:
                return value
        except ValueError:
            pass
    return yaml.safe_dump(value, default_style='"' if isinstance(value, str) else None, width=10**6).split("\n")[0]
