# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Messages of one topic as numbers, in little more memory than these take."""

from __future__ import annotations

import bisect
from array import array
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mbrl_controller.episodes import ros_messages
from mbrl_controller.episodes.command_intervals import Stamps
from mbrl_controller.tasks.spaces import Array

MAX_REASONS = 1000  # different ones per topic; a damaged file may give one per message
# Messages of one topic that may wait to be decoded.
MAX_WAITING = 64
MAX_WAITING_BYTES = 2**20


@dataclass(frozen=True)
class TimeSeries:
    """Values [N, n] at strictly increasing stamps [N] (ns)."""

    stamps: Stamps
    values: Array

    def __len__(self) -> int:
        return len(self.stamps)

    def newest(self, stamp: int) -> int:
        """Index of the newest row at or before `stamp` (ns); -1 without one."""
        return int(np.searchsorted(self.stamps, stamp, side="right")) - 1


class TimeSeriesBuilder:
    """Collects stamped rows [N, n] in order of arrival, and rejected messages; 8 bytes a number."""

    def __init__(self, width: int) -> None:
        self.width = width
        self._stamps, self._values, self._rejected = array("q"), array("d"), array("H")
        self._reasons: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._stamps)

    def add(self, stamp: int, values: Array) -> None:
        """Add a row [n]."""
        self._stamps.append(stamp)
        self._values.frombytes(np.ascontiguousarray(values, dtype=np.float64).tobytes())
        self._rejected.append(0)

    def reject(self, stamp: int, reason: str) -> None:
        """Note a message that cannot be used."""
        if len(self._reasons) >= MAX_REASONS and reason not in self._reasons:
            reason = "other reasons"
        self._stamps.append(stamp)
        self._values.frombytes(bytes(8 * self.width))
        self._rejected.append(self._reasons.setdefault(reason, len(self._reasons) + 1))

    def build(self) -> tuple[TimeSeries, Counter[str]]:
        """Return the rows by stamp, and reason -> rejected messages. Of equal stamps the first to arrive counts."""
        stamps = np.array(self._stamps, dtype=np.int64)
        values = np.array(self._values, dtype=np.float64).reshape(len(stamps), self.width)
        rejected = np.array(self._rejected, dtype=np.int64)
        if (np.diff(stamps) <= 0).any():
            stamps, first = np.unique(stamps, return_index=True)
            values, rejected = values[first], rejected[first]
        names = {number: reason for reason, number in self._reasons.items()}
        reasons = Counter(
            {names[n]: int(c) for n, c in zip(*np.unique(rejected, return_counts=True), strict=True) if n}
        )
        if rejected.any():
            stamps, values = stamps[rejected == 0], values[rejected == 0]
        return TimeSeries(stamps, values), reasons


class NewestSampleFilter:
    """Passes on only messages that may be the newest usable one at or before one of the query stamps.

    Decoding is most of the work of reading an episode, and a sensor is often ten times as fast as the control loop.
    """

    def __init__(self, query_stamps: Stamps, take: Callable[[bytes, int], bool]) -> None:
        """`query_stamps` (ns) ascend; `take` decodes a message and returns whether it can be used."""
        self._queries: list[int] = query_stamps.tolist()
        # By query: stamp of the newest message taken since the query before.
        self._best = [-(2**63)] * len(self._queries)
        self._take = take
        self._waiting: list[tuple[int, bytes, int]] = []
        self._bytes = self._query = 0

    def __call__(self, data: bytes, received: int) -> None:
        """Handle the next message to arrive, at `received` (ns)."""
        stamp = ros_messages.peek_stamp_ns(data)
        if stamp is None:
            self._take(data, received)  # which rejects it with the reason
            return
        query = bisect.bisect_left(self._queries, stamp)  # the first for which it is not too late
        if query == len(self._queries) or stamp <= self._best[query]:
            return
        if query != self._query or len(self._waiting) >= MAX_WAITING or self._bytes >= MAX_WAITING_BYTES:
            self.finish()
        self._query = query
        self._waiting.append((stamp, data, received))
        self._bytes += len(data)

    def finish(self) -> None:
        """Pass on what still waits."""
        tried = None
        for stamp, data, received in sorted(self._waiting, key=lambda waiting: -waiting[0]):
            if stamp != tried and self._take(data, received):
                self._best[self._query] = stamp
                break
            tried = stamp
        self._waiting.clear()
        self._bytes = 0
