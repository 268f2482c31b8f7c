# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A version's file of fitted physics: what makes the simulator of its world move as a logged hand did.

The parameters have the names of the simulated hand's options, so that `--sim-set NAME=VALUE` makes the same hand.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mbrl_controller.base.errors import ModelError
from mbrl_controller.models.card import IDENTIFIED_FILE, ModelCard, Version
from mbrl_controller.models.fitted import FittedParameter
from mbrl_controller.models.spec import check_format, describe_validation

NOMINAL = "nominal"  # in place of a version: the scene as it is written


class Identified(BaseModel):
    """What the file says. `world`: SHA-256 (hex) of the scene whose parameters these are."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    format_version: Literal[1] = 1
    task: str
    robot: str
    world: str = Field(pattern="^[0-9a-f]{64}$")
    parameters: tuple[FittedParameter, ...] = ()

    @model_validator(mode="after")
    def _each_once(self) -> Identified:
        names = [parameter.name for parameter in self.parameters]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"parameters occur twice: {', '.join(twice)}")
        return self

    @property
    def options(self) -> dict[str, float]:
        """The simulated hand's options that differ from the scene's."""
        return {parameter.name: parameter.value for parameter in self.parameters if parameter.fitted}

    @classmethod
    def parse(cls, text: str | bytes, where: str) -> Identified:
        """Parse JSON; raises ModelError naming the fields at fault."""
        check_format(text, where)
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise ModelError(f"{where}: bad file of fitted parameters: {describe_validation(error)}") from error


def read_identified(version: Version, card: ModelCard) -> Identified:
    """A version's fitted parameters; raises ModelError if it has none, or if the file is damaged."""
    if card.identified is None:
        raise ModelError(
            f"{version.task} {version.name} has no fitted parameters: `mbrl identify {version.task}` makes a version "
            f"that has, --model names it, and --model {NOMINAL} takes the scene as it is written"
        )
    path = version.folder / IDENTIFIED_FILE
    found = Identified.parse(version.read(path, card).content, str(path))
    if found.task != version.task:
        raise ModelError(f"{path}: it is of task {found.task!r}, not {version.task!r}")
    return found
