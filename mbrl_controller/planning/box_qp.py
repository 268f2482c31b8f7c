# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""min 1/2 x'Hx + g'x subject to lower <= x <= upper, by projected Newton steps.

Tassa, Mansard and Todorov, "Control-Limited Differential Dynamic Programming", ICRA 2014, section III-B. With a dozen
joints it takes two or three factorisations.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mbrl_controller.tasks.spaces import Array, Mask

MAX_ITERATIONS = 50
SHRINK, ARMIJO = 0.6, 0.1  # of the line search
SMALLEST_STEP = 1e-10
GRADIENT_TOLERANCE = 1e-9


@dataclass(frozen=True)
class BoxSolution:
    """The minimiser `x` [n], and which entries are `free` [n]: not held at a bound."""

    x: Array
    free: Mask


def solve_box_qp(hessian: Array, gradient: Array, lower: Array, upper: Array, start: Array) -> BoxSolution:
    """The minimiser within the box.

    Args:
        hessian: [n, n], symmetric and positive definite.
        gradient: [n], at x = 0.
        lower: [n]
        upper: [n], nowhere below `lower`.
        start: [n], where to begin; clipped to the box.

    Raises:
        np.linalg.LinAlgError: the hessian is not positive definite.
    """
    x = np.clip(start, lower, upper)
    free = np.ones(len(x), dtype=bool)
    for _ in range(MAX_ITERATIONS):
        slope = gradient + hessian @ x
        # Held at a bound: those there that the gradient pushes outwards.
        free = ~(((x <= lower) & (slope > 0)) | ((x >= upper) & (slope < 0)))
        if not free.any() or np.abs(slope[free]).max() < GRADIENT_TOLERANCE * max(1.0, np.abs(gradient).max()):
            break
        step = np.zeros_like(x)
        factor = np.linalg.cholesky(hessian[np.ix_(free, free)])
        step[free] = -np.linalg.solve(factor.T, np.linalg.solve(factor, slope[free]))
        there = _projected(hessian, gradient, lower, upper, x, step)
        if np.array_equal(there, x):
            break
        x = there
    return BoxSolution(x, free)


def _projected(hessian: Array, gradient: Array, lower: Array, upper: Array, x: Array, step: Array) -> Array:
    """The point [n] on the way along `step`, projected to the box, that lowers the value enough (Bertsekas 1976); `x`
    where rounding leaves none.

    Args:
        hessian, gradient, lower, upper: as for `solve_box_qp`.
        x: [n], within the box.
        step: [n], a direction of descent.
    """
    slope, size = gradient + hessian @ x, 1.0
    while size > SMALLEST_STEP:
        there = np.clip(x + size * step, lower, upper)
        moved = there - x
        lowered = -float(moved @ (slope + 0.5 * hessian @ moved))
        if lowered >= -ARMIJO * float(slope @ moved) and lowered > 0:
            return np.asarray(there)
        size *= SHRINK
    return x
