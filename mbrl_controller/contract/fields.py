# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What the parts of a contract's file are made of, and which entries only format 2 has."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from mbrl_controller.base.number_entries import NumberEntries

Name = Annotated[str, Field(pattern=r"^\P{C}{1,200}$")]  # no control characters: used in messages and files
Topic = Annotated[str, Field(pattern=r"^(~/|/)?[A-Za-z_][0-9A-Za-z_]*(/[A-Za-z_][0-9A-Za-z_]*)*$", max_length=200)]
Angle = Annotated[float, Field(ge=-1e6, le=1e6)]
Scalar = Annotated[float, Field(ge=-1e9, le=1e9)]
SINCE_2 = "since format 2"  # metadata of an entry that format 1 does not have
LATER = "without format"  # metadata of an entry that 0.2 did not have, but format 1 may: absent from older digests


class Strict(NumberEntries):
    """A mapping in which each key is known and each number finite.

    An entry marked `SINCE_2` or `LATER` is dumped only where it differs from its default: contracts of format 1 keep
    the digest that they always had.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_serializer(mode="wrap")
    def _without_new_defaults(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        content: dict[str, Any] = dump(self)
        for name, field in type(self).model_fields.items():
            new = SINCE_2 in field.metadata or LATER in field.metadata
            if new and getattr(self, name) == field.get_default(call_default_factory=True):
                content.pop(name, None)
        return content

    def new_in_2(self) -> list[str]:
        """Entries given that only format 2 has, such as `transform` or `fields: effort`."""
        found = []
        for name, field in type(self).model_fields.items():
            called, value = field.alias or name, getattr(self, name)
            if SINCE_2 in field.metadata and name in self.model_fields_set:
                found.append(called)
            parts = (
                {called: value} if not isinstance(value, tuple) else {f"{called}.{i}": v for i, v in enumerate(value)}
            )
            for where, part in parts.items():
                found += [f"{where}.{new}" for new in part.new_in_2()] if isinstance(part, Strict) else []
        return found


class Range(Strict):
    """From `lower` to `upper`."""

    lower: float = Field(description="smallest value that counts")
    upper: float = Field(description="largest")

    @model_validator(mode="after")
    def _ordered(self) -> Range:
        if not self.lower < self.upper:
            raise ValueError(f"lower {self.lower} is not below upper {self.upper}")
        return self
