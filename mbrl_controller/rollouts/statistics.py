# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Intervals for the metrics that evaluation reports."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mbrl_controller.tasks.spaces import Array

Z95 = 1.959964  # 97.5 % quantile of the standard normal distribution
# 97.5 % quantiles of Student's t distribution with 1, 2, ... degrees of freedom; beyond, that of the normal one.
T95 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
       2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045,
       2.042)  # fmt: skip


def student(values: Array) -> tuple[float, float]:
    """95 % interval of the mean of normal `values` [n] (Student 1908); NaN for fewer than two. For a few runs, where a
    bootstrap would be too narrow."""
    values = np.asarray(values, dtype=float)
    freedom = len(values) - 1
    if freedom < 1:
        return float("nan"), float("nan")
    quantile = T95[freedom - 1] if freedom <= len(T95) else Z95
    half = quantile * float(values.std(ddof=1)) / np.sqrt(len(values))
    return float(values.mean() - half), float(values.mean() + half)


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
