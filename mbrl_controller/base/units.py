# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What the numbers of a configuration count in, said once, at the field: `Annotated[float, Unit("rad")]`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

NO_UNIT = "no unit"  # counts, shares and factors
_SUFFIXES = {"_s": "s", "_hz": "Hz", "_rad": "rad", "_m": "m"}


@dataclass(frozen=True)
class Unit:
    """The unit of a number, in metadata that pydantic passes over."""

    name: str


Number = Annotated[float, Unit(NO_UNIT)]
Count = Annotated[int, Unit(NO_UNIT)]
Seconds = Annotated[float, Unit("s")]
Radians = Annotated[float, Unit("rad")]
Metres = Annotated[float, Unit("m")]


def unit_in_name(name: str) -> str:
    """The unit that a name ends in (`ramp_s`: s); empty where it ends in none."""
    return next((unit for suffix, unit in _SUFFIXES.items() if name.endswith(suffix)), "")
