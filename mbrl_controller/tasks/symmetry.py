# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Symmetries of a task's physics, by which its training data is multiplied."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from mbrl_controller.tasks.orientation import IDENTITY, axes_to_matrix, matrix_to_axes
from mbrl_controller.tasks.spaces import AXES, Array, VectorSpec

Rows = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Symmetry:
    """A relabelling under which the physics is unchanged.

    By indices: entry i of the mirrored state is `state_sign[i]` times entry `state[i]` of the original, plus
    `state_offset[i]`; likewise for the action. Empty: all in their places, signs 1, offsets 0.
    By a matrix, for what turns or mirrors along other directions than the axes: `state_matrix` [S, S] times the state
    plus the offset, and `action_matrix` [A, A] times the action, instead of the indices and signs.
    Of an object that looks the same after a rotation: `relabelled` has (first index of its orientation, the rotation's
    axes in the object's own frame). See `object_symmetries`.
    `goal`, with its sign and offset, says by indices which goal the mirrored state has, so that reward and loss are the
    same: policies and values learn from mirrored rows then. None: unknown.
    """

    name: str
    state: tuple[int, ...] = ()
    action: tuple[int, ...] = ()
    state_sign: tuple[float, ...] = ()
    action_sign: tuple[float, ...] = ()
    state_offset: tuple[float, ...] = ()
    state_matrix: Rows = ()
    action_matrix: Rows = ()
    relabelled: tuple[tuple[int, tuple[float, ...]], ...] = ()
    goal: tuple[int, ...] | None = None
    goal_sign: tuple[float, ...] = ()
    goal_offset: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for what in ("state", "action"):
            matrix = getattr(self, f"{what}_matrix")
            if matrix and (getattr(self, what) or getattr(self, f"{what}_sign")):
                raise ValueError(f"symmetry {self.name}: {what} is given by indices and by a matrix")
            if any(len(row) != len(matrix) for row in matrix):
                raise ValueError(f"symmetry {self.name}: {what}_matrix is not square")

    def mirror_state(self, state: Array) -> Array:
        """The mirrored states [..., S]."""
        mirrored = _mirrored(state, self.state, self.state_sign, self.state_matrix)
        mirrored = mirrored + (np.array(self.state_offset) if self.state_offset else 0.0)
        for start, rotation in self.relabelled:
            axes = axes_to_matrix(mirrored[..., start : start + 6]) @ axes_to_matrix(np.array(rotation))
            mirrored[..., start : start + 6] = matrix_to_axes(axes)
        return mirrored

    def mirror_action(self, action: Array) -> Array:
        """The mirrored actions [..., A]."""
        return _mirrored(action, self.action, self.action_sign, self.action_matrix)

    def mirror_goal(self, goal: Array) -> Array:
        """The mirrored goals [..., G]; raises ValueError if they are unknown."""
        if self.goal is None:
            raise ValueError(f"symmetry {self.name}: it does not say what becomes of a goal")
        mirrored = _mirrored(goal, self.goal, self.goal_sign, ())
        return mirrored + (np.array(self.goal_offset) if self.goal_offset else 0.0)

    def description(self) -> dict[str, Any]:
        """What it is, for digests: only what is given of what came after indices, and nothing of goals, which the
        dynamics do not see."""
        later, unseen = ("state_matrix", "action_matrix", "relabelled"), ("goal", "goal_sign", "goal_offset")
        entries = ((name, value) for name, value in asdict(self).items() if name not in unseen)
        return {name: value for name, value in entries if value or name not in later}


def object_symmetries(state: VectorSpec, owner: str, group: Array) -> tuple[Symmetry, ...]:
    """For an object that looks the same after each rotation of `group` [K, 6] (`orientation.cube_group`, say): a
    symmetry for each but the identity. Raises KeyError if the state has no orientation of `owner`.

    The data grows as many times, so one usually takes a few of them.
    """
    start = state.index(f"{owner}.orientation.{AXES[0]}")
    turns = [tuple(float(value) for value in axes) for axes in group if not np.allclose(axes, IDENTITY)]
    return tuple(Symmetry(f"{owner} {i}", relabelled=((start, axes),)) for i, axes in enumerate(turns))


def _mirrored(values: Array, index: Sequence[int], sign: Sequence[float], matrix: Rows) -> Array:
    if matrix:
        turned: Array = values @ np.array(matrix).T
        return turned
    chosen: Array = values[..., list(index)] if index else values
    return chosen * (np.array(sign) if sign else 1.0)
