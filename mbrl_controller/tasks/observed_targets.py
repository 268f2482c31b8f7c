# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Rotating targets that look at the balls: to start where they are, or to wait for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from mbrl_controller.tasks.spaces import Array

if TYPE_CHECKING:
    from mbrl_controller.tasks.baoding import RotatingTargets


class ObservedTargets:
    """`targets` whose phase follows from what is observed (an ObservingGoal); between observations they go on turning.

    `begin`: at the first observation they are where the balls are. `lead` (rad): they are never further ahead of the
    balls than this, but wait; they never turn back. `angle_of`: the balls' angle (rad) on the targets' ellipse in a
    state [S].
    """

    def __init__(
        self,
        targets: RotatingTargets,
        angle_of: Callable[[Array], float],
        *,
        begin: bool = False,
        lead: float | None = None,
    ) -> None:
        self.targets = targets
        self._angle_of, self._begin, self._lead = angle_of, begin, lead
        self._balls: float | None = None  # rad, unwrapped, positive in the targets' direction
        self._shown = -np.inf  # rad, how far the targets had turned

    def at(self, times: Array) -> Array:
        """Goals [..., 4] at `times` [...] (s), as far as is known now."""
        return self.targets.at(times)

    def observe(self, state: Array, time: float) -> None:
        """The state [S] at `time` (s since the goal's zero). One in which the balls are nowhere tells nothing."""
        balls = self._angle_of(state)
        if not np.isfinite(balls):
            return
        sign = 1.0 if self.targets.direction == "counterclockwise" else -1.0
        turned = sign * 2 * np.pi * time / self.targets.period  # since the goal's zero
        asked = sign * (self.targets.phase + turned)
        balls = sign * balls
        if self._balls is None and self._begin:
            asked = balls
        near = asked if self._balls is None else self._balls
        self._balls = balls + 2 * np.pi * round((near - balls) / (2 * np.pi))
        if self._lead is not None:
            asked = max(min(asked, self._balls + self._lead), self._shown)
        self._shown = asked
        self.targets = replace(self.targets, phase=float(sign * asked - turned))
