# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Contact features, inputs of the network: for each surface of the hand and each object how near, and which way.

For one capsule (core: the line of half length h along its axis z through its centre o; radius r) and one ball
(centre c, radius b):

    along     = clip((c - o) . z, -h, h)
    gap       = c - o - along z                        from the core's nearest point to the ball's centre
    distance  = |gap|
    influence = exp(-max(distance - r - b, DEEPEST) / REACH)
    features  = influence, influence gap / distance    [4]

A box is nearest along all three of its axes. Centres and axes follow from the joint angles by forward kinematics.
Objects that are no balls are in dynamics/solids.py. Contact depends on these distances; from joint angles alone a
network would have to learn them. The same formula runs in torch and is written into the ONNX graph: see
dynamics/array_operations.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mbrl_controller.dynamics import solids
from mbrl_controller.dynamics.array_operations import Operations, StateOperations, X
from mbrl_controller.dynamics.torch_operations import TorchOperations
from mbrl_controller.models.hand_geometry import BALL_FEATURES, SOLID_FEATURES, Frame, HandGeometry
from mbrl_controller.tasks.spaces import Array, VectorSpec

REACH = 8e-3  # m, over which a surface's influence falls by e; about the motion in one control step
DEEPEST = -4e-3  # m; contacts are soft, but a deeper prediction is not more of a contact
NEAREST = 1e-4  # m from a core; below it the direction is meaningless

VECTORS = {"line": 2, "box": 4}  # that place a surface's core: z and the origin, or all axes and the origin


class ContactLayout:
    """A geometry as matrices; the hinges of one depth are turned at once.

    A frame is four vectors: its axes x, y, z and its origin. Those of n frames are stored as [3, 4 n], vector v of
    frame j at v n + j. A frame given in another one is then a constant linear map of that frame's vectors, the same for
    each component. Surfaces are of two kinds, because most are capsules: a line needs only the axis z and the origin,
    a box needs all four vectors.
    """

    def __init__(self, geometry: HandGeometry, state: VectorSpec) -> None:
        self.constants: dict[str, NDArray[Any]] = {}
        self.balls = len(geometry.balls)
        self.solids = {f"solid{i}_": solid for i, solid in enumerate(geometry.solids)}
        depth: list[int] = []
        for hinge in geometry.hinges:
            depth.append(0 if hinge.parent < 0 else depth[hinge.parent] + 1)
        self.levels = [[i for i, d in enumerate(depth) if d == level] for level in range(max(depth) + 1)]
        joints = [f"{geometry.hinges[i].joint}.position" for hinges in self.levels for i in hinges]
        self._put("angles", state.indices(joints))
        for level, hinges in enumerate(self.levels):
            frames = [geometry.hinges[i].frame for i in hinges]
            parents = [geometry.hinges[i].parent for i in hinges]
            self._put(f"frames{level}", self._maps(parents, frames, level - 1) if level else _vectors(frames))
        self.kinds = {
            "line": [shape for shape in geometry.shapes if not any(shape.half[:2])],
            "box": [shape for shape in geometry.shapes if any(shape.half[:2])],
        }
        for kind, shapes in self.kinds.items():
            shapes.sort(key=lambda shape: -1 if shape.hinge < 0 else depth[shape.hinge])
            fixed = [shape.frame for shape in shapes if shape.hinge < 0]
            if fixed:
                self._put(f"{kind}_fixed", _vectors(fixed)[:, -VECTORS[kind] * len(fixed) :])
            for level in range(len(self.levels)):
                carried = [shape for shape in shapes if shape.hinge >= 0 and depth[shape.hinge] == level]
                if carried:
                    placed = self._maps([s.hinge for s in carried], [s.frame for s in carried], level)
                    self._put(f"{kind}{level}", placed[-VECTORS[kind] * len(carried) :])
            half = np.array([shape.half for shape in shapes]).reshape(-1, 3).T[4 - VECTORS[kind] :].reshape(-1, 1)
            self._put(f"{kind}_half", half)
            self._put(f"{kind}_minus_half", -half)
            if self.solids:
                self._put_half(f"{kind}_core", np.array([solids.core(shape)[0] for shape in shapes]))
        self.shapes = [*self.kinds["line"], *self.kinds["box"]]
        if self.balls:
            centres = [state.indices([f"{ball.name}.position.{axis}" for axis in "xyz"]) for ball in geometry.balls]
            touch = [[shape.radius + ball.radius for shape in self.shapes] for ball in geometry.balls]
            self._put("ball_centres", np.stack(centres)[:, :, None])
            self._put("ball_touch", np.array(touch)[:, None, :, None])
        for prefix, solid in self.solids.items():
            for name, constant in solids.constants(solid, prefix, state, self.shapes).items():
                self._put(name, constant)
        numbers = {"nothing": 0.0, "nearest": NEAREST**2, "deepest": DEEPEST, "reach": -1 / REACH}
        if self.solids:
            numbers |= {"one": 1.0, "tiny": solids.TINY**2}
        for name, value in numbers.items():
            self._put(f"contact_{name}", np.array(value))

    @property
    def parts(self) -> list[int]:
        """Numbers of features: of all balls together, then of each solid."""
        surfaces = len(self.shapes)
        balls = [surfaces * BALL_FEATURES * self.balls] if self.balls else []
        return balls + [surfaces * SOLID_FEATURES] * len(self.solids)

    @property
    def size(self) -> int:
        """Number of features F."""
        return sum(self.parts)

    def _put_half(self, kind: str, half: Array) -> None:
        """Half extents [n, 3] along the axes of a kind's cores, axis by axis."""
        half = half.reshape(-1, 3)
        for axis in range(4 - VECTORS[kind.split("_")[0]], 3):
            self._put(f"{kind}_{'xyz'[axis]}", half[:, axis, None])
            self._put(f"{kind}_minus_{'xyz'[axis]}", -half[:, axis, None])

    def _put(self, name: str, value: Array | NDArray[np.intp]) -> None:
        whole = np.issubdtype(value.dtype, np.integer)
        self.constants[name] = value.astype(np.int64 if whole else np.float32)

    def _maps(self, parents: list[int], frames: list[Frame], level: int) -> Array:
        """Map from the vectors of a level's p frames to those of n `frames` given in them: [4 n, 4 p]."""
        index = {hinge: j for j, hinge in enumerate(self.levels[level])}
        matrix = np.zeros((4, len(frames), 4, len(index)))
        for j, (parent, frame) in enumerate(zip(parents, frames, strict=True)):
            matrix[:, j, :3, index[parent]] = _rows(frame)
            matrix[3, j, 3, index[parent]] = 1.0  # origins add up
        return matrix.reshape(-1, 4 * len(index))


