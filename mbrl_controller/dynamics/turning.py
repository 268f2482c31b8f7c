# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""From a state and the networks' output to the next state, where the state has orientations.

An orientation is two unit axes, six entries. The networks predict how it turns: a vector r in the contract's frame,
along the turn's axis and of length 2 tan(angle / 2), which is nearly the angle. Each axis v becomes

    v + 2 / (1 + s.s) (s x v + s x (s x v)),    s = r / 2

and both are made orthonormal again, as by `tasks/orientation.orthonormal`, so that errors of measurement and rounding
do not grow over the horizon. A change of the six entries depends on the orientation; the turn that the same push gives
does not, and is learnt from less data. Other entries are the state's plus the change.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from torch import Tensor

from mbrl_controller.dynamics.array_operations import Operations, X
from mbrl_controller.tasks.orientation import ALONG, TINY
from mbrl_controller.tasks.spaces import VectorSpec

# A turn whose components have deviation d changes each of the six entries by sqrt(2 / 3) d, over all orientations.
TURN_PER_ENTRY = float(np.sqrt(1.5))
CONSTANTS = {"zero": 0.0, "half": 0.5, "one": 1.0, "two": 2.0, "tiny": TINY**2, "along": ALONG**2}

Vector = Sequence[X]  # three components


class TurnLayout:
    """Where the orientations are, in a state of S entries and in an output of S - 3 K for K orientations."""

    def __init__(self, state: VectorSpec) -> None:
        self.starts = state.orientations
        self.outputs = len(state) - 3 * len(self.starts)
        bounds = [(0, 0), *((start, start + 6) for start in self.starts), (len(state), len(state))]
        self.between = [begin - end for (_, end), (begin, _) in pairwise(bounds)]  # entries around the orientations
        self.constants = {f"turn_{name}": np.array(value, dtype=np.float32) for name, value in CONSTANTS.items()}
        entries, factors, end = [], [], 0
        for start in self.starts:
            entries += [*range(end, start), start, start, start]
            factors += [1.0] * (start - end) + [TURN_PER_ENTRY] * 3
            end = start + 6
        # An output's scale is that of the entry's change, times the factor.
        self.entries = np.array([*entries, *range(end, len(state))])
        self.factors = np.array([*factors, *[1.0] * (len(state) - end)])

    def alike(self, scale: Tensor) -> Tensor:
        """Scales [..., S] with the root mean square over each orientation's entries: so that no frame matters."""
        result = scale.clone() if self.starts else scale
        for start in self.starts:
            result[..., start : start + 6] = scale[..., start : start + 6].square().mean(-1, keepdim=True).sqrt()
        return result


def next_state(ops: Operations[X], layout: TurnLayout, state: X, output: X) -> list[X]:
    """Parts of the next states [..., S], to be joined along the last axis, of states and outputs [..., S - 3 K]."""
    before = iter(ops.split(state, _sizes(layout.between, 6), -1))
    changes = iter(ops.split(output, _sizes(layout.between, 3), -1))
    parts: list[X] = []
    for i, entries in enumerate(layout.between):
        if entries:
            parts.append(next(before) + next(changes))
        if i < len(layout.starts):
            axes = [next(before) for _ in range(6)]
            half = [next(changes) * ops.constant("turn_half") for _ in range(3)]
            parts += orthonormal(ops, turned(ops, half, axes[:3]), turned(ops, half, axes[3:]))
    return parts


def turned(ops: Operations[X], half: Vector[X], vector: Vector[X]) -> list[X]:
    """The vector, turned by twice the angle whose tangent is the length of `half`, about the direction of `half`."""
    factor = ops.constant("turn_two") / (ops.constant("turn_one") + _dot(half, half))
    across = _cross(half, vector)
    return [v + factor * (a + b) for v, a, b in zip(vector, across, _cross(half, across), strict=True)]


def orthonormal(ops: Operations[X], x: Vector[X], y: Vector[X]) -> list[X]:
    """The six components of the axes, as `tasks/orientation.orthonormal` has them."""
    zero, one = ops.constant("turn_zero"), ops.constant("turn_one")
    tiny = ops.constant("turn_tiny")
    x = _unit(ops, x, _dot(x, x) - tiny, [one, zero, zero])
    # The first of the unit vectors that x is least along.
    squares = [value * value for value in x]
    no_first = squares[0] - ops.minimum(squares[1], squares[2])
    first = ops.choose(no_first, zero, one)
    second = ops.choose(no_first, ops.choose(squares[1] - squares[2], zero, one), zero)
    spare = _across(x, [first, second, one - first - second])
    along = ops.maximum(_dot(y, y) * ops.constant("turn_along"), tiny)
    y = _across(x, y)
    y = _unit(ops, y, _dot(y, y) - along, spare)
    y = _across(x, y)  # again: a short y leaves rounding errors along x
    length = ops.sqrt(_dot(y, y))
    return [*x, *(value / length for value in y)]


def _unit(ops: Operations[X], vector: Vector[X], long: X, otherwise: Vector[X]) -> list[X]:
    """The direction of the vector where `long` is above zero, else `otherwise`."""
    length = ops.sqrt(ops.maximum(_dot(vector, vector), ops.constant("turn_tiny")))
    return [ops.choose(long, a / length, b) for a, b in zip(vector, otherwise, strict=True)]


def _across(x: Vector[X], vector: Vector[X]) -> list[X]:
    """What of the vector is at right angles to the unit vector x."""
    along = _dot(x, vector)
    return [v - along * a for v, a in zip(vector, x, strict=True)]


def _dot(a: Vector[X], b: Vector[X]) -> X:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _cross(a: Vector[X], b: Vector[X]) -> list[X]:
    return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]


def _sizes(between: Sequence[int], width: int) -> list[int]:
    """Sizes of the parts: the entries between the orientations, and each of the `width` entries of an orientation."""
    sizes: list[int] = []
    for i, entries in enumerate(between):
        sizes += [entries] if entries else []
        sizes += [1] * width if i < len(between) - 1 else []
    return sizes
