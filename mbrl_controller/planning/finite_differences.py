# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Derivatives of functions that can only be evaluated, by differences over steps as wide as what they are used for.

A network of ReLUs is piecewise linear and an 8-bit one a staircase; a reward may have kinks and jumps. The limit of
short steps says little about them: a plan moves by whole steps, and needs the slope over these.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mbrl_controller.tasks.spaces import Array

NODES = np.array([0.5, 1.0, 2.0])  # distances, in steps, at which a function is seen on either side of a point
# Those near count more, as under a normal distribution with a deviation of a step.
WEIGHTS = np.exp(-0.5 * NODES**2)


def jacobians(
    function: Callable[[Array], Array], points: Array, steps: Array, difference: Callable[[Array, Array], Array]
) -> Array:
    """Central differences [H, M, D] at `points` [H, D], all in one call.

    Args:
        function: from [N, D] to [N, M].
        points: [H, D]
        steps: [D], above 0, to either side.
        difference: later less earlier values [..., M]; angles need it.
    """
    count, size = points.shape
    offsets = np.concatenate([np.diag(steps), -np.diag(steps)])
    values = function((points[:, None] + offsets).reshape(-1, size)).reshape(count, 2 * size, -1)
    slopes = difference(values[:, :size], values[:, size:]) / (2 * steps[:, None])
    return np.asarray(slopes.transpose(0, 2, 1))


def quadratics(
    function: Callable[[Array], Array], points: Array, steps: Array, mixed: bool = True
) -> tuple[Array, Array]:
    """Gradients [H, D] and Hessians [H, D, D] of the quadratic nearest to a function about `points` [H, D].

    Along each axis it is fitted, with Gaussian weights, to values at `NODES`; it is exact for quadratic functions. A
    jump has a slope to those within two steps of it.

    Args:
        function: from [K, H, D] to [K, H]; row h is of point h.
        points: [H, D]
        steps: [D], above 0.
        mixed: whether to ask for the derivatives by two entries, too.
    """
    (count, size), distances = points.shape, len(NODES)
    offsets = (NODES[:, None, None] * np.diag(steps)).reshape(-1, size)  # node by node, then axis by axis
    middle = function(points[None])[0]
    ahead = function(points[None] + offsets[:, None]).reshape(distances, size, count)
    behind = function(points[None] - offsets[:, None]).reshape(distances, size, count)
    odd, even = ahead - behind, ahead + behind - 2 * middle
    gradient = np.einsum("k,kdh->hd", WEIGHTS * NODES / (2 * (WEIGHTS * NODES**2).sum()), odd) / steps
    curvature = np.einsum("k,kdh->hd", WEIGHTS * NODES**2 / (WEIGHTS * NODES**4).sum(), even) / steps**2
    hessian = np.zeros((count, size, size))
    hessian[:, np.arange(size), np.arange(size)] = curvature
    # Axes along which nothing changes have no mixed derivatives either.
    used = np.flatnonzero((odd != 0).any((0, 2)) | (even != 0).any((0, 2)))
    first, second = (used[index] for index in np.triu_indices(len(used), 1))
    if mixed and len(first):
        rows = np.arange(len(first))
        same, opposite = np.zeros((len(first), size)), np.zeros((len(first), size))
        same[rows, first], same[rows, second] = steps[first], steps[second]
        opposite[rows, first], opposite[rows, second] = steps[first], -steps[second]
        four = [function(points[None] + offset[:, None]) for offset in (same, -same, opposite, -opposite)]
        products = (four[0] + four[1] - four[2] - four[3]) / (4 * steps[first] * steps[second])[:, None]
        hessian[:, first, second] = hessian[:, second, first] = products.T
    return gradient, hessian


def positive_part(hessians: Array, steps: Array) -> Array:
    """The nearest positive semidefinite matrices [H, D, D] to symmetric ones, in units of `steps` [D]: without their
    negative curvature."""
    scaled = hessians * steps[:, None] * steps
    values, vectors = np.linalg.eigh(scaled)
    kept = (vectors * np.maximum(values, 0.0)[:, None, :]) @ vectors.transpose(0, 2, 1)
    return np.asarray(kept / (steps[:, None] * steps))
