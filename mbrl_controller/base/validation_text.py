# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Pydantic's complaints in the words of who writes a configuration: without its types, classes and patterns."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

# What pydantic puts into a location for the branch of a union, or a key.
_LABEL = re.compile(r"(str|int|float|bool|none|.*(\[.*\]|\(\).*)|(constrained|function|nullable|lax|tagged|json)-.*)")
_TAG = re.compile(r"\w+/msg/\w+")  # of the branch that `type` chose
_WORDS = {
    "missing": "is missing",
    "extra_forbidden": "there is no entry of this name",
    "invalid_key": "a name must be text",
    "string_type": "must be text",
    "string_too_long": "must be at most {max_length} letters long",
    "string_too_short": "must be at least {min_length} letters long",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a smaller whole number",
    "int_from_float": "must be a whole number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "greater_than": "must be above {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be below {lt}",
    "less_than_equal": "must be at most {le}",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a mapping",
    "too_short": "needs at least {min_length} entries, but has {actual_length}",
    "too_long": "takes at most {max_length} entries, but has {actual_length}",
    "union_tag_not_found": "{discriminator} is missing",
    "union_tag_invalid": "{discriminator} is {tag!r}, but must be one of {expected_tags}",
}
# Types of complaints that only say that another branch of a union was meant.
_OTHER_KIND = {name for name in _WORDS if name.endswith("_type")} | {"literal_error", "float_parsing", "int_parsing"}


@dataclass(frozen=True)
class Complaint:
    """What is wrong with the entry at `place`, and pydantic's own account of it."""

    place: tuple[str, ...]
    text: str
    part: dict[str, Any]


def complaints(parts: Sequence[dict[str, Any]]) -> list[Complaint]:
    """One for each thing that is wrong; where an entry may be of several kinds, of that which was meant.

    Args:
        parts: of `ValidationError.errors()`.
    """
    models = {model.__name__ for model in _subclasses(BaseModel)}
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for number, part in enumerate(parts):
        first = next((i for i, item in enumerate(part["loc"]) if _is_label(item, models)), None)
        groups.setdefault((number,) if first is None else part["loc"][:first], []).append(part)
    found = []
    for group in groups.values():
        meant = [
            part
            for part in group
            if part["type"] not in _OTHER_KIND or not part["loc"] or not _is_label(part["loc"][-1], models)
        ]
        if meant or len(group) == 1:
            found += [Complaint(_place(part, models), _said(part), part) for part in meant or group]
        else:
            kinds = dict.fromkeys(_said(part).removeprefix("must be ") for part in group)
            found.append(Complaint(_place(group[0], models), f"must be {', or '.join(kinds)}", group[0]))
    return found


def _place(part: dict[str, Any], models: set[str]) -> tuple[str, ...]:
    tagged = "type" in part.get("ctx", {}).get("discriminator", "")
    return tuple(
        str(item)
        for item in part["loc"]
        if not _is_label(item, models) and (tagged or not (isinstance(item, str) and _TAG.fullmatch(item)))
    )


def _is_label(item: Any, models: set[str]) -> bool:
    return isinstance(item, str) and (item in models or bool(_LABEL.fullmatch(item)))


def _said(part: dict[str, Any]) -> str:
    kind, context = part["type"], part.get("ctx", {})
    if kind in ("value_error", "assertion_error"):
        return str(context.get("error", part["msg"]))
    if kind in ("literal_error", "enum"):
        return f"must be {context['expected']}"
    if kind == "string_pattern_mismatch":
        return f"{part['input']!r:.80} does not have the form {context['pattern']}"
    if kind in _WORDS:
        return _WORDS[kind].format_map({name: _plain(value) for name, value in context.items()})
    return str(part["msg"]).replace("Input should be", "must be")


def _plain(value: Any) -> Any:
    return value.strip("'") if isinstance(value, str) and value.count("'") == 2 else value


def _subclasses(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    child: type[BaseModel]
    for child in model.__subclasses__():
        yield child
        yield from _subclasses(child)
