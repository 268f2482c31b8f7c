# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Messages of one topic to numbers, in little more memory than these take."""

from __future__ import annotations

import bisect
from array import array
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mbrl_controller.episodes import messages
from mbrl_controller.tasks.spaces import Array

Stamps = NDArray[np.int64]
MOST_REASONS = 1000  # different ones in a log; a damaged file may give one a message
# What may wait to be decoded, of one topic.
MOST_WAITING = 64  # messages
MOST_WAITING_BYTES = 2**20


@dataclass(frozen=True)
class Series:
    """Values [N, n] at strictly increasing stamps [N] (ns)."""

    stamps: Stamps
    values: Array

    def __len__(self) -> int:
        return len(self.stamps)

    def newest(self, stamp: int) -> int:
        """Index of the newest row at or before `stamp` (ns), -1 if there is none."""
        return int(np.searchsorted(self.stamps, stamp, side="right")) - 1


class Rows:
    """Stamped rows [N, n] in order of arrival, and messages that gave none; 8 bytes a number."""

    def __init__(self, width: int) -> None:
        self.width = width
        self._stamps, self._values, self._refused = array("q"), array("d"), array("H")
        self._reasons: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._stamps)

    def add(self, stamp: int, values: Array) -> None:
        """A row [n]."""
        self._stamps.append(stamp)
        self._values.frombytes(np.ascontiguousarray(values, dtype=np.float64).tobytes())
        self._refused.append(0)

    def refuse(self, stamp: int, reason: str) -> None:
        """A message that cannot be used."""
        if len(self._reasons) >= MOST_REASONS and reason not in self._reasons:
            reason = "other reasons"
        self._stamps.append(stamp)
        self._values.frombytes(bytes(8 * self.width))
        self._refused.append(self._reasons.setdefault(reason, len(self._reasons) + 1))

    def series(self) -> tuple[Series, Counter[str]]:
        """Rows by stamp, and why there are no more: reason -> messages. Of several with the same stamp the first to
        arrive counts."""
        stamps = np.array(self._stamps, dtype=np.int64)
        values = np.array(self._values, dtype=np.float64).reshape(len(stamps), self.width)
        refused = np.array(self._refused, dtype=np.int64)
        if (np.diff(stamps) <= 0).any():
            stamps, first = np.unique(stamps, return_index=True)
            values, refused = values[first], refused[first]
        names = {number: reason for reason, number in self._reasons.items()}
        rejected = Counter(
            {names[n]: int(c) for n, c in zip(*np.unique(refused, return_counts=True), strict=True) if n}
        )
        if refused.any():
            stamps, values = stamps[refused == 0], values[refused == 0]
        return Series(stamps, values), rejected


class NewestBefore:
    """Of a topic's messages passes on only those that may be the newest usable one at or before one of some moments.

    Decoding is most of the work of reading an episode, and a sensor is often ten times as fast as the control loop.
    """

    def __init__(self, moments: Stamps, take: Callable[[bytes], bool]) -> None:
        """`moments` (ns) ascend; `take` decodes a message and says whether it can be used."""
        self._moments: list[int] = moments.tolist()
        self._best = [-(2**63)] * len(
            self._moments
        )  # stamp of the newest that was taken, of those since the moment before
        self._take = take
        self._waiting: list[tuple[int, bytes]] = []
        self._bytes = self._moment = 0

    def __call__(self, data: bytes) -> None:
        """The next message to arrive."""
        stamp = messages.peek_stamp_ns(data)
        if stamp is None:
            self._take(data)  # which will say what is wrong with it
            return
        moment = bisect.bisect_left(self._moments, stamp)  # the first that it is not too late for
        if moment == len(self._moments) or stamp <= self._best[moment]:
            return
        if moment != self._moment or len(self._waiting) >= MOST_WAITING or self._bytes >= MOST_WAITING_BYTES:
            self.finish()
        self._moment = moment
        self._waiting.append((stamp, data))
        self._bytes += len(data)

    def finish(self) -> None:
        """Pass on what still waits."""
        tried = None
        for stamp, data in sorted(self._waiting, key=lambda waiting: -waiting[0]):
            if stamp != tried and self._take(data):
                self._best[self._moment] = stamp
                break
            tried = stamp
        self._waiting.clear()
        self._bytes = 0
