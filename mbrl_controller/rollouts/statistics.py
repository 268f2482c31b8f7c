# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Intervals for the metrics that evaluation reports."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mbrl_controller.tasks.spaces import Array

Z95 = 1.959964  # 97.5 % quantile of the standard normal distribution


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """95 % score interval of a rate (Wilson 1927); (0, 1) without trials."""
    if trials == 0:
        return 0.0, 1.0
    rate, z2 = successes / trials, Z95**2
    middle = (rate + z2 / (2 * trials)) / (1 + z2 / trials)
    half = Z95 / (1 + z2 / trials) * np.sqrt(rate * (1 - rate) / trials + z2 / (4 * trials**2))
    # The interval holds the rate itself; rounding must not move a bound past it.
    return float(max(0.0, min(rate, middle - half))), float(min(1.0, max(rate, middle + half)))


def bootstrap(values: Array, statistic: Callable[..., Array], resamples: int = 2000) -> tuple[float, float]:
    """95 % percentile bootstrap interval of `statistic` (taking an axis) over `values` [n]; the same each time."""
    values = np.asarray(values, dtype=float)
    if len(values) < 2:
        return float("nan"), float("nan")
    rows = np.random.default_rng(0).integers(len(values), size=(resamples, len(values)))
    low, high = np.quantile(statistic(values[rows], axis=1), [0.025, 0.975])
    return float(low), float(high)
