# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Joints as their driver names and measures them: its value is sign * scale * angle + offset.

The same for measurements and commands, so that what a driver reports after a command is that command.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from mbrl_controller.base.errors import ContractError
from mbrl_controller.contract.fields import Angle, Name, Strict
from mbrl_controller.tasks.spaces import Array


class DriverJoint(Strict):
    """`as` of a joint, or of all joints of a source or of the command; a joint's own keys come first."""

    name: Name | None = Field(default=None, description="the driver's name of the joint; None: the contract's")
    sum: Annotated[tuple[Name, ...], Field(min_length=2)] | None = Field(
        default=None, description="the driver's names of several joints whose sum this one is; for measurements"
    )
    prefix: str = Field(default="", pattern=r"^\P{C}{0,200}$", description="begins each of the driver's names")
    sign: Literal[-1, 1] = Field(default=1, description="-1: the driver counts the other way")
    scale: float = Field(default=1.0, ge=1e-6, le=1e6, description="driver's units per rad")
    offset: Angle = Field(default=0.0, description="driver's value at 0 rad, in its units")
    round: bool = Field(default=False, description="send whole numbers: the driver cuts off the rest")

    @model_validator(mode="after")
    def _one_or_several(self) -> DriverJoint:
        if self.name is not None and self.sum is not None:
            raise ValueError("give either name or sum")
        return self

    def over(self, shared: DriverJoint | None) -> DriverJoint:
        """This joint's mapping where `shared` is that of all: key by key, what is given here counts."""
        if shared is None:
            return self
        given = shared.model_dump(exclude_unset=True) | self.model_dump(exclude_unset=True)
        for own, other in (("name", "sum"), ("sum", "name")):
            if own in self.model_fields_set and other not in self.model_fields_set:
                given.pop(other, None)
        return DriverJoint.model_validate(given)

    def names(self, joint: str) -> tuple[str, ...]:
        """What the driver calls the contract's `joint`."""
        return tuple(self.prefix + name for name in self.sum or (self.name or joint,))


@dataclass(frozen=True, eq=False)
class JointMap:
    """n joints of a contract, and what their driver makes of them."""

    joints: tuple[str, ...]
    drivers: tuple[tuple[str, ...], ...]  # the driver's names of each joint: one, or several that are summed
    sign: Array  # [n] -1 or 1
    scale: Array  # [n] driver's units per rad
    offset: Array  # [n] driver's units
    whole: NDArray[np.bool_]  # [n] sent as a whole number

    @property
    def names(self) -> tuple[str, ...]:
        """All of the driver's names, in the order of the joints."""
        return tuple(name for names in self.drivers for name in names)

    @property
    def is_plain(self) -> bool:
        """Whether the driver's values are the angles, to the last bit."""
        return bool((self.sign == 1).all() and (self.scale == 1).all() and not self.offset.any())

    def to_driver(self, angles: Array) -> Array:
        """Driver's values [..., n] from angles [..., n] (rad). Rises, or falls, with the angle."""
        return angles if self.is_plain else self.sign * self.scale * angles + self.offset

    def to_angles(self, values: Array) -> Array:
        """Angles [..., n] (rad) from the driver's values [..., n]; of several joints, from their sum."""
        return values if self.is_plain else (values - self.offset) / (self.sign * self.scale)

    def to_driver_rates(self, rates: Array) -> Array:
        """Driver's rates [..., n] from rad/s."""
        return self.sign * self.scale * rates

    def to_rates(self, values: Array) -> Array:
        """rad/s [..., n] from the driver's rates."""
        return values / (self.sign * self.scale)

    def efforts(self, values: Array) -> Array:
        """Efforts [..., n] (N m) from the driver's, and back."""
        return self.sign * values

    def only(self, joints: Sequence[str]) -> JointMap:
        """These joints, in this order."""
        at = [self.joints.index(joint) for joint in joints]
        return JointMap(
            tuple(joints),
            tuple(self.drivers[i] for i in at),
            self.sign[at],
            self.scale[at],
            self.offset[at],
            self.whole[at],
        )


def joint_map(joints: Sequence[tuple[str, DriverJoint | None]], shared: DriverJoint | None, where: str) -> JointMap:
    """The map of `joints`, each with its own `as`; `shared`: the `as` of all.

    Raises ContractError, naming `where`, if the driver's names are not distinct.
    """
    each = [(joint, (own or DriverJoint()).over(shared)) for joint, own in joints]
    drivers = tuple(given.names(joint) for joint, given in each)
    names = [name for one in drivers for name in one]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ContractError(f"{where}: two joints are called {', '.join(twice)} by the driver")
    return JointMap(
        tuple(joint for joint, _ in each),
        drivers,
        np.array([given.sign for _, given in each], dtype=float),
        np.array([given.scale for _, given in each]),
        np.array([given.offset for _, given in each]),
        np.array([given.round for _, given in each], dtype=bool),
    )
