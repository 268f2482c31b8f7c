# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A value ensemble in ONNX Runtime, the form in which it reaches the robot. No torch here."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from mbrl_controller.models.heads import HeadKind, HeadSpec
from mbrl_controller.models.onnx_head import Float32, OnnxHead
from mbrl_controller.tasks.spaces import Array


class OnnxValue(OnnxHead):
    """(states, goals) -> discounted return to go of each member; see `ValueHead`.

    May be called by several threads at a time.
    """

    KINDS: ClassVar[tuple[HeadKind, ...]] = ("value",)
    OUTPUT = "value"

    @classmethod
    def output_shape(cls, spec: HeadSpec, rows: int | None) -> tuple[int | None, ...]:
        return (spec.members, rows)

    def values(self, states: Array, goals: Array) -> Float32:
        """Discounted returns [V, M] from states [M, S] on, under goals [L, G] for all, or [M, L, G].

        goals[i] is the goal i + 1 periods after the states. NaN where a state or goal is not finite, as of a candidate
        whose prediction diverged: the network's clamped inputs would make a number of it.
        """
        state, goal = self._inputs(states, goals)
        found = self.evaluate(state, goal)
        finite = np.isfinite(state).all(axis=1) & np.isfinite(goal).all(axis=(1, 2))
        if not finite.all():
            found[:, ~finite] = np.nan
        return found
