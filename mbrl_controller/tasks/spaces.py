# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Named vectors: the name and unit of each entry of a state, an action or a goal.

A model, a contract and a task agree if their `VectorSpec`s are equal; entries are never matched by position alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbrl_controller.base.errors import ContractError
from mbrl_controller.tasks.arrays import as_array, constant, namespace

Array = NDArray[np.floating[Any]]
Mask = NDArray[np.bool_]

AXES = tuple(f"{axis}_axis.{component}" for axis in "xy" for component in "xyz")  # of an orientation, in order
_ENTRY = re.compile(
    r"(?P<owner>.+)\.(?:"
    r"(?P<joint>position|velocity|effort|value)"
    r"|(?P<object>position|velocity|angular_velocity)\.(?P<axis>[xyz])"
    r"|orientation\.(?P<turned>[xy]_axis\.[xyz]))",
    re.DOTALL,
)


@dataclass(frozen=True)
class EntryName:
    """The parts of a state entry's name: `FFJ3.position`, `ball_a.velocity.x`, `cube.orientation.x_axis.y`.

    `owner`: joint, object or element of an array, which may have dots. `quantity`: position, velocity and effort of a
    joint; position, velocity, orientation and angular_velocity of an object; value of an array's element.
    `component`: empty for joints and arrays, an axis for objects, one of `AXES` for orientations.
    """

    owner: str
    quantity: str
    component: str = ""

    @property
    def is_object(self) -> bool:
        """Whether the owner is an object in space."""
        return bool(self.component)


def parse_entry(name: str) -> EntryName:
    """Split a state entry's name; raises ContractError for a name of another form."""
    found = _ENTRY.fullmatch(name)
    if found is None:
        raise ContractError(
            f"state entry {name!r}: expected <joint>.position, .velocity or .effort; <object>.position.x, .velocity.x, "
            ".angular_velocity.x or .orientation.x_axis.x; or <name>.value"
        )
    owner, joint, thing, axis, turned = found.groups()
    return EntryName(owner, joint or thing or "orientation", axis or turned or "")


@dataclass(frozen=True)
class VectorSpec:
    """Names and SI units of the entries of a vector, in order.

    Names of a state's entries are those of `EntryName`. An object's orientation is the six entries of `AXES`, one after
    the other; what is not is refused with ValueError.
    `periodic`: indices of unbounded angles (rad); their differences are wrapped to one turn.
    """

    names: tuple[str, ...]
    units: tuple[str, ...]
    periodic: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if len(self.names) != len(self.units):
            raise ValueError(f"{len(self.names)} names but {len(self.units)} units")
        twice = {name for name in self.names if self.names.count(name) > 1}
        if twice:
            raise ValueError(f"names occur twice: {sorted(twice)}")
        _ = self.orientations  # checks them

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def orientations(self) -> tuple[int, ...]:
        """Index of the first of each orientation's six entries, ascending."""
        starts = [i for i, name in enumerate(self.names) if name.endswith(f".orientation.{AXES[0]}")]
        whole: set[int] = set()
        for i in starts:
            owner = self.names[i].removesuffix(AXES[0])
            if self.names[i : i + 6] == tuple(owner + axis for axis in AXES):
                whole.update(range(i, i + 6))
        for i, name in enumerate(self.names):
            found = _ENTRY.fullmatch(name)
            if found is not None and found["turned"] and i not in whole:
                raise ValueError(f"{name}: an orientation must have these six entries in a row: {', '.join(AXES)}")
        return tuple(starts)

    def index(self, name: str) -> int:
        """Index of `name`; raises KeyError with the known names."""
        try:
            return self.names.index(name)
        except ValueError:
            raise KeyError(f"no entry {name!r}; entries are {', '.join(self.names)}") from None

    def indices(self, names: Sequence[str]) -> NDArray[np.intp]:
        """Indices of `names`, in their order."""
        return np.array([self.index(name) for name in names], dtype=np.intp)

    def difference(self, later: Array, earlier: Array) -> Array:
        """`later - earlier` [..., S], with periodic entries wrapped to [-pi, pi)."""
        delta = np.asarray(later - earlier)
        if self.periodic:
            angle = list(self.periodic)
            delta[..., angle] = wrap_angle(delta[..., angle])
        return delta


