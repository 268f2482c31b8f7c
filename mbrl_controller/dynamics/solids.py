# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Contact features of solids that turn: boxes, capsules, cylinders, ellipsoids and hulls.

All is computed in the solid's frame. A surface's core (a line or a box, see dynamics/contacts.py) and the solid are
convex, so their nearest points are found by projecting on one and the other in turn:

    p = the core's point nearest to the solid's centre
    q = the solid's point nearest to p, p = the core's point nearest to q         SWEEPS times
    distance  = |q - p| - radii
    influence = exp(-max(distance, DEEPEST) / REACH)
    features  = influence, influence n, influence (lever x n) / size              [7]

with n the direction from p to q and the lever from the object's centre to q. A push along n moves the object along n
and turns it about lever x n. Both are given in the contract's frame, in which the networks predict the object's motion:
so they do not depend on which of a cube's faces is called x.

The solid's nearest point is exact for boxes, capsules (a line, and a radius) and cylinders; for ellipsoids it comes
from three Newton steps; for hulls two projections on the planes end within a few millimetres of it. Boxes of the hand
without a radius get one, of at most ROUNDING, cut from their core: else there would be no direction where they touch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbrl_controller.dynamics.array_operations import Operations, StateOperations, X
from mbrl_controller.models.hand_geometry import Frame, Shape, Solid
from mbrl_controller.tasks.spaces import AXES, Array, VectorSpec

SWEEPS = 3
ROUNDING = 2e-3  # m
TINY = 1e-9  # m, below which there is no direction


def core(shape: Shape) -> tuple[Array, float]:
    """Half extents [3] and radius (m) of the shape for contacts with solids."""
    half = np.array(shape.half)
    extended = half[half > 0]
    cut = max(0.0, min(ROUNDING - shape.radius, 0.5 * extended.min())) if len(extended) else 0.0
    return np.where(half > 0, half - cut, 0.0), shape.radius + cut


def constants(solid: Solid, prefix: str, state: VectorSpec, shapes: Sequence[Shape]) -> dict[str, NDArray[Any]]:
    """What `features` needs to know of the solid, named `<prefix><name>`; indices are integers."""
    position = state.indices([f"{solid.name}.position.{axis}" for axis in "xyz"])
    axes = state.indices([f"{solid.name}.orientation.{axis}" for axis in AXES])
    half = np.array(solid.half)
    extent = max(float(np.linalg.norm(solid.frame.position) + np.linalg.norm(half) + solid.radius), 1e-3)
    values: dict[str, NDArray[Any]] = {
        "position": position[:, None],
        "x": axes[:3, None],
        "y": axes[3:, None],
        "frame": _map(solid.frame),
        "centre": (solid.frame.matrix.T @ np.array(solid.frame.position))[:, None, None],
        "half": half[:, None, None],
        "minus_half": -half[:, None, None],
        "radii": np.array([core(shape)[1] + solid.radius for shape in shapes])[:, None],
        "size": np.array(1 / extent),
    }
    if solid.kind == "cylinder":
        values |= {"radius": np.array(half[0]), "z": half[2:], "minus_z": -half[2:]}
    if solid.kind == "ellipsoid":
        values |= {"square": half[:, None, None] ** 2, "minus_one": np.array(-1.0)}
    if solid.kind == "hull":
        planes = np.array(solid.planes)
        values |= {f"normal_{axis}": planes[:, i, None, None] for i, axis in enumerate("xyz")}
        values["offset"] = planes[:, 3, None, None]
    return {f"{prefix}{name}": value for name, value in values.items()}


def features(ops: StateOperations[X], solid: Solid, prefix: str, states: X, surfaces: dict[str, list[X]]) -> X:
    """[7, surfaces, B] of states [S, B]: influence, push and turn.

    Args:
        ops: Operations.
        solid: What is touched.
        prefix: Of its constants.
        states: [S, B].
        surfaces: For each kind the axes along which its cores extend, and their origins: each [3, n, B].
    """
    x, y = ops.gather(states, f"{prefix}x"), ops.gather(states, f"{prefix}y")
    frame = ops.concat([x, y, _cross(ops, x, y), ops.gather(states, f"{prefix}position")], 1)
    *axes, origin = ops.split(ops.matmul(f"{prefix}frame", frame), [1, 1, 1, 1], 1)
    gaps, touched = [], []
    for kind, (*directions, centre) in surfaces.items():
        local = [_inside(ops, axes, vector) for vector in (*directions, centre - origin)]
        p, q = _nearest(ops, solid, prefix, kind, local)
        gaps.append(q - p)
        touched.append(q)
    gap, lever = ops.concat(gaps, 1), ops.concat(touched, 1) + ops.constant(f"{prefix}centre")
    distance = ops.sqrt(ops.maximum(ops.sum_first(gap * gap), ops.constant("contact_nearest")))
    depth = ops.maximum(distance - ops.constant(f"{prefix}radii"), ops.constant("contact_deepest"))
    influence = ops.exp(depth * ops.constant("contact_reach"))
    push = gap * (influence / distance)
    turn = _cross(ops, lever * ops.constant(f"{prefix}size"), push)
    return ops.concat([influence, _outside(ops, axes, push), _outside(ops, axes, turn)], 0)


