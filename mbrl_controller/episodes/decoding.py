# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Decoded messages of one topic to rows of numbers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbrl_controller.base.errors import MessageError
from mbrl_controller.contract.sources import Source
from mbrl_controller.contract.state_assembly import SourceReader
from mbrl_controller.episodes import ros_messages
from mbrl_controller.episodes.time_series import TimeSeries, TimeSeriesBuilder
from mbrl_controller.tasks.spaces import Array


class SourceDecoder:
    """Collects one source's measurements."""

    def __init__(self, source: Source) -> None:
        self.reader = SourceReader(source)
        self._width = len(source.entries())
        self._rows = TimeSeriesBuilder(
            3 if self.reader.has_memory else self._width
        )  # a pose's velocity follows from all of them

    def add(self, message: Any) -> bool:
        """Add a message; returns whether it can be used, as far as is known yet."""
        read = self.reader.raw_values if self.reader.has_memory else lambda m: self.reader.read(m).values
        return add_row(self._rows, message, read)

    def build(self) -> tuple[TimeSeries, Counter[str]]:
        """See TimeSeriesBuilder."""
        measured, rejected = self._rows.build()
        if not self.reader.has_memory:
            return measured, rejected
        done = TimeSeriesBuilder(self._width)
        for stamp, values in zip(measured.stamps.tolist(), measured.values, strict=True):
            seconds, rest = divmod(stamp, ros_messages.NANO)
            try:
                done.add(stamp, self.reader.make_sample(float(seconds) + 1e-9 * float(rest), values).values)
            except MessageError as error:
                done.reject(stamp, _reason(error))
        series, more = done.build()
        return series, rejected + more


class NamedValues:
    """Sorts the named values of a message, which may have any order."""

    def __init__(self, what: str, wanted: tuple[str, ...]) -> None:
        self._what, self._wanted = what, wanted
        self._known: tuple[list[str], NDArray[np.intp]] | None = None

    def values(self, names: Iterable[str], values: Array) -> Array:
        """Values in the wanted order; raises MessageError for other names and non-finite values."""
        given = list(names)
        if self._known is None or self._known[0] != given:
            if sorted(given) != sorted(self._wanted):
                raise MessageError(_UNNAMED.format(self._what))
            self._known = given, np.array([given.index(name) for name in self._wanted], dtype=np.intp)
        if len(values) != len(given):
            raise MessageError(_UNNAMED.format(self._what))
        row: Array = np.asarray(values, dtype=float)[self._known[1]]
        if not np.isfinite(row).all():
            raise MessageError(f"{self._what}: non-finite value")
        return row


_UNNAMED = "{}: names or number of values are not the contract's"


def add_row(rows: TimeSeriesBuilder, message: Any, read: Callable[[Any], Array]) -> bool:
    """Add what `read` returns for a message, or reject it; returns whether it was added."""
    stamp = ros_messages.stamp_ns(message)
    try:
        rows.add(stamp, read(message))
    except MessageError as error:
        rows.reject(stamp, _reason(error))
        return False
    return True


def _reason(error: MessageError) -> str:
    """The error's text without the value, so that equal reasons count together."""
    return re.sub(r" = \S+ is ", " is ", str(error))
