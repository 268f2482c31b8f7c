"""Whether a topic's messages come from one sender or from several, by the numbers that each gives to its own."""

from __future__ import annotations

HEARD_S = 1.0  # who was not heard for so long has fallen silent


class Senders:
    """A sender counts its messages upwards, so one that is not above the last of any sender known is another's.

    Numbers may be missing: what is lost leaves a gap, and never makes two senders of one. Two senders whose numbers
    happen to fit each other are told apart as soon as the one with the lower numbers is heard again.
    """

    def __init__(self) -> None:
        self._last: dict[int, float] = {}  # a sender's last number -> when it was heard, s

    def hear(self, number: int, when: float) -> None:
        """A message with this number was heard at `when` (s, of a clock that never goes back)."""
        self._forget(when)
        below = [last for last in self._last if last < number]
        if below:
            del self._last[max(below)]
        self._last[number] = when

    def count(self, now: float) -> int:
        """How many were heard within the last second before `now` (s)."""
        self._forget(now)
        return len(self._last)

    def _forget(self, now: float) -> None:
        self._last = {number: when for number, when in self._last.items() if now - when <= HEARD_S}
