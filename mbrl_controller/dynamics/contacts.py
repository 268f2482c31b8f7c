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

from mbrl_controller.geometry import Frame, HandGeometry
from mbrl_controller.tasks.spaces import Array, VectorSpec

REACH = 8e-3  # m; over it a surface's influence falls by e. Ball and finger move about as far in one control step
DEEPEST = -4e-3  # m; contacts are soft, but what is predicted deeper than this is not more of a contact
NEAREST = 1e-4  # m, from a core: below it the direction means nothing

AXES = {"line": 1, "box": 3}  # along which the core of a surface has an extent: z alone, or all

X = TypeVar("X")


class Operations(Protocol[X]):
    """Arithmetic on arrays [..., n]; constants are named entries of `ContactLayout.constants`."""

    def pick(self, x: X, indices: str) -> X:
        """Entries [..., len(indices)]."""
        ...

    def linear(self, x: X, matrix: str) -> X:
        """x @ matrix."""
        ...

    def constant(self, name: str) -> X:
        """The constant itself."""
        ...

    def split(self, x: X, sizes: list[int], axis: int = -1) -> list[X]:
        """Parts of x along an axis, -1 or -2."""
        ...

    def join(self, parts: list[X], axis: int = -1) -> X:
        """The opposite."""
        ...

    def shaped(self, x: X, *shape: int) -> X:
        """[..., n] as [..., *shape] where shape has two entries, and back where it has one."""
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
    def sum_rows(self, x: X) -> X:
        """[..., 3, m] summed to [..., 1, m]."""
        ...


class ContactLayout:
    """A geometry as matrices: hinges by their depth, so that all of a depth are turned at once.

    A frame is 12 numbers: its axes x, y, z and its origin. n frames lie side by side as [12 n], entry c of frame j at
    c n + j. A pose given in another frame is then a constant linear map of that frame's numbers. Surfaces are of two
    kinds, since most are capsules: of a line only the axis z and the origin are needed, of a box all.
    """

    def __init__(self, geometry: HandGeometry, state: VectorSpec) -> None:
        self.constants: dict[str, NDArray[Any]] = {}
        self.balls = [ball.name for ball in geometry.balls]
        depth: list[int] = []
        for hinge in geometry.hinges:
            depth.append(0 if hinge.parent < 0 else depth[hinge.parent] + 1)
        self.levels = [[i for i, d in enumerate(depth) if d == level] for level in range(max(depth) + 1)]
        for level, hinges in enumerate(self.levels):
            frames = [geometry.hinges[i].frame for i in hinges]
            parents = [geometry.hinges[i].parent for i in hinges]
            self._put(f"frames{level}", self._maps(parents, frames, level - 1) if level else _columns(frames))
            joints = state.indices([f"{geometry.hinges[i].joint}.position" for i in hinges])
            self._put(f"angles{level}", joints)
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
                    self._put(f"{kind}{level}", placed[:, -_numbers(kind) * len(carried) :])
            half = np.array([shape.half for shape in shapes]).reshape(-1, 3)
            for axis in range(3 - AXES[kind], 3):
                self._put(f"{kind}_{'xyz'[axis]}", half[None, :, axis])
                self._put(f"{kind}_minus_{'xyz'[axis]}", -half[None, :, axis])
        self.shapes = [*self.kinds["line"], *self.kinds["box"]]
        for ball in geometry.balls:
            self._put(f"{ball.name}_centre", state.indices([f"{ball.name}.position.{axis}" for axis in "xyz"]))
            self._put(f"{ball.name}_touch", np.array([shape.radius + ball.radius for shape in self.shapes])[None])
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
        """From the p frames of a level [12 p] to those of `frames`, given in some of them, [12 n]: [12 p, 12 n]."""
        index = {hinge: j for j, hinge in enumerate(self.levels[level])}
        matrix = np.zeros((12, len(index), 12, len(frames)))
        for j, (parent, frame) in enumerate(zip(parents, frames, strict=True)):
            placed = np.zeros((4, 4))  # [axis or origin of the parent, axis or origin of the child]
            placed[:3, :3], placed[:3, 3], placed[3, 3] = frame.matrix, frame.position, 1.0
            for component in range(3):
                matrix[component::3, index[parent], component::3, j] = placed
        return matrix.reshape(12 * len(index), -1)


