# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The options of a configuration model, one row each, for people who choose them."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from mbrl_controller.base.units import NO_UNIT, Unit, unit_in_name

_BOUNDS = (("gt", "above"), ("ge", "at least"), ("lt", "below"), ("le", "at most"))


def option_rows(model: type[BaseModel], prefix: str = "") -> Iterator[dict[str, str]]:
    """Name, default, range, unit and meaning of each field, with dotted names for the fields of models within.

    `NAME` in a name stands for that of an item of a list.
    """
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from option_rows(field.annotation, f"{prefix}{name}.")
            continue
        items = [item for item in get_args(field.annotation) if isinstance(item, type) and issubclass(item, BaseModel)]
        for item in items:  # a list of named models
            rows = option_rows(item, f"{prefix}{name}.NAME.")
            yield from (row for row in rows if not row["option"].endswith(".NAME.name"))
        yield {
            "option": prefix + name,
            "default": "" if field.is_required() else value_text(field.get_default(call_default_factory=True)),
            "range": range_text(field),
            "unit": _unit(name, field),
            "meaning": field.description or "",
        }


def option_names(model: type[BaseModel]) -> list[str]:
    """The names of all options, dotted for those of models within."""
    return [row["option"] for row in option_rows(model)]


def unknown_option(name: str, model: type[BaseModel], listing: str) -> str:
    """What to say of an option that `model` does not have: those of a similar name, and the command that lists all."""
    known = option_names(model)
    by_end = [other for other in known if other.rpartition(".")[2] == name.rpartition(".")[2]]
    near = list(dict.fromkeys(by_end + get_close_matches(name, known, cutoff=0.6)))[:3]
    text = "there is no option of this name"
    return text + (f"; near it: {', '.join(near)}" if near else "") + (f"; `{listing}` lists all" if listing else "")


def value_text(value: Any) -> str:
    """A default as a person reads it."""
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(value_text, value))}]"
    if isinstance(value, BaseModel):
        return value_text(value.model_dump(exclude_defaults=True))
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {value_text(entry)}' for key, entry in value.items())}}}"
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def range_text(field: FieldInfo) -> str:
    """The values that a field takes, or the entries of a list, in words; empty: any of its type."""
    if get_origin(field.annotation) is tuple and get_args(field.annotation)[-1] is Ellipsis:
        text = range_text(_entry(field))
        return f"each {text}" if text else ""
    choices = [str(choice) for choice in get_args(field.annotation) if isinstance(choice, str)]
    if choices:
        return ", ".join(choices)
    return ", ".join(
        f"{words} {getattr(constraint, kind):g}"
        for constraint in field.metadata
        for kind, words in _BOUNDS
        if getattr(constraint, kind, None) is not None
    )


def _entry(field: FieldInfo) -> FieldInfo:
    """An entry of a list, as a field of its own."""
    return FieldInfo.from_annotation(get_args(field.annotation)[0])


def _unit(name: str, field: FieldInfo) -> str:
    if get_origin(field.annotation) is tuple and get_args(field.annotation)[-1] is Ellipsis:
        field = _entry(field)
    units = [item.name for item in field.metadata if isinstance(item, Unit)]
    found = units[0] if units else unit_in_name(name)
    return "" if found == NO_UNIT else found
