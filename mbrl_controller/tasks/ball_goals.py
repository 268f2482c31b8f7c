# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Goals of the two balls: time-driven rotating targets, targets that track the balls' phase, one ball to a place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from mbrl_controller.tasks.spaces import Array

# m, in the world frame, with the palm where PDDM has it: the four places of google-research/pddm (baoding_env.py,
# create_goal_trajectory). There the second ball is not in the hand; here it is, and must not drop.
PLACES = ((0.01, 0.04), (0.0, -0.06), (-0.02, -0.02), (0.03, -0.02))
NEAR = 0.02  # m; a ball this near to the place at the end has reached it
Direction = Literal["counterclockwise", "clockwise"]


@dataclass(frozen=True)
class RotatingTargets:
    """Two opposite targets that rotate on an ellipse at constant speed (directions as seen from above)."""

    center: tuple[float, float]
    radii: tuple[float, float]  # m, along x and y
    phase: float  # rad, of ball_a's target at t = 0
    period: float  # s per turn; infinite: the targets stand still
    direction: Direction = "counterclockwise"

    def at(self, times: Array) -> Array:
        """Goals [..., 4]: x, y of both targets (m)."""
        sign = 1.0 if self.direction == "counterclockwise" else -1.0
        angle = self.phase + sign * 2 * np.pi * np.asarray(times, dtype=float) / self.period
        x, y = self.radii[0] * np.cos(angle), self.radii[1] * np.sin(angle)
        cx, cy = self.center
        return np.stack([cx + x, cy + y, cx - x, cy - y], axis=-1)


class PhaseTrackingGoal:
    """`targets` whose phase follows the observed balls (an ObservingGoal); between observations they keep turning."""

    def __init__(
        self,
        targets: RotatingTargets,
        angle_of: Callable[[Array], float],
        *,
        begin: bool = False,
        lead: float | None = None,
    ) -> None:
        """
        Args:
            targets: their phase is replaced.
            angle_of: the balls' angle (rad) on the targets' ellipse in a state [S].
            begin: the targets start at the balls' first observed positions.
            lead: maximum lead (rad) over the balls; the targets wait there and never turn back. None: no maximum.
        """
        self.targets = targets
        self._angle_of, self._begin, self._lead = angle_of, begin, lead
        self._balls: float | None = None  # rad, unwrapped, positive in the targets' direction
        self._shown = -np.inf  # rad, how far the targets had turned

    def at(self, times: Array) -> Array:
        """Goals [..., 4] at `times` [...] (s), from the observations so far."""
        return self.targets.at(times)

    def observe(self, state: Array, time: float) -> None:
        """The state [S] at `time` (s since the goal's start). A state without finite ball positions is ignored."""
        balls = self._angle_of(state)
        if not np.isfinite(balls):
            return
        sign = 1.0 if self.targets.direction == "counterclockwise" else -1.0
        turned = sign * 2 * np.pi * time / self.targets.period  # since the goal's start
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


class BallPlacementGoal:
    """PDDM's second task, for a model trained to turn two balls: one ball goes to a place.

    ball_a's target is `place` (m). ball_b's target is its observed position (an ObservingGoal), so that it may move
    aside. `other`: x and y of ball_b in the state.
    """

    def __init__(self, place: tuple[float, float], other: slice) -> None:
        self.place = place
        self._other = other
        self._seen: Array = np.array(place, dtype=float)  # until it is observed

    def at(self, times: Array) -> Array:
        """Goals [..., 4] at `times` [...] (s)."""
        goal = np.concatenate([self.place, self._seen])
        return np.broadcast_to(goal, (*np.shape(times), 4)).copy()

    def observe(self, state: Array, time: float) -> None:
        """The state [S] at `time` (s)."""
        self._seen = np.array(state[self._other], dtype=float)
