# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Geometry of a hand that touches objects: hinges, the surfaces they carry, and the objects.

Plain numbers, extracted from a scene (simulation/extract_geometry.py), stored in a model's description and used by
dynamics/contacts.py.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from mbrl_controller.tasks.spaces import AXES, Array

Numbers3 = tuple[float, float, float]
Numbers9 = tuple[float, float, float, float, float, float, float, float, float]
Length = Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)]
Plane = tuple[float, float, float, float]  # outward unit normal, and its distance (m) from the frame's origin
MAX_PARTS = 200  # hinges, shapes
BALL_FEATURES, SOLID_FEATURES = 4, 7  # contact features of each surface with each ball, and with each solid
MAX_PLANES = 64


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

    hinge: int = Field(ge=-1, description="index of the hinge that carries it; -1: the world")
    frame: Frame = Field(description="in the hinge's frame; the core is centred in it")
    half: tuple[Length, Length, Length] = Field(description="half extents of the core, m")
    radius: Length


class Ball(_Strict):
    """A ball with centre <name>.position.{x,y,z} in the state, in the geometry's world frame."""

    name: str
    radius: Length


class Solid(_Strict):
    """A convex part of an object that turns: centre <name>.position.*, axes <name>.orientation.* in the state.

    `half` (m): a box's half extents, from which the surface lies `radius` away (a capsule's and a ball's core are such
    boxes, flat in two or three directions); a cylinder's radius, radius and half length along z; an ellipsoid's
    semi-axes; of a hull, which is what lies behind all its `planes`, the half extents.
    """

    name: str
    kind: Literal["box", "cylinder", "ellipsoid", "hull"]
    frame: Frame = Field(description="in the object's frame")
    half: tuple[Length, Length, Length]
    radius: Length = 0.0
    planes: tuple[Plane, ...] = Field(default=(), max_length=MAX_PLANES)

    @model_validator(mode="after")
    def _complete(self) -> Solid:
        if (self.kind == "hull") != bool(self.planes):
            raise ValueError(f"{self.name}: a hull, and nothing else, has planes")
        if self.kind != "box" and (self.radius or not all(self.half)):
            raise ValueError(f"{self.name}: {self.kind} needs three half extents above zero and no radius")
        return self


class HandGeometry(_Strict):
    """Hinges (each after its parent), the surfaces they carry, and what they touch: balls, and solids that turn."""

    hinges: tuple[Hinge, ...] = Field(min_length=1, max_length=MAX_PARTS)
    shapes: tuple[Shape, ...] = Field(min_length=1, max_length=MAX_PARTS)
    balls: tuple[Ball, ...] = Field(default=(), max_length=8)
    solids: tuple[Solid, ...] = Field(default=(), max_length=16)

    @model_validator(mode="after")
    def _ordered(self) -> HandGeometry:
        for i, hinge in enumerate(self.hinges):
            if hinge.parent >= i:
                raise ValueError(f"hinge {hinge.joint}: its parent must come before it")
        if any(shape.hinge >= len(self.hinges) for shape in self.shapes):
            raise ValueError("a shape is carried by a hinge that does not exist")
        if not self.balls and not self.solids:
            raise ValueError("it has no objects")
        return self

    @model_serializer(mode="wrap")
    def _as_before_solids(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without solids the text is as it was before there were any: older readers and digests stay valid."""
        document: dict[str, Any] = handler(self)
        if not self.solids:
            document.pop("solids", None)
        return document

    def matches(self, other: HandGeometry) -> bool:
        """Whether hand and objects are equal up to rounding."""
        own, others = _flat(self.model_dump()), _flat(other.model_dump())
        return len(own) == len(others) and all(
            math.isclose(a, b, abs_tol=1e-6) if isinstance(a, float) and isinstance(b, float) else a == b
            for a, b in zip(own, others, strict=True)
        )

    @property
    def features(self) -> int:
        """Number of contact features."""
        return len(self.shapes) * (BALL_FEATURES * len(self.balls) + SOLID_FEATURES * len(self.solids))

    @property
    def state_names(self) -> tuple[str, ...]:
        """Required state entries."""
        placed = [(ball.name, False) for ball in self.balls]
        placed += dict.fromkeys((solid.name, True) for solid in self.solids)
        names = [f"{hinge.joint}.position" for hinge in self.hinges]
        for name, turns in placed:
            names += [f"{name}.position.{axis}" for axis in "xyz"]
            names += [f"{name}.orientation.{axis}" for axis in AXES] if turns else []
        return tuple(names)


def _flat(value: Any) -> list[Any]:
    """Leaves of a document of mappings and lists, in order."""
    if isinstance(value, dict):
        return [leaf for each in value.values() for leaf in _flat(each)]
    return [leaf for each in value for leaf in _flat(each)] if isinstance(value, list | tuple) else [value]
