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
from mbrl_controller.contract.source_reader import Sample, SourceReader
from mbrl_controller.episodes import ros_messages
from mbrl_controller.episodes.time_series import TimeSeries, TimeSeriesBuilder
from mbrl_controller.tasks.spaces import Array


class SourceDecoder:
    """Collects one source's measurements, in the order in which they arrived."""

    def __init__(self, reader: SourceReader) -> None:
        self.reader = reader
        self._rows = TimeSeriesBuilder(len(reader.source.entries()))
        self._newest: Sample | None = None

    def add(self, message: Any, received: int) -> bool:
        """Add a message received at `received` (ns); returns whether it can be used, as far as is known yet."""
        reader = self.reader
        part = reader.locate(message)
        if part is None:
            return False
        stamp = reader.stamp_ns(part, received)
        try:
            seconds, rest = divmod(stamp, ros_messages.NANO)
            sample = reader.make_sample(float(seconds) + 1e-9 * float(rest), reader.raw_values(part))
        except MessageError as error:
            self._rows.reject(stamp, reason_of(error))
            return False
        if sample is None:
            return False
        if reader.has_memory:  # which is past a late message: live, the state keeps the newest, too
            if not sample.is_newer(self._newest):
                return False
            self._newest = sample
            stamp = stamp if reader.source.derived else ros_messages.to_ns(sample.stamp)
        self._rows.add(stamp, sample.values)
        return True

    def build(self) -> tuple[TimeSeries, Counter[str]]:
        """See TimeSeriesBuilder."""
        return self._rows.build()


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
        rows.reject(stamp, reason_of(error))
        return False
    return True


def reason_of(error: MessageError) -> str:
    """The error's text without the value, so that equal reasons count together."""
    return re.sub(r" = \S+ is ", " is ", str(error))
