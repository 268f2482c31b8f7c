# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What a hand's drivers make of command messages: what each joint is to do now."""

from __future__ import annotations

from collections import deque

import numpy as np

from mbrl_controller.tasks.spaces import Array


class SimulatedDriver:
    """The targets in force. A joint keeps its last one; a new message replaces what its topic's last one still has to
    come. Of a trajectory each point is held from when the one before was to be reached, as a plan is meant."""

    def __init__(self, target: Array) -> None:
        """`target` [A]: where the joints are held at the start (rad)."""
        self.target = target
        self._coming: dict[str, deque[tuple[float, Array]]] = {}

    def receive(self, topic: str, times: Array, targets: Array, now: float) -> None:
        """Points of a message, as `read_plan` gives them, at `now` (s, any clock)."""
        begins = np.concatenate([[now], now + times[:-1]])
        self._coming[topic] = deque(zip(begins.tolist(), targets, strict=True))

    def news(self, now: float) -> bool:
        """Let time pass until `now` (s); whether a target came into force meanwhile."""
        found = False
        for points in self._coming.values():
            while points and points[0][0] <= now:
                _, point = points.popleft()
                self.target, found = over(point, self.target), True
        return found


def over(point: Array, target: Array) -> Array:
    """`point` [A], and where it is NaN `target` [A]: a message need not command every joint."""
    return np.where(np.isnan(point), target, point)
