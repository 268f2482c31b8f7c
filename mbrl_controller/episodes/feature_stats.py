# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Statistics of a data set's columns, in the words of LeRobot's stats.json, in bounded memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from mbrl_controller.tasks.spaces import Array

QUANTILES = {"q01": 0.01, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q99": 0.99}
KEPT_ROWS = 100_000  # from which quantiles are taken; up to so many rows they are exact


def episode_stats(values: Array) -> dict[str, list[Any]]:
    """Those of one episode's column [T] or [T, n]: lists of n numbers."""
    stats = FeatureStats()
    stats.add(values)
    return stats.result()


class FeatureStats:
    """Those of a column that comes in parts."""

    def __init__(self) -> None:
        self._count = 0
        self._low = self._high = self._mean = self._squares = np.zeros(0)
        self._kept: list[Array] = []
        self._rows, self._every = 0, 1  # rows kept, and which of all are

    def add(self, values: Array) -> None:
        """A part [T] or [T, n], T > 0."""
        rows = np.asarray(values, dtype=float).reshape(len(values), -1)
        low, high, mean = rows.min(0), rows.max(0), rows.mean(0)
        squares = ((rows - mean) ** 2).sum(0)
        if not self._count:
            self._low, self._high, self._mean, self._squares = low, high, mean, squares
        else:  # Chan, Golub, LeVeque 1979: variances of parts
            both, off = self._count + len(rows), mean - self._mean
            self._squares = self._squares + squares + off**2 * (self._count * len(rows) / both)
            self._mean = self._mean + off * (len(rows) / both)
            self._low, self._high = np.minimum(self._low, low), np.maximum(self._high, high)
        kept = rows[-self._count % self._every :: self._every]
        self._count += len(rows)
        self._kept.append(kept)
        self._rows += len(kept)
        while self._rows > KEPT_ROWS:
            self._kept = [np.concatenate(self._kept)[::2]]
            self._rows, self._every = len(self._kept[0]), 2 * self._every

    def result(self) -> dict[str, list[Any]]:
        """Lists of n numbers; `count` has one."""
        rows = np.concatenate(self._kept)
        found: dict[str, list[Any]] = {
            "min": self._low.tolist(),
            "max": self._high.tolist(),
            "mean": self._mean.tolist(),
            "std": np.sqrt(self._squares / self._count).tolist(),
            "count": [self._count],
        }
        return found | {name: np.quantile(rows, at, axis=0).tolist() for name, at in QUANTILES.items()}
