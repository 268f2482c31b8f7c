# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Whether a topic's messages come from one sender or from several, by the numbers that each gives to its own."""

from __future__ import annotations

HEARD_S = 1.0  # who was not heard for so long has fallen silent


class Senders:
    """A sender counts its messages upwards, so one that is not above the last of any sender known is another's.

    Numbers may be missing: what is lost leaves a gap, and never makes two senders of one. Two senders whose numbers
    happen to fit each other are told apart as soon as the one with the lower numbers is heard again.
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
