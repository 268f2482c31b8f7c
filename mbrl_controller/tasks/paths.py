# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Paths in the plane that a goal follows at constant speed or in a given time: circles, random curves, digits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mbrl_controller.tasks.spaces import Array

# Strokes of the digits, each without lifting the pen, in a box of 1 by 1 around the origin.
DIGITS: dict[str, tuple[tuple[float, float], ...]] = {
    "0": ((0.0, 0.5), (-0.3, 0.3), (-0.3, -0.3), (0.0, -0.5), (0.3, -0.3), (0.3, 0.3), (0.0, 0.5)),
    "1": ((-0.25, 0.25), (0.0, 0.5), (0.0, -0.5)),
    "2": ((-0.3, 0.3), (-0.15, 0.5), (0.15, 0.5), (0.3, 0.3), (0.25, 0.05), (-0.3, -0.5), (0.3, -0.5)),
    "3": ((-0.3, 0.5), (0.3, 0.5), (0.0, 0.1), (0.3, -0.1), (0.25, -0.4), (0.0, -0.5), (-0.3, -0.35)),
    "4": ((0.1, 0.5), (-0.3, -0.15), (0.3, -0.15), (0.15, -0.15), (0.15, 0.2), (0.15, -0.5)),
    "5": ((0.3, 0.5), (-0.25, 0.5), (-0.3, 0.05), (0.1, 0.1), (0.3, -0.15), (0.15, -0.5), (-0.3, -0.4)),
    "6": ((0.2, 0.5), (-0.2, 0.15), (-0.3, -0.25), (0.0, -0.5), (0.3, -0.25), (0.0, 0.0), (-0.28, -0.2)),
    "7": ((-0.3, 0.5), (0.3, 0.5), (-0.1, -0.5)),
    "8": ((0.0, 0.0), (-0.25, 0.25), (0.0, 0.5), (0.25, 0.25), (0.0, 0.0), (-0.3, -0.25), (0.0, -0.5), (0.3, -0.25),
          (0.0, 0.0)),
    "9": ((0.28, 0.2), (0.0, 0.0), (-0.28, 0.25), (0.0, 0.5), (0.28, 0.25), (0.25, -0.15), (0.0, -0.5)),
}  # fmt: skip
HARMONICS = 3  # of a random curve


@dataclass(frozen=True)
class PathGoal:
    """Goals [..., 2] (m) on a polyline: `points[i]` [2] at `times[i]` (s), straight between, the last one for ever."""

    times: Array
    points: Array

    def at(self, times: Array) -> Array:
        t = np.asarray(times, dtype=float)
        return np.stack([np.interp(t, self.times, self.points[:, axis]) for axis in (0, 1)], axis=-1)


def at_constant_speed(points: Array, seconds: float) -> PathGoal:
    """The polyline `points` [K, 2] (m), drawn in `seconds`."""
    lengths = np.linalg.norm(np.diff(points, axis=0), axis=-1)
    way = np.concatenate([[0.0], np.cumsum(lengths)])
    return PathGoal(seconds * way / way[-1], points)


def circle(radius: float, turns: int = 1, count: int = 64) -> Array:
    """Points [K, 2] (m) of a circle through the origin, where it begins."""
    angle = np.linspace(0, 2 * np.pi * turns, turns * count + 1)
    return radius * np.stack([np.cos(angle) - 1, np.sin(angle)], axis=-1)


def digit(name: str, size: float) -> Array:
    """Points [K, 2] (m) of a digit of height `size` (m), from the origin on: where it begins is where the pen is."""
    points = size * np.array(DIGITS[name])
    return np.asarray(points - points[0])


def random_curve(rng: np.random.Generator, reach: float, count: int = 100) -> Array:
    """Points [count, 2] (m) of a smooth random curve that begins at the origin and stays within `reach` (m) of it."""
    phase = np.linspace(0, 2 * np.pi, count)[:, None]
    curve = np.zeros((count, 2))
    for harmonic in range(1, HARMONICS + 1):
        a, b = rng.standard_normal((2, 2)) / harmonic
        curve += a * (np.cos(harmonic * phase) - 1) + b * np.sin(harmonic * phase)
    return np.asarray(curve * (reach * rng.uniform(0.5, 1.0) / np.linalg.norm(curve, axis=-1).max()))
