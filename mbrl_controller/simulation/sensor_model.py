# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Sensor noise, latency and loss, and command latency. Deterministic for a seed; time is passed in.

The environment and the ROS node use the same classes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np

from mbrl_controller.simulation.sim_options import SimOptions
from mbrl_controller.tasks.orientation import about, compose
from mbrl_controller.tasks.spaces import AXES, Array, parse_entry

TIME_TOLERANCE = 1e-9  # s; times are sums of floating point steps


def noise_levels(entries: Sequence[str], options: SimOptions) -> Array:
    """Standard deviation [n] of each state entry, by its name; 0 for orientations, which are turned instead."""
    levels = {
        (False, "position"): options.joint_noise,
        (False, "velocity"): options.joint_velocity_noise,
        (False, "effort"): options.effort_noise,
        (False, "value"): options.array_noise,
        (True, "position"): options.object_noise,
        (True, "velocity"): options.object_velocity_noise,
        (True, "orientation"): 0.0,
        (True, "angular_velocity"): options.angular_velocity_noise,
    }
    return np.array([levels[entry.is_object, entry.quantity] for entry in map(parse_entry, entries)])


class SensorModel:
    """One sensor, or a whole state measured at once. Feed it ground truth; it returns the measurements delivered."""

    def __init__(self, entries: Sequence[str], options: SimOptions, seed: int) -> None:
        self.options = options
        self.levels = noise_levels(entries, options)
        self._turned = [i for i, entry in enumerate(entries) if parse_entry(entry).component == AXES[0]]
        self.reset(seed)

    def reset(self, seed: int) -> None:
        """Forget measurements in flight; the same seed gives the same noise and losses."""
        self._rng = np.random.default_rng(seed)
        self._in_flight: deque[tuple[float, Array]] = deque()

    def noisy(self, values: Array, rng: np.random.Generator) -> Array:
        """`values` [n] with noise from `rng`."""
        measured: Array = values + self.levels * rng.standard_normal(len(self.levels))
        for at in self._turned:
            axis, size = rng.standard_normal(3), self.options.orientation_noise
            if size:  # a turn by nothing would still round
                turn = about(axis, np.asarray(size * np.linalg.norm(axis)))
                measured[at : at + 6] = compose(turn, measured[at : at + 6])
        return measured

    def measure(self, time: float, values: Array) -> None:
        """Measure `values` [n] at `time` (s).

        Lost measurements draw noise too, so that the loss rate does not change the noise of the others.
        """
        measured = self.noisy(values, self._rng)
        if self._rng.random() >= self.options.drop_probability:
            self._in_flight.append((time, measured))

    def arrivals(self, time: float) -> list[tuple[float, Array]]:
        """Stamps and values of the measurements that arrived by `time` (s) since the last call."""
        arrived = []
        while self._in_flight and self._in_flight[0][0] + self.options.observation_latency <= time + TIME_TOLERANCE:
            arrived.append(self._in_flight.popleft())
        return arrived

    def observe(self, time: float, values: Array) -> tuple[float, Array] | None:
        """Measure, and return stamp and values of the newest measurement to arrive, or None: older ones that arrive in
        the same call are superseded."""
        self.measure(time, values)
        arrived = self.arrivals(time)
        return arrived[-1] if arrived else None


class ActuatorDelay:
    """Delays commands on their way to the joints."""

    def __init__(self, latency: float) -> None:
        self.latency = latency  # s
        self._in_flight: deque[tuple[float, Array]] = deque()

    def reset(self) -> None:
        """Forget commands in flight."""
        self._in_flight.clear()

    def push(self, time: float, command: Array) -> None:
        """Send `command` [A] at `time` (s)."""
        self._in_flight.append((time, np.array(command, dtype=float)))

    def pop(self, time: float) -> Array | None:
        """Newest command that takes effect by `time` (s) and was not returned yet, or None."""
        due = None
        while self._in_flight and self._in_flight[0][0] + self.latency <= time + TIME_TOLERANCE:
            due = self._in_flight.popleft()[1]
        return due