def contact_features(ops: StateOperations[X], layout: ContactLayout, state: X) -> X:
    """Features [..., F] of states [..., S]: per ball the influences of all surfaces in the layout's order, then their
    products with each component of the direction from surface to ball; then per solid the same and the turns."""
    states = ops.states_last(state)
    surfaces = _surfaces(ops, layout, states)
    balls, *others = layout.parts if layout.balls else (0, *layout.parts)
    touched = [ops.reshape(_ball_features(ops, layout, states, surfaces), [balls, -1])] if balls else []
    for (prefix, solid), size in zip(layout.solids.items(), others, strict=True):
        touched.append(ops.reshape(solids.features(ops, solid, prefix, states, surfaces), [size, -1]))
    return ops.states_first(ops.concat(touched, 0) if len(touched) > 1 else touched[0], state)


def _surfaces(ops: StateOperations[X], layout: ContactLayout, states: X) -> dict[str, list[X]]:
    """For each kind the axes along which it extends, and the origin: each [3, surfaces, B]."""
    angles = ops.gather(states, "angles")
    counts = [len(hinges) for hinges in layout.levels]
    sines, cosines = (ops.split(values, counts, 0) for values in (ops.sin(angles), ops.cos(angles)))
    placed: dict[str, list[list[X]]] = {kind: [] for kind in layout.kinds}
    for kind, found in placed.items():
        if f"{kind}_fixed" in layout.constants:
            zero = ops.sum_first(sines[0]) * ops.constant("contact_nothing")  # one for all states
            vectors = ops.constant(f"{kind}_fixed") + zero
            count = layout.constants[f"{kind}_fixed"].shape[1] // VECTORS[kind]
            found.append(ops.split(vectors, [count] * VECTORS[kind], 1))
    frames: Any = None
    for level, n in enumerate(counts):
        frames = _turned(ops, frames, sines[level], cosines[level], level, n)
        for kind, found in placed.items():
            if f"{kind}{level}" in layout.constants:
                count = len(layout.constants[f"{kind}{level}"]) // VECTORS[kind]
                found.append(ops.split(ops.matmul(f"{kind}{level}", frames), [count] * VECTORS[kind], 1))
    return {
        kind: [ops.concat(list(parts), 1) for parts in zip(*found, strict=True)]
        for kind, found in placed.items()
        if found
    }


