# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Whether a topic's messages come from one sender or several, by the sequence number that each sender counts."""

from __future__ import annotations

HEARD_S = 1.0  # a sender not heard for this long has fallen silent


class Senders:
    """Each sender counts its messages upwards. A number that is not above the last one of any known sender belongs to
    a new sender.

    Lost messages leave gaps and never split one sender in two. Two senders whose numbers happen to interleave are told
    apart once the one with the lower numbers is heard again.
    """

    def __init__(self) -> None:
        self._last: list[tuple[int, float]] = []  # of each sender its last number, and when it was heard, s

    def hear(self, number: int, when: float) -> None:
        """A message with this number was heard at `when` (s, of a clock that never goes back)."""
        self._forget(when)
        below = [last for last in self._last if last[0] < number]
        if below:
            self._last.remove(max(below))
        self._last.append((number, when))

    def count(self, now: float) -> int:
        """How many were heard within the last second before `now` (s)."""
        self._forget(now)
        return len(self._last)

    def _forget(self, now: float) -> None:
        self._last = [last for last in self._last if now - last[1] <= HEARD_S]
