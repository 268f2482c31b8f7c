# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A reward ensemble in ONNX Runtime, the form in which it reaches the robot. No torch here."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from mbrl_controller.base.errors import ModelError
from mbrl_controller.models.heads import HeadKind, HeadSpec
from mbrl_controller.models.onnx_head import Float32, OnnxHead
from mbrl_controller.tasks.spaces import Array


class OnnxReward(OnnxHead):
    """(states, actions, next states, goals) -> reward of each member; see `RewardHead`.

    May be called by several threads at a time.
    """

    KINDS: ClassVar[tuple[HeadKind, ...]] = ("reward",)
    OUTPUT = "reward"

    @classmethod
    def input_shapes(cls, spec: HeadSpec) -> dict[str, tuple[int, ...]]:
        S, A, G = len(spec.state_names), len(spec.action_names), len(spec.goal_names)
        return {"state": (S,), "action": (A,), "next_state": (S,), "goal": (1, G)}

    @classmethod
    def output_shape(cls, spec: HeadSpec, rows: int | None) -> tuple[int | None, ...]:
        return (spec.members, rows)

    def rewards(self, states: Array, actions: Array, next_states: Array, goals: Array) -> Float32:
        """Rewards [V, M] of steps from states [M, S] by joint targets [M, A] to next states [M, S] under goals [M, G].

        NaN where an input is not finite, as of a candidate whose prediction diverged: the network's clamped inputs
        would make a number of it. Raises ModelError for inputs of other sizes.
        """
        given = [np.ascontiguousarray(value, dtype=np.float32) for value in (states, actions, next_states, goals)]
        if given[3].ndim == 2:
            given[3] = given[3][:, None]
        wanted = [(len(given[0]), *shape) for shape in self.input_shapes(self.spec).values()]
        if [value.shape for value in given] != wanted:
            shapes = dict(zip(self.input_shapes(self.spec), (value.shape for value in given), strict=True))
            raise ModelError(f"{self.path}: inputs {shapes} do not fit its description: {wanted}")
        found = self.evaluate(*given)
        finite = np.ones(len(given[0]), dtype=bool)
        for value in given:
            finite &= np.isfinite(value).reshape(len(value), -1).all(axis=1)
        if not finite.all():
            found[:, ~finite] = np.nan
        return found
