# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Goals of the cube that move: an orientation that turns about the vertical, and one that waits for the cube."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from mbrl_controller.tasks import orientation
from mbrl_controller.tasks.spaces import Array

UP = np.array([0.0, 0.0, 1.0])


@dataclass(frozen=True)
class TurningGoal:
    """An orientation that turns about the vertical, from that of the palm's frame."""

    rate: float  # rad/s, positive counterclockwise as seen from above; not 0

    def at(self, times: Array) -> Array:
        """Axes [..., 6] at `times` [...] (s)."""
        return orientation.about(UP, self.rate * np.asarray(times, dtype=float))


class WaitingGoal:
    """A turning goal that waits when it is `lead` (rad) ahead of the cube, and never turns back (an ObservingGoal)."""

    def __init__(self, goal: TurningGoal, axes: slice, lead: float) -> None:
        """`axes`: where the cube's orientation is in a state; `lead`: below pi."""
        self._goal, self._axes, self._lead = goal, axes, lead
        self._waited = 0.0  # s
        self._observed = 0.0  # s, when it was observed last

    def at(self, times: Array) -> Array:
        """Axes [..., 6] at `times` [...] (s), from the observations so far."""
        return self._goal.at(np.asarray(times, dtype=float) - self._waited)

    def observe(self, state: Array, time: float) -> None:
        """The state [S] at `time` (s since the goal's start). A state without a finite orientation is ignored."""
        axes = state[self._axes]
        if not np.isfinite(axes).all():
            return
        ahead = orientation.rotation_vector(axes, self.at(np.asarray(time)))[2] * np.sign(self._goal.rate)
        late = (ahead - self._lead) / abs(self._goal.rate)
        self._waited += min(max(late, 0.0), time - self._observed)
        self._observed = time
