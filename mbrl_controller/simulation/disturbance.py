# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Pulses on the commands: for a while the joints are driven to other targets than they were sent."""

from __future__ import annotations

import numpy as np

from mbrl_controller.simulation.sim_options import SimOptions
from mbrl_controller.tasks.spaces import Array

DRAWS = 4  # their stream of a seed


class CommandDisturbance:
    """One pulse in each `command_disturbance_every` seconds, at a random time: every joint's target is displaced by
    `command_disturbance`, up or down, for `command_disturbance_s`. Times and signs are the seed's, whatever else is."""

    def __init__(self, options: SimOptions, joints: int) -> None:
        self._size, self._joints = options.command_disturbance, joints
        self._every = max(options.command_disturbance_every, options.command_disturbance_s)
        self._lasts = options.command_disturbance_s
        self.reset(0)

    @property
    def is_on(self) -> bool:
        """Whether there is any."""
        return self._size > 0 and self._lasts > 0

    def reset(self, seed: int) -> None:
        """Begin an episode."""
        self._seed, self._drawn = seed, -1

    def offset(self, time: float) -> Array | None:
        """The displacement [A] (rad) at `time` (s); None between pulses."""
        begin, end, signs = self._pulse(time)
        return self._size * signs if begin <= time < end else None

    def until(self, time: float) -> float:
        """s from `time` to when the displacement may change next."""
        begin, end, _ = self._pulse(time)
        following = (self._drawn + 1) * self._every
        return min(at - time for at in (begin, end, following) if at > time + 1e-9)

    def _pulse(self, time: float) -> tuple[float, float, Array]:
        number = int(time / self._every + 1e-9)  # the quotient of floating point numbers may be a little short
        if number != self._drawn:
            rng = np.random.default_rng([self._seed, DRAWS, number])
            begin = number * self._every + rng.uniform(0.0, self._every - self._lasts)
            self._now = begin, begin + self._lasts, rng.choice([-1.0, 1.0], self._joints)
            self._drawn = number
        return self._now