def contact_features(ops: Operations[X], layout: ContactLayout, state: X) -> X:
    """Features [..., F] of states [..., S]: for each ball, for each surface in layout's order, its influence
    w = exp(-gap / REACH), all of them, then w times each component of the direction from surface to ball."""
    placed: dict[str, list[X]] = {kind: [] for kind in layout.kinds}
    frames: Any = None
    for level, hinges in enumerate(layout.levels):
        frames = _turned(ops, state, frames, level, len(hinges))
        for kind, found in placed.items():
            if f"{kind}{level}" in layout.constants:
                numbers = ops.linear(frames, f"{kind}{level}")
                count = layout.constants[f"{kind}{level}"].shape[1] // _numbers(kind)
                found.append(ops.shaped(numbers, _numbers(kind), count))
    surfaces = {
        kind: ops.split(ops.join(found), [3] * (AXES[kind] + 1), axis=-2) for kind, found in placed.items() if found
    }
    return ops.join([_of_ball(ops, layout, state, ball, surfaces) for ball in layout.balls])


def _turned(ops: Operations[X], state: X, parents: Any, level: int, n: int) -> X:
    """The frames of a level [..., 12 n], each turned about its z, from those of the level above."""
    x, y, rest = ops.split(
        ops.linear(parents, f"frames{level}") if level else ops.constant("frames0"), [3 * n, 3 * n, 6 * n]
    )
    angle = ops.pick(state, f"angles{level}")
    sine, cosine = (ops.join([value] * 3) for value in (ops.sin(angle), ops.cos(angle)))  # for each component
    if not level:  # constants, of which there is one for all states
        zero = ops.mul(sine, ops.constant("contact_nothing"))
        rest = ops.add(rest, ops.join([zero, zero]))
    turned_x = ops.add(ops.mul(cosine, x), ops.mul(sine, y))
    turned_y = ops.sub(ops.mul(cosine, y), ops.mul(sine, x))
    return ops.join([turned_x, turned_y, rest])


def _of_ball(ops: Operations[X], layout: ContactLayout, state: X, ball: str, surfaces: dict[str, list[X]]) -> X:
    centre = ops.shaped(ops.pick(state, f"{ball}_centre"), 3, 1)
    gaps = []
    for kind, (*axes, origin) in surfaces.items():
        apart = gap = ops.sub(centre, origin)  # [..., 3, surfaces]
        for name, axis in zip("xyz"[-AXES[kind] :], axes, strict=True):  # to the core's nearest point
            along = ops.sum_rows(ops.mul(axis, apart))
            along = ops.least(ops.most(along, ops.constant(f"{kind}_minus_{name}")), ops.constant(f"{kind}_{name}"))
            gap = ops.sub(gap, ops.mul(axis, along))
        gaps.append(gap)
    from_core = ops.join(gaps)
    squared = ops.sum_rows(ops.mul(from_core, from_core))
    distance = ops.sqrt(ops.most(squared, ops.constant("contact_nearest")))
    between = ops.most(ops.sub(distance, ops.constant(f"{ball}_touch")), ops.constant("contact_deepest"))
    influence = ops.exp(ops.mul(between, ops.constant("contact_reach")))
    direction = ops.mul(from_core, ops.div(influence, distance))
    return ops.shaped(ops.join([influence, direction], axis=-2), 4 * len(layout.shapes))


def _numbers(kind: str) -> int:
    """That tell where a surface is: its axes, and the origin."""
    return 3 * AXES[kind] + 3


def _columns(frames: list[Frame]) -> Array:
    """Frames in the world side by side [1, 12 n]."""
    numbers = np.array([np.append(frame.matrix.T.ravel(), frame.position) for frame in frames])
    return numbers.T.reshape(1, -1)


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

    def constant(self, name: str) -> Tensor:
        return self.get_buffer(name)

    def pick(self, x: Tensor, indices: str) -> Tensor:
        return x.index_select(-1, self.get_buffer(indices))

    def linear(self, x: Tensor, matrix: str) -> Tensor:
        return x @ self.get_buffer(matrix)

    def split(self, x: Tensor, sizes: list[int], axis: int = -1) -> list[Tensor]:
        return list(x.split(sizes, axis))

    def join(self, parts: list[Tensor], axis: int = -1) -> Tensor:
        return torch.cat(parts, axis)

    def shaped(self, x: Tensor, *shape: int) -> Tensor:
        return x.reshape(*x.shape[: -1 if len(shape) == 2 else -2], *shape)

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

    def sum_rows(self, x: Tensor) -> Tensor:
        return x.sum(-2, keepdim=True)