def _turned(ops: StateOperations[X], parents: Any, sine: X, cosine: X, level: int, n: int) -> X:
    """Frames of a level [3, 4 n, B], each turned about its z, from those of the level above."""
    frames = ops.matmul(f"frames{level}", parents) if level else ops.constant("frames0")
    x, y, rest = ops.split(frames, [n, n, 2 * n], 1)
    if not level:  # constants: one for all states
        zero = sine * ops.constant("contact_nothing")
        rest = rest + ops.concat([zero, zero], 0)
    turned_x = x * cosine + y * sine
    turned_y = y * cosine - x * sine
    return ops.concat([turned_x, turned_y, rest], 1)


def _ball_features(ops: StateOperations[X], layout: ContactLayout, states: X, surfaces: dict[str, list[X]]) -> X:
    """[balls, 4, surfaces, B]: all balls at once, and all axes of a box."""
    centres = ops.gather(states, "ball_centres")  # [balls, 3, 1, B]
    gaps = []
    for kind, (*axes, origin) in surfaces.items():
        n, extended = len(layout.kinds[kind]), len(axes)
        gap = offset = centres - origin  # [balls, 3, n, B]
        axis = axes[0]
        if extended > 1:
            axis, offset = ops.concat(axes, 1), ops.concat([offset] * extended, 2)
        along = ops.maximum(_dot(ops, axis, offset), ops.constant(f"{kind}_minus_half"))
        nearest = axis * ops.minimum(along, ops.constant(f"{kind}_half"))
        for part in ops.split(nearest, [n] * extended, 2) if extended > 1 else [nearest]:
            gap = gap - part
        gaps.append(gap)
    gap = ops.concat(gaps, 2) if len(gaps) > 1 else gaps[0]
    distance = ops.sqrt(ops.maximum(_dot(ops, gap, gap), ops.constant("contact_nearest")))
    depth = ops.maximum(distance - ops.constant("ball_touch"), ops.constant("contact_deepest"))
    influence = ops.exp(depth * ops.constant("contact_reach"))
    return ops.concat([influence, gap * (influence / distance)], 1)


def _dot(ops: Operations[X], a: X, b: X) -> X:
    """[balls, 1, n, B] of [balls, 3, n, B], or of one of them without the first axis."""
    x, y, z = ops.split(a * b, [1, 1, 1], 1)
    return x + y + z


def _rows(frame: Frame) -> Array:
    """The frame's axes and origin as rows [4, 3]."""
    return np.vstack([frame.matrix.T, frame.position])


def _vectors(frames: list[Frame]) -> Array:
    """n frames given in the world, as [3, 4 n, 1]."""
    return np.stack([_rows(frame) for frame in frames], axis=1).reshape(-1, 3).T[:, :, None]


class TorchContacts(TorchOperations):
    """The features in torch; implements `StateOperations`."""

    def __init__(self, geometry: HandGeometry, state: VectorSpec) -> None:
        self.layout = ContactLayout(geometry, state)
        super().__init__(self.layout.constants)

    def forward(self, state: Tensor) -> Tensor:
        """Features [..., F] of states [..., S]."""
        return contact_features(self, self.layout, state)

    def states_last(self, state: Tensor) -> Tensor:
        return state.reshape(-1, state.shape[-1]).T

    def states_first(self, features: Tensor, state: Tensor) -> Tensor:
        return features.T.reshape(*state.shape[:-1], self.layout.size)

    def gather(self, x: Tensor, indices: str) -> Tensor:
        return x[self.get_buffer(indices)]
