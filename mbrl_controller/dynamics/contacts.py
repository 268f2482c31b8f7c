# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What a hand's surfaces do to balls, as inputs of the network: for each surface and ball how near, and from where.

Forward kinematics and distances are arithmetic that a network of joint angles would have to learn from experience, and
it is what contact depends on. The same formula runs in torch and is written into the ONNX graph: see `Operations`.
"""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mbrl_controller.models.hand_geometry import Frame, HandGeometry
from mbrl_controller.tasks.spaces import Array, VectorSpec

REACH = 8e-3  # m; over it a surface's influence falls by e. Ball and finger move about as far in one control step
DEEPEST = -4e-3  # m; contacts are soft, but what is predicted deeper than this is not more of a contact
NEAREST = 1e-4  # m, from a core: below it the direction means nothing

VECTORS = {"line": 2, "box": 4}  # that tell where a surface's core is: z and the origin, or all axes and the origin

X = TypeVar("X")


class Operations(Protocol[X]):
    """Arithmetic on arrays [..., B] of B states; constants are named entries of `ContactLayout.constants`.

    States come last, unlike elsewhere: each operation then runs over long rows of memory, and one value of all states
    is a row to pick, put or leave. In ONNX Runtime that takes well under half the time.
    """

    def columns(self, state: X) -> X:
        """States [..., S] as [S, B]."""
        ...

    def rows(self, features: X, state: X) -> X:
        """Features [k, n, B] as [..., k n], as many as states."""
        ...

    def pick(self, x: X, indices: str) -> X:
        """Rows [len(indices), B] of x [S, B]; from indices [n, 1] [n, 1, B]."""
        ...

    def linear(self, matrix: str, x: X) -> X:
        """matrix @ x."""
        ...

    def constant(self, name: str) -> X:
        """The constant itself."""
        ...

    def split(self, x: X, sizes: list[int], axis: int) -> list[X]:
        """Parts of x along an axis."""
        ...

    def join(self, parts: list[X], axis: int) -> X:
        """The opposite."""
        ...

    def add(self, a: X, b: X) -> X: ...
    def sub(self, a: X, b: X) -> X: ...
    def mul(self, a: X, b: X) -> X: ...
    def div(self, a: X, b: X) -> X: ...
    def least(self, a: X, b: X) -> X: ...
    def most(self, a: X, b: X) -> X: ...
    def sin(self, x: X) -> X: ...
    def cos(self, x: X) -> X: ...
    def exp(self, x: X) -> X: ...
    def sqrt(self, x: X) -> X: ...


class ContactLayout:
    """A geometry as matrices: hinges by their depth, so that all of a depth are turned at once.

    A frame is four vectors: its axes x, y, z and its origin. Those of n frames lie together as [3, 4 n], vector v of
    frame j at v n + j. A frame given in another one is then a constant linear map of that frame's vectors, the same for
    each component. Surfaces are of two kinds, since most are capsules: of a line only the axis z and the origin are
    needed, of a box all.
    """

    def __init__(self, geometry: HandGeometry, state: VectorSpec) -> None:
        self.constants: dict[str, NDArray[Any]] = {}
        self.balls = [ball.name for ball in geometry.balls]
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
            shapes.sort(key=lambda shape: depth[shape.hinge])
            for level in range(len(self.levels)):
                carried = [shape for shape in shapes if depth[shape.hinge] == level]
                if carried:
                    placed = self._maps([s.hinge for s in carried], [s.frame for s in carried], level)
                    self._put(f"{kind}{level}", placed[-VECTORS[kind] * len(carried) :])
            half = np.array([shape.half for shape in shapes]).reshape(-1, 3)
            for axis in range(4 - VECTORS[kind], 3):
                self._put(f"{kind}_{'xyz'[axis]}", half[:, axis, None])
                self._put(f"{kind}_minus_{'xyz'[axis]}", -half[:, axis, None])
        self.shapes = [*self.kinds["line"], *self.kinds["box"]]
        for ball in geometry.balls:
            centre = state.indices([f"{ball.name}.position.{axis}" for axis in "xyz"])
            self._put(f"{ball.name}_centre", centre[:, None])
            self._put(f"{ball.name}_touch", np.array([shape.radius + ball.radius for shape in self.shapes])[:, None])
        for name, value in (("nothing", 0.0), ("nearest", NEAREST**2), ("deepest", DEEPEST), ("reach", -1 / REACH)):
            self._put(f"contact_{name}", np.array(value))

    @property
    def size(self) -> int:
        """How many features there are."""
        return 4 * len(self.shapes) * len(self.balls)

    def _put(self, name: str, value: Array | NDArray[np.intp]) -> None:
        whole = np.issubdtype(value.dtype, np.integer)
        self.constants[name] = value.astype(np.int64 if whole else np.float32)

    def _maps(self, parents: list[int], frames: list[Frame], level: int) -> Array:
        """From the vectors of the p frames of a level to those of n `frames`, given in some of them: [4 n, 4 p]."""
        index = {hinge: j for j, hinge in enumerate(self.levels[level])}
        matrix = np.zeros((4, len(frames), 4, len(index)))
        for j, (parent, frame) in enumerate(zip(parents, frames, strict=True)):
            matrix[:, j, :3, index[parent]] = _rows(frame)
            matrix[3, j, 3, index[parent]] = 1.0  # origins add up
        return matrix.reshape(-1, 4 * len(index))


def contact_features(ops: Operations[X], layout: ContactLayout, state: X) -> X:
    """Features [..., F] of states [..., S]: for each ball, for each surface in layout's order, its influence
    w = exp(-gap / REACH), all of them, then w times each component of the direction from surface to ball."""
    columns = ops.columns(state)
    surfaces = _surfaces(ops, layout, columns)
    return ops.rows(ops.join([_of_ball(ops, layout, columns, ball, surfaces) for ball in layout.balls], 0), state)


def _surfaces(ops: Operations[X], layout: ContactLayout, columns: X) -> dict[str, list[X]]:
    """For each kind the axes along which it has an extent, and the origin: each [3, surfaces, B]."""
    angles = ops.pick(columns, "angles")
    counts = [len(hinges) for hinges in layout.levels]
    sines, cosines = (ops.split(values, counts, 0) for values in (ops.sin(angles), ops.cos(angles)))
    placed: dict[str, list[list[X]]] = {kind: [] for kind in layout.kinds}
    frames: Any = None
    for level, n in enumerate(counts):
        frames = _turned(ops, frames, sines[level], cosines[level], level, n)
        for kind, found in placed.items():
            if f"{kind}{level}" in layout.constants:
                count = len(layout.constants[f"{kind}{level}"]) // VECTORS[kind]
                found.append(ops.split(ops.linear(f"{kind}{level}", frames), [count] * VECTORS[kind], 1))
    return {
        kind: [ops.join(list(parts), 1) for parts in zip(*found, strict=True)]
        for kind, found in placed.items()
        if found
    }


def _turned(ops: Operations[X], parents: Any, sine: X, cosine: X, level: int, n: int) -> X:
    """The frames of a level [3, 4 n, B], each turned about its z, from those of the level above."""
    frames = ops.linear(f"frames{level}", parents) if level else ops.constant("frames0")
    x, y, rest = ops.split(frames, [n, n, 2 * n], 1)
    if not level:  # constants, of which there is one for all states
        zero = ops.mul(sine, ops.constant("contact_nothing"))
        rest = ops.add(rest, ops.join([zero, zero], 0))
    turned_x = ops.add(ops.mul(x, cosine), ops.mul(y, sine))
    turned_y = ops.sub(ops.mul(y, cosine), ops.mul(x, sine))
    return ops.join([turned_x, turned_y, rest], 1)


def _of_ball(ops: Operations[X], layout: ContactLayout, columns: X, ball: str, surfaces: dict[str, list[X]]) -> X:
    """[4, surfaces, B]."""
    centre = ops.pick(columns, f"{ball}_centre")
    gaps = []
    for kind, (*axes, origin) in surfaces.items():
        apart = gap = ops.sub(centre, origin)  # [3, surfaces, B]
        for name, axis in zip("xyz"[1 - VECTORS[kind] :], axes, strict=True):  # to the core's nearest point
            along = _dot(ops, axis, apart)
            along = ops.least(ops.most(along, ops.constant(f"{kind}_minus_{name}")), ops.constant(f"{kind}_{name}"))
            gap = ops.sub(gap, ops.mul(axis, along))
        gaps.append(gap)
    from_core = ops.join(gaps, 1)
    distance = ops.sqrt(ops.most(_dot(ops, from_core, from_core), ops.constant("contact_nearest")))
    between = ops.most(ops.sub(distance, ops.constant(f"{ball}_touch")), ops.constant("contact_deepest"))
    influence = ops.exp(ops.mul(between, ops.constant("contact_reach")))
    direction = ops.mul(from_core, ops.div(influence, distance))
    return ops.join([influence, direction], 0)


def _dot(ops: Operations[X], a: X, b: X) -> X:
    """[1, n, B] of [3, n, B]."""
    first, second, third = ops.split(ops.mul(a, b), [1, 1, 1], 0)
    return ops.add(ops.add(first, second), third)


def _rows(frame: Frame) -> Array:
    """Its axes and its origin, one below the other [4, 3]."""
    return np.vstack([frame.matrix.T, frame.position])


def _vectors(frames: list[Frame]) -> Array:
    """n frames of the world [3, 4 n, 1]."""
    return np.stack([_rows(frame) for frame in frames], axis=1).reshape(-1, 3).T[:, :, None]


class TorchContacts(nn.Module):
    """The features in torch, and the operations for them."""

    def __init__(self, geometry: HandGeometry, state: VectorSpec) -> None:
        super().__init__()
        self.layout = ContactLayout(geometry, state)
        for name, value in self.layout.constants.items():
            self.register_buffer(name, torch.tensor(value), persistent=False)

    def forward(self, state: Tensor) -> Tensor:
        """Features [..., F] of states [..., S]."""
        return contact_features(self, self.layout, state)

    def columns(self, state: Tensor) -> Tensor:
        return state.reshape(-1, state.shape[-1]).T

    def rows(self, features: Tensor, state: Tensor) -> Tensor:
        return features.flatten(0, 1).T.reshape(*state.shape[:-1], self.layout.size)

    def pick(self, x: Tensor, indices: str) -> Tensor:
        return x[self.get_buffer(indices)]

    def linear(self, matrix: str, x: Tensor) -> Tensor:
        return self.get_buffer(matrix) @ x

    def constant(self, name: str) -> Tensor:
        return self.get_buffer(name)

    def split(self, x: Tensor, sizes: list[int], axis: int) -> list[Tensor]:
        return list(x.split(sizes, axis))

    def join(self, parts: list[Tensor], axis: int) -> Tensor:
        return torch.cat(parts, axis)

    def add(self, a: Tensor, b: Tensor) -> Tensor:
        return a + b

    def sub(self, a: Tensor, b: Tensor) -> Tensor:
        return a - b

    def mul(self, a: Tensor, b: Tensor) -> Tensor:
        return a * b

    def div(self, a: Tensor, b: Tensor) -> Tensor:
        return a / b

    def least(self, a: Tensor, b: Tensor) -> Tensor:
        return torch.minimum(a, b)

    def most(self, a: Tensor, b: Tensor) -> Tensor:
        return torch.maximum(a, b)

    def sin(self, x: Tensor) -> Tensor:
        return x.sin()

    def cos(self, x: Tensor) -> Tensor:
        return x.cos()

    def exp(self, x: Tensor) -> Tensor:
        return x.exp()

    def sqrt(self, x: Tensor) -> Tensor:
        return x.sqrt()
