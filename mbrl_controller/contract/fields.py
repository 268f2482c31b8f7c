# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What the parts of a contract's file are made of."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

Name = Annotated[str, Field(pattern=r"^\P{C}{1,200}$")]  # no control characters: used in messages and files
Topic = Annotated[str, Field(pattern=r"^(~/|/)?[A-Za-z_][0-9A-Za-z_]*(/[A-Za-z_][0-9A-Za-z_]*)*$", max_length=200)]
Angle = Annotated[float, Field(ge=-1e6, le=1e6)]


class Strict(BaseModel):
    """A mapping in which each key is known and each number finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Range(Strict):
    """From `lower` to `upper`."""

    lower: float
    upper: float

    @model_validator(mode="after")
    def _ordered(self) -> Range:
        if not self.lower < self.upper:
            raise ValueError(f"lower {self.lower} is not below upper {self.upper}")
        return self
