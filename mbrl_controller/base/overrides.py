# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""NAME=VALUE: options as text, the same on a command line and in a parameter."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from mbrl_controller.base.decimal_comma import HINT, has_decimal_comma
from mbrl_controller.base.errors import MbrlError
from mbrl_controller.base.yaml_text import load_yaml

_SEPARATOR = re.compile(r",(?=\s*[A-Za-z_][\w.]*\s*=)")  # a comma that no name follows is part of the value


def parse_pairs(option: str, pairs: Sequence[str] | None) -> dict[str, Any]:
    """`["seed=1", "hidden=[250, 250]"]` as a dictionary: numbers, true and false, lists, and text.

    Raises MbrlError naming `option` and the pair at fault.
    """
    parsed: dict[str, Any] = {}
    for pair in pairs or ():
        name, equals, value = (part.strip() for part in pair.partition("="))
        if not (name and equals):
            raise MbrlError(f"{option} {pair}: expected NAME=VALUE")
        if has_decimal_comma(value):
            raise MbrlError(f"{option} {pair}: {HINT}")
        try:
            parsed[name] = _value(value)
        except ValueError as error:
            raise MbrlError(f"{option} {pair}: the value is not YAML: {error}") from error
    return parsed


def parse_options(option: str, text: str) -> dict[str, Any]:
    """`direction=clockwise, period=4` as a dictionary, or the YAML mapping `{direction: clockwise, period: 4}`.

    Raises MbrlError naming `option`.
    """
    text = text.strip()
    if not text.startswith("{"):
        return parse_pairs(option, [pair for pair in _SEPARATOR.split(text.rstrip(",")) if pair.strip()])
    try:
        value = load_yaml(text)
    except ValueError as error:
        raise MbrlError(f"{option}: not YAML: {error}; write NAME=VALUE, NAME=VALUE") from error
    if not isinstance(value, dict):
        raise MbrlError(f"{option}: expected NAME=VALUE, NAME=VALUE, got {text!r}")
    for name, part in value.items():
        if not isinstance(name, str):
            # YAML reads {period: 5,0} as two entries: period is 5, and 0 is nothing.
            comma = f"; {HINT}" if isinstance(name, int) and part is None else ""
            raise MbrlError(f"{option}: {name!r} is no name{comma}")
    return value


def format_options(options: Mapping[str, Any]) -> str:
    """`options` as text that `parse_options` reads; raises MbrlError for what no such text can say."""
    text = ", ".join(f"{name}={_text(value)}" for name, value in options.items())
    try:
        # The tools of ROS read any text as YAML first: it must still be this text then.
        same = parse_options("", text) == dict(options) and (not text or load_yaml(text) == text)
    except (MbrlError, ValueError):
        same = False
    if not same:
        raise MbrlError(f"{dict(options)!r} cannot be written as NAME=VALUE, NAME=VALUE")
    return text


def _value(text: str) -> Any:
    value = load_yaml(text)
    if not isinstance(value, str):
        return value
    try:
        return float(value) if value[:1] in "+-.0123456789" else value  # 1e-3, of which YAML makes text
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
