# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The part of a plan that a driver has in advance, and follows without a further command."""

from __future__ import annotations

import numpy as np

from mbrl_controller.tasks.spaces import Array


class PlanAhead:
    """A command and the points after it, one a control period, in force one after the other until something new is
    sent."""

    def __init__(self, period: float) -> None:
        """`period`: s."""
        self._period = period
        self.end()

    def end(self) -> None:
        """The driver has no points any more."""
        self._points, self._sent, self._passed = np.zeros((0, 0)), 0.0, 0

    def send(self, time: float, command: Array, following: Array) -> None:
        """`command` [A] and the points [n, A] that follow it were sent at `time` (s)."""
        self._points, self._sent, self._passed = np.concatenate([command[None], following]), time, 0

    def passed(self, now: float) -> list[tuple[float, Array]]:
        """The points after the command that came into force by `now` (s) and were not told of yet, with their times."""
        before, self._passed = self._passed, max(self._passed, self._index(now))
        return [(self._sent + i * self._period, self._points[i]) for i in range(before + 1, self._passed + 1)]

    def stop(self, now: float) -> Array | None:
        """The point [A] in force, if others follow it: sent alone, it ends the plan there. None: nothing is to end."""
        at = max(self._passed, self._index(now))
        point = self._points[at] if at + 1 < len(self._points) else None
        self.end()
        return point

    def _index(self, now: float) -> int:
        """Of the point in force: it is to be reached a period after the one before."""
        periods = np.clip((now - self._sent) / self._period, 0, len(self._points))
        return max(min(round(float(periods)), len(self._points)) - 1, 0)
