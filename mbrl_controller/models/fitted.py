# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A fitted physical parameter, and what a version's card keeps of all of them."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator


class FittedParameter(BaseModel):
    """A parameter's value and 95 % interval. `fitted`: False where the data says nothing of it, so that it stays as in
    the scene; its interval is then the range that was allowed."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: str
    value: float
    low: float
    high: float
    nominal: float
    unit: str = ""
    fitted: bool = True

    @model_validator(mode="after")
    def _in_order(self) -> FittedParameter:
        if not self.low <= self.value <= self.high:
            raise ValueError(f"{self.name}: {self.value} is not within its interval, {self.low} to {self.high}")
        return self

    def __str__(self) -> str:
        text = f"{self.name} {self.value:.4g} ({self.low:.4g} to {self.high:.4g})"
        return text if self.fitted else f"{self.name} {self.value:.4g}, as in the scene: not identifiable"


class IdentifiedCard(BaseModel):
    """The file's digest, and what a person wants to know without opening it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    world: str = ""  # the world that was fitted, as in models/origin.py
    parameters: tuple[FittedParameter, ...] = ()
    warnings: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()  # what the state does not measure, so that it was estimated

    def __str__(self) -> str:
        return "; ".join(map(str, self.parameters)) or "the scene as it is written"
