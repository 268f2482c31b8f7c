# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Geometry of a hand that touches balls: hinges, the surfaces they carry, and the balls.

Plain numbers, extracted from a scene (simulation/extract_geometry.py), stored in a model's description and used by
dynamics/contacts.py.
"""

from __future__ import annotations

import math
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from mbrl_controller.tasks.spaces import Array

Numbers3 = tuple[float, float, float]
Numbers9 = tuple[float, float, float, float, float, float, float, float, float]
Length = Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)]
MAX_PARTS = 200  # hinges, shapes


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Frame(_Strict):
    """A pose in another frame: rotation matrix by rows, and origin (m)."""

    rotation: Numbers9
    position: Numbers3

    @classmethod
    def of(cls, rotation: Array, position: Array) -> Frame:
        """From a matrix [3, 3] and a vector [3]."""
        return cls.model_validate({"rotation": np.ravel(rotation).tolist(), "position": np.ravel(position).tolist()})

    @property
    def matrix(self) -> Array:
        """The rotation [3, 3]."""
        return np.array(self.rotation).reshape(3, 3)


class Hinge(_Strict):
    """A joint: its frame turns about its z axis by the joint's angle."""

    joint: str = Field(description="angle: state entry <joint>.position, rad")
    parent: int = Field(ge=-1, description="index of the hinge that carries it; -1: the world")
    frame: Frame = Field(description="in the parent's frame, at angle 0")


class Shape(_Strict):
    """All points within `radius` of a core: a capsule if the core is a line, else a rounded box."""

    hinge: int = Field(ge=0, description="index of the hinge that carries it")
    frame: Frame = Field(description="in the hinge's frame; the core is centred in it")
    half: tuple[Length, Length, Length] = Field(description="half extents of the core, m")
    radius: Length


class Ball(_Strict):
    """A ball with centre <name>.position.{x,y,z} in the state, in the geometry's world frame."""

    name: str
    radius: Length


class HandGeometry(_Strict):
    """Hinges (each after its parent), the surfaces they carry, and the balls."""

    hinges: tuple[Hinge, ...] = Field(min_length=1, max_length=MAX_PARTS)
    shapes: tuple[Shape, ...] = Field(min_length=1, max_length=MAX_PARTS)
    balls: tuple[Ball, ...] = Field(min_length=1, max_length=8)

    @model_validator(mode="after")
    def _ordered(self) -> HandGeometry:
        for i, hinge in enumerate(self.hinges):
            if hinge.parent >= i:
                raise ValueError(f"hinge {hinge.joint}: its parent must come before it")
        if any(shape.hinge >= len(self.hinges) for shape in self.shapes):
            raise ValueError("a shape is carried by a hinge that does not exist")
        return self

    def matches(self, other: HandGeometry) -> bool:
        """Whether hand and balls are equal up to rounding."""
        own, others = _flat(self.model_dump()), _flat(other.model_dump())
        return len(own) == len(others) and all(
            math.isclose(a, b, abs_tol=1e-6) if isinstance(a, float) and isinstance(b, float) else a == b
            for a, b in zip(own, others, strict=True)
        )

    @property
    def state_names(self) -> tuple[str, ...]:
        """Required state entries."""
        centres = [f"{ball.name}.position.{axis}" for ball in self.balls for axis in "xyz"]
        return (*(f"{hinge.joint}.position" for hinge in self.hinges), *centres)


def _flat(value: Any) -> list[Any]:
    """Leaves of a document of mappings and lists, in order."""
    if isinstance(value, dict):
        return [leaf for each in value.values() for leaf in _flat(each)]
    return [leaf for each in value for leaf in _flat(each)] if isinstance(value, list | tuple) else [value]
