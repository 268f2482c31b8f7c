# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Options of the simulated contact physics: of a world as its scene says, of another one, or drawn for each episode.

An option with a list has no entry (as the scene says), one (that), or several, of which each episode draws one.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_origin

from pydantic import BaseModel, ConfigDict, Field, field_validator

from mbrl_controller.base.units import Number, Unit

Cone = Literal["pyramidal", "elliptic"]
Integrator = Literal["euler", "rk4", "implicit", "implicitfast"]
ListedSeconds = Annotated[float, Unit("s"), Field(gt=0, le=0.02)]
ListedContactSeconds = Annotated[float, Unit("s"), Field(gt=0, le=0.5)]
ListedMetres = Annotated[float, Unit("m"), Field(ge=0, le=1)]
ListedShare = Annotated[float, Unit("no unit"), Field(gt=0, lt=1)]
ListedFactor = Annotated[float, Unit("no unit"), Field(gt=0, le=20)]
ListedCount = Annotated[int, Unit("no unit"), Field(ge=0, le=100)]
ListedDimensions = Annotated[int, Unit("no unit"), Field(ge=1, le=6)]

DIMENSIONS = (1, 3, 4, 6)  # that MuJoCo's condim may be


class ContactOptions(BaseModel):
    """Contact physics, integration and what the bodies are made of. The names of MuJoCo's options are in brackets."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    cone: tuple[Cone, ...] = Field(default=(), description="friction cone of contacts (cone)")
    noslip_iterations: tuple[ListedCount, ...] = Field(
        default=(), description="iterations of the solver that prevents slip (noslip_iterations)"
    )
    physics_step: tuple[ListedSeconds, ...] = Field(
        default=(), description="duration of a physics step, of which the control period is a multiple (timestep)"
    )
    integrator: tuple[Integrator, ...] = Field(default=(), description="numerical integrator (integrator)")
    impedance_ratio: tuple[ListedFactor, ...] = Field(
        default=(), description="frictional to normal impedance of elliptic cones (impratio)"
    )
    contact_time: tuple[ListedContactSeconds, ...] = Field(
        default=(), description="time constant of all contacts; longer is softer (solref)"
    )
    contact_damping: tuple[ListedFactor, ...] = Field(
        default=(), description="damping ratio of all contacts; below 1 they bounce (solref)"
    )
    contact_impedance: tuple[ListedShare, ...] = Field(
        default=(), description="impedance of all contacts, less of which is softer (solimp: dmin and dmax)"
    )
    condim: tuple[ListedDimensions, ...] = Field(
        default=(),
        description="dimensions of the objects' friction: 1 none, 3 sliding, 4 torsional too, 6 rolling too (condim)",
    )
    torsional_friction: tuple[ListedMetres, ...] = Field(
        default=(), description="of the objects, counts from condim 4 on (friction)"
    )
    rolling_friction: tuple[ListedMetres, ...] = Field(
        default=(), description="of the objects, counts with condim 6 (friction)"
    )
    tendons: Literal["scene", "kept"] = Field(
        default="scene",
        description="kept: the model file's tendons couple the fingers' joints, whatever the scene says",
    )
    mass_factor: Number = Field(default=1.0, gt=0, le=20, description="on the mass of each object, before its draw")
    friction_factor: Number = Field(
        default=1.0, gt=0, le=20, description="on all friction that is not given here, before its draw"
    )
    gain_factor: Number = Field(default=1.0, gt=0, le=20, description="on each position gain, before its draw")
    damping_factor: Number = Field(
        default=1.0, gt=0, le=20, description="on the damping of the hand's joints and of their servos"
    )
    loose_friction_factor: Number = Field(
        default=1.0,
        gt=0,
        le=20,
        description="on damping and dry friction of joints that no servo moves, such as a valve's",
    )

    @field_validator("*", mode="before")
    @classmethod
    def _one_is_a_list(cls, value: Any, info: Any) -> Any:
        listed = get_origin(cls.model_fields[info.field_name].annotation) is tuple
        return (value,) if listed and not isinstance(value, list | tuple) else value

    @field_validator("condim")
    @classmethod
    def _known_dimensions(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if set(value) - set(DIMENSIONS):
            raise ValueError(f"each is one of {', '.join(map(str, DIMENSIONS))}")
        return value
