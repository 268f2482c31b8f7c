# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""How sure a fit is: 95 % intervals, and what the data cannot tell.

The errors within an episode are not independent: a measured state with noise begins a window, and one grip is like the
next. So the covariance is the robust one of estimating equations, with episodes as clusters (Liang and Zeger,
"Longitudinal data analysis using generalized linear models", Biometrika 1986), and Student's t of as many degrees of
freedom as there are episodes less one. To that comes what the search itself leaves open, about 1 % of a parameter:
with perfect sensors and a perfect scene nothing else is.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np

from mbrl_controller.models.fitted import FittedParameter
from mbrl_controller.simulation.physical_parameters import PhysicalParameter
from mbrl_controller.simulation.scene import Scene
from mbrl_controller.tasks.spaces import Array
from mbrl_controller.training.identify_fit import Fit

FEW = 8  # episodes below which they are too few to be clusters
COLLINEAR = 0.95  # correlation of two estimates from which on only their combination is known
WIDE = 0.8  # share of the allowed range from which on an interval says nothing
RESOLUTION = 0.01  # search coordinates (1 %): a third of the differences that the search ends with
AT_BOUND = 1e-3  # of the range


def covariance(fit: Fit) -> tuple[Array, int]:
    """Covariance [P, P] in search coordinates, and the number of clusters; a direction of which nothing is known has
    infinite variance."""
    jacobian, psi = fit.jacobian, fit.weight * fit.residual
    cluster: Any = np.asarray(fit.cluster)
    if len(np.unique(cluster)) < FEW:  # parts of episodes: too narrow rather than useless
        cluster = np.arange(len(psi)) * min(10 * FEW, len(psi)) // len(psi)
    names, of_row = np.unique(cluster, return_inverse=True)
    scores = np.zeros((len(names), jacobian.shape[1]))
    np.add.at(scores, of_row, jacobian * psi[:, None])
    inverse = np.linalg.pinv(jacobian.T @ (fit.weight[:, None] * jacobian), rcond=1e-12, hermitian=True)
    count = len(names)
    return inverse @ (scores.T @ scores) @ inverse * (count / max(count - 1, 1)), count


def student_t(degrees: int, probability: float = 0.975) -> float:
    """Quantile of Student's t by the expansion in 1/degrees (Abramowitz and Stegun 26.7.5); to 1 % from 5 on."""
    z, v = NormalDist().inv_cdf(probability), float(degrees)
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / v + second / v**2 + third / v**3


def describe(fit: Fit, scene: Scene) -> tuple[list[FittedParameter], list[str]]:
    """The parameters with their intervals, fitted ones first, and warnings."""
    spread, clusters = covariance(fit)
    half = np.hypot(student_t(max(clusters - 1, 5)) * np.sqrt(np.maximum(np.diag(spread), 0.0)), RESOLUTION)
    found, warnings = [], []
    for p, x, width in zip(fit.parameters, fit.x.tolist(), half.tolist(), strict=True):
        value = p.from_search(x)
        low, high = (p.from_search(x - width), p.from_search(x + width)) if np.isfinite(width) else (p.lower, p.upper)
        found.append(
            FittedParameter(
                name=p.name,
                value=value,
                low=min(low, value),
                high=max(high, value),
                nominal=p.nominal(scene),
                unit=p.unit,
            )
        )
        warnings += _of_one(p, x, low, high)
    for p in fit.without_influence:
        nominal = p.nominal(scene)
        found.append(
            FittedParameter(
                name=p.name, value=nominal, low=p.lower, high=p.upper, nominal=nominal, unit=p.unit, fitted=False
            )
        )
        warnings.append(f"{p.name}: nothing that is measured depends on it: it stays as in the scene")
    return found, warnings + _of_pairs(fit, spread)


def _of_one(p: PhysicalParameter, x: float, low: float, high: float) -> list[str]:
    least, most = p.ends
    if p.to_search(high) - p.to_search(low) >= WIDE * (most - least):
        return [f"{p.name}: its interval spans its range, {p.lower:g} to {p.upper:g}: the data does not determine it"]
    if p.is_scale and min(x - least, most - x) < AT_BOUND * (most - least):
        return [f"{p.name}: it is at the end of its range, {p.lower:g} to {p.upper:g}: is the scene another hand's?"]
    return []


def _of_pairs(fit: Fit, spread: Array) -> list[str]:
    """Pairs of parameters whose errors look alike: the covariance of independent errors tells."""
    curvature = fit.jacobian.T @ (fit.weight[:, None] * fit.jacobian)
    inverse = np.linalg.pinv(curvature, rcond=1e-12, hermitian=True)
    deviation = np.sqrt(np.maximum(np.diag(inverse), 1e-300))
    alike = inverse / np.outer(deviation, deviation)
    names = [p.name for p in fit.parameters]
    return [
        f"{names[i]} and {names[j]}: only their combination is known (correlation of the estimates {alike[i, j]:.3f}): "
        "fit one of them, or log motion that tells them apart"
        for i in range(len(names))
        for j in range(i + 1, len(names))
        if abs(alike[i, j]) > COLLINEAR
    ]
