# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Columns of numbers over the last ticks, of a fixed size: what the plots show."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mbrl_controller.tasks.spaces import Array


class History:
    """The newest `length` rows. Missing values are NaN."""

    def __init__(self, columns: Sequence[str], length: int) -> None:
        self._index = {name: i for i, name in enumerate(columns)}
        self._rows = np.full((length, len(columns)), np.nan)
        self._count = 0  # rows added so far

    def __len__(self) -> int:
        """Rows that are kept."""
        return min(self._count, len(self._rows))

    @property
    def count(self) -> int:
        """Rows added so far."""
        return self._count

    def add(self, values: Array) -> None:
        """Add a row [columns]; the oldest one goes where there is no room."""
        self._rows[self._count % len(self._rows)] = values
        self._count += 1

    def clear(self) -> None:
        """Forget all rows."""
        self._rows[:] = np.nan
        self._count = 0

    def column(self, name: str) -> Array:
        """One column, oldest first."""
        kept = self._rows[:, self._index[name]]
        if self._count <= len(self._rows):
            return kept[: self._count].copy()
        return np.roll(kept, -(self._count % len(self._rows)))
