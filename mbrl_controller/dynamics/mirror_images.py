# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Transitions and their mirror images, which are made when their rows are asked for: memory holds none. NumPy only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mbrl_controller.base.columns import chunks
from mbrl_controller.dynamics.data import Index, TransitionSet
from mbrl_controller.tasks.base import Symmetry
from mbrl_controller.tasks.spaces import Array


@dataclass(frozen=True)
class MirrorImages:
    """T transitions, then their T mirror images under each symmetry: row r is row r % T of the data in image r // T.

    Image 0 is the data itself. An image's rows are those of episodes of their own: no window goes from one to the next.
    """

    data: TransitionSet
    symmetries: tuple[Symmetry, ...] = ()

    @property
    def count(self) -> int:
        """How many images there are, the data itself among them."""
        return 1 + len(self.symmetries)

    def __len__(self) -> int:
        return self.count * len(self.data)

    def at(self, rows: Index) -> tuple[Array, Array, Array]:
        """States [..., S], actions [..., A] and next states [..., S] of rows [...], SI units."""
        data = self.data
        image, row = np.divmod(rows, max(len(data), 1))
        state, action, next_state = data.state[row], data.action[row], data.next_state[row]
        for number, symmetry in enumerate(self.symmetries, 1):
            own = np.nonzero(image == number)
            if len(own[0]):
                state[own] = symmetry.mirror_state(state[own])
                action[own] = symmetry.mirror_action(action[own])
                next_state[own] = symmetry.mirror_state(next_state[own])
        return state, action, next_state

    def parts(self) -> Iterator[tuple[Array, Array, Array]]:
        """All rows as `at` has them, in order, some at a time."""
        for part in chunks(len(self)):
            yield self.at(np.arange(part.start, part.stop))
