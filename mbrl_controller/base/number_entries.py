# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Configurations in which `true` is no number: Python takes it for 1, and so does pydantic."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, get_args

from pydantic import BaseModel, model_validator


class NumberEntries(BaseModel):
    """Refuses a boolean wherever an entry, or one in its list or mapping, is not one."""

    @model_validator(mode="before")
    @classmethod
    def _no_booleans(cls, given: Any) -> Any:
        for name, field in cls.model_fields.items() if isinstance(given, Mapping) else ():
            called = field.alias or name
            takes_booleans, has_models = _kinds(cls, name)
            if not takes_booleans and (found := _boolean_in(given.get(called), has_models)) is not None:
                what = "is neither a number nor a text; a name like this is put into quotes"
                raise ValueError(f"{called}: {str(found).lower()} {what}")
        return given


@cache
def _kinds(model: type[BaseModel], name: str) -> tuple[bool, bool]:
    """Whether a field may hold booleans, and whether it holds further configurations, which look at theirs."""
    parts = _parts(model.model_fields[name].annotation)
    return any(part in (bool, Any, object) for part in parts), any(
        isinstance(part, type) and issubclass(part, BaseModel) for part in parts
    )


def _parts(annotation: Any) -> list[Any]:
    arguments = [part for argument in get_args(annotation) for part in _parts(argument)]
    return [annotation, *arguments]


def _boolean_in(value: Any, has_models: bool) -> bool | None:
    """The first boolean that is the value, or in it; not in mappings that may be configurations themselves."""
    if isinstance(value, bool):
        return value
    if isinstance(value, list | tuple):
        inside = list(value)
    elif isinstance(value, Mapping):
        inside = [part for part in value.values() if not has_models or not isinstance(part, Mapping)]
        if has_models and not all(isinstance(part, Mapping) for part in value.values()):
            return None  # a configuration, not a mapping of them
    else:
        return None
    return next((found for part in inside if (found := _boolean_in(part, has_models)) is not None), None)
