# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Options as a person writes them, dotted or nested, from several places one above the other."""

from __future__ import annotations

from typing import Any

from mbrl_controller.base.errors import MbrlError


def nested(settings: dict[str, Any]) -> dict[str, Any]:
    """`{"training.batch": 64}` as `{"training": {"batch": 64}}`."""
    result: dict[str, Any] = {}
    for name, value in settings.items():
        outer, dot, inner = name.partition(".")
        result = merged(result, {outer: nested({inner: value})} if dot else {name: value})
    return result


def merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Options of both, `above` winning. Options of options are merged likewise, and so is a list of named ones below a
    mapping from names; a list above replaces what is below. Raises MbrlError for a name without options."""
    result = dict(below)
    for name, value in above.items():
        old = result.get(name)
        if isinstance(value, dict) and isinstance(old, dict):
            result[name] = merged(old, value)
        elif isinstance(value, dict) and isinstance(old, list):
            result[name] = _merged_by_name(old, value, name)
        else:
            result[name] = value
    return result


def _merged_by_name(below: list[Any], above: dict[str, Any], what: str) -> list[Any]:
    """`below` in its order, then the new names."""
    result = list(below)
    places = {item["name"]: i for i, item in enumerate(below) if isinstance(item, dict) and "name" in item}
    for name, options in above.items():
        if not isinstance(options, dict):
            raise MbrlError(f"{what}.{name}: expected options, such as {what}.{name}.episodes=20, got {options!r}")
        if name in places:
            result[places[name]] = merged(result[places[name]], options)
        else:
            result.append({"name": name, **options})
    return result