def _nearest(ops: Operations[X], solid: Solid, prefix: str, kind: str, core: list[X]) -> tuple[X, X]:
    """Points [3, n, B] of the cores and of the solid that are nearest to each other, in the solid's frame."""
    *directions, centre = core
    p = _on_core(ops, kind, directions, centre, ops.constant("contact_nothing"))
    for _ in range(SWEEPS):
        q = _on_solid(ops, solid, prefix, p)
        p = _on_core(ops, kind, directions, centre, q)
    return p, _on_solid(ops, solid, prefix, p)


def _on_core(ops: Operations[X], kind: str, directions: list[X], centre: X, point: X) -> X:
    """The core's point nearest to `point`."""
    offset, nearest = point - centre, centre
    for name, direction in zip("xyz"[3 - len(directions) :], directions, strict=True):
        along = ops.maximum(ops.sum_first(direction * offset), ops.constant(f"{kind}_core_minus_{name}"))
        nearest = nearest + direction * ops.minimum(along, ops.constant(f"{kind}_core_{name}"))
    return nearest


def _on_solid(ops: Operations[X], solid: Solid, prefix: str, point: X) -> X:
    """The solid's point nearest to `point`; within the solid, the point itself."""

    def constant(name: str) -> X:
        return ops.constant(f"{prefix}{name}")

    if solid.kind == "box":
        return ops.minimum(ops.maximum(point, constant("minus_half")), constant("half"))
    if solid.kind == "cylinder":
        across, z = ops.split(point, [2, 1], 0)
        length = ops.sqrt(ops.maximum(ops.sum_first(across * across), ops.constant("contact_tiny")))
        inward = ops.minimum(constant("radius") / length, ops.constant("contact_one"))
        return ops.concat([across * inward, ops.minimum(ops.maximum(z, constant("minus_z")), constant("z"))], 0)
    if solid.kind == "ellipsoid":
        return _on_ellipsoid(ops, constant("square"), constant("half"), point)
    for _ in range(2):
        x, y, z = ops.split(point, [1, 1, 1], 0)
        normals = [constant(f"normal_{axis}") for axis in "xyz"]
        outside = normals[0] * x + normals[1] * y + normals[2] * z - constant("offset")
        outside = ops.maximum(outside, ops.constant("contact_nothing"))  # [planes, n, B]
        share = outside / ops.sqrt(ops.maximum(ops.sum_first(outside * outside), ops.constant("contact_tiny")))
        square = share * share
        weight = square * square * share  # so that the plane that is violated most counts nearly alone
        step = ops.concat([ops.sum_first(normal * weight) for normal in normals], 0)
        # To the plane that this sum of the violated ones implies.
        length = ops.maximum(ops.sum_first(step * step), ops.constant("contact_tiny"))
        point = point - step * (ops.sum_first(weight * outside) / length)
    return point


def _on_ellipsoid(ops: Operations[X], square: X, half: X, point: X) -> X:
    """Solves sum((half p / (square + t))²) = 1 for t >= 0; the point is square p / (square + t)."""
    zero, one = ops.constant("contact_nothing"), ops.constant("contact_one")
    scaled, shift = point * half, zero
    for _ in range(3):
        denominator = square + shift
        part = scaled / denominator
        part = part * part
        slope = ops.sum_first(part / denominator)
        excess = ops.sum_first(part)
        # Newton's step for 1 / sqrt(sum) - 1, which is nearly straight; exact for a ball.
        root = ops.sqrt(ops.maximum(excess, ops.constant("contact_tiny")))
        shift = ops.maximum(shift + (excess * (root - one)) / ops.maximum(slope, ops.constant("contact_tiny")), zero)
    return point * (square / (square + shift))


def _inside(ops: Operations[X], axes: list[X], vector: X) -> X:
    """A vector [3, n, B] in the frame with these axes [3, 1, B]."""
    return ops.concat([ops.sum_first(axis * vector) for axis in axes], 0)


def _outside(ops: Operations[X], axes: list[X], vector: X) -> X:
    """A vector [3, n, B] of the frame with these axes [3, 1, B], in the contract's."""
    x, y, z = ops.split(vector, [1, 1, 1], 0)
    return axes[0] * x + axes[1] * y + axes[2] * z


def _cross(ops: Operations[X], a: X, b: X) -> X:
    """[3, n, B]."""
    (ax, ay, az), (bx, by, bz) = (ops.split(v, [1, 1, 1], 0) for v in (a, b))
    return ops.concat([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], 0)


def _map(frame: Frame) -> Array:
    """From the vectors (axes, origin) of the object's frame to those of `frame`, which is given in it: [4, 4]."""
    matrix = np.zeros((4, 4))
    matrix[:3, :3] = frame.matrix.T
    matrix[3] = [*frame.position, 1.0]
    return matrix
