# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Every key of the YAML files that a person writes: the robot contract and the world."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from mbrl_controller.base.option_rows import range_text, value_text
from mbrl_controller.contract.contract import ContractFile
from mbrl_controller.contract.fields import SINCE_2
from mbrl_controller.simulation.scene_file import SceneFile
from sitegen.tables import code, table


def contract() -> str:
    """Keys of a robot contract."""
    return _document(ContractFile)


def world() -> str:
    """Keys of a scene.yaml."""
    return _document(SceneFile)


def models_within(model: type[BaseModel]) -> list[type[BaseModel]]:
    """A model and all that its fields hold, each once, in the order in which they are met."""
    found = [model]
    for other in found:  # grows
        inner = [part for field in other.model_fields.values() for part in _parts(field.annotation)]
        found += [part for part in dict.fromkeys(inner) if part not in found]
    return found


def _document(model: type[BaseModel]) -> str:
    sections = []
    for part in models_within(model):
        lines = (part.__doc__ or "").strip().splitlines()
        title = "The document" if part is model else part.__name__
        rows = [_row(name, field) for name, field in part.model_fields.items()]
        header = ("key", "type", "default", "range", "meaning")
        sections.append(f"### {title}\n\n{' '.join(line.strip() for line in lines)}\n\n{table(header, rows)}")
    return "\n".join(sections)


def _row(name: str, field: FieldInfo) -> list[str]:
    default = "**required**" if field.is_required() else code(value_text(field.get_default(call_default_factory=True)))
    since = " (format 2)" if SINCE_2 in field.metadata else ""
    return [
        code(field.alias or name),
        type_text(field.annotation),
        default,
        range_text(field),
        f"{field.description}{since}",
    ]


def _parts(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models in a type."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _parts(inner)


def type_text(annotation: Any) -> str:
    """A type in a few words; models by name."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return type_text(inner[0])
    if origin is Literal:
        return " or ".join(code(str(value)) for value in inner)
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(type_text(part) for part in inner if part is not type(None)))
    if origin is tuple:
        return f"list of {type_text(inner[0])}" if inner[-1] is Ellipsis else f"{len(inner)} numbers"
    if origin is dict:
        return f"mapping to {type_text(inner[1])}"
    names = {str: "text", float: "number", int: "whole number", bool: "true or false", Any: "any"}
    return names.get(annotation) or f"[{annotation.__name__}](#{annotation.__name__.lower()})"