def wrap_angle(angle: Array) -> Array:
    """The same angle (rad) in [-pi, pi)."""
    wrapped: Array = (as_array(angle) + np.pi) % (2 * np.pi) - np.pi
    return wrapped


@dataclass(frozen=True)
class ActionSpace:
    """Joint position targets (rad), and their map from a planner's actions in [-1, 1].

    0 is the neutral pose; +-1 is `stroke` (PDDM: 0.9) of the way from there to the joint's limit. `limit` clips a
    target to `max_rate * period` from the joint's position, as PDDM does at each step.
    """

    names: tuple[str, ...]
    lower: Array  # [A] rad
    upper: Array  # [A] rad
    neutral: Array  # [A] rad
    max_rate: Array  # [A] rad/s
    period: float  # s
    stroke: float = 0.9

    def __post_init__(self) -> None:
        for field in ("lower", "upper", "neutral", "max_rate"):
            value = np.array(getattr(self, field), dtype=float)
            if value.shape != (len(self.names),):
                raise ContractError(f"{field} has shape {value.shape}, expected ({len(self.names)},)")
            if not np.isfinite(value).all():
                raise ContractError(f"{field} must be finite, got {value.tolist()}")
            value.setflags(write=False)
            object.__setattr__(self, field, value)
        for i, name in enumerate(self.names):
            if not self.lower[i] < self.upper[i]:
                raise ContractError(f"joint {name}: lower limit {self.lower[i]} is not below {self.upper[i]} rad")
            if not self.lower[i] <= self.neutral[i] <= self.upper[i]:
                raise ContractError(f"joint {name}: neutral {self.neutral[i]} rad is outside its limits")
            if not self.max_rate[i] > 0:
                raise ContractError(f"joint {name}: max_rate must be positive, got {self.max_rate[i]}")
        if not self.period > 0:
            raise ContractError(f"control period must be positive, got {self.period}")
        if not 0 < self.stroke <= 1:
            raise ContractError(f"stroke must lie in (0, 1], got {self.stroke}")

    def __len__(self) -> int:
        return len(self.names)

    def to_target(self, normalised: Array) -> Array:
        """Joint targets [..., A] (rad) of planner actions [..., A] in [-1, 1], as float32 if they are."""
        xp, normalised = namespace(normalised), as_array(normalised)
        if xp is np and normalised.dtype != np.float32:
            normalised = normalised.astype(float)
        up = constant(self.stroke * (self.upper - self.neutral), normalised)
        down = constant(self.stroke * (self.neutral - self.lower), normalised)
        target: Array = xp.maximum(normalised, 0.0) * up
        target += xp.minimum(normalised, 0.0) * down
        target += constant(self.neutral, normalised)
        return target

    def to_normalised(self, target: Array) -> Array:
        """Inverse of `to_target`, clipped to [-1, 1]; 0 on a side where a joint has no range."""
        up = self.stroke * (self.upper - self.neutral)
        down = self.stroke * (self.neutral - self.lower)
        offset = np.asarray(target) - self.neutral
        room = np.where(offset > 0, up, down)
        return np.clip(np.divide(offset, room, out=np.zeros_like(offset), where=room > 0), -1.0, 1.0)

    def limit(self, target: Array, position: Array) -> Array:
        """`target` [..., A] (rad), clipped to what `position` [..., A] reaches in one period, then to the joint limits.

        The limits come last, so that they hold even for a joint that was pushed beyond them.
        """
        reach = self.max_rate * self.period
        return np.clip(np.clip(target, position - reach, position + reach), self.lower, self.upper)
