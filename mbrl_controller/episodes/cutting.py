# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Cuts a recording into episodes by the rules that a person gives. Times are in ns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from mbrl_controller.base.errors import EpisodeError, MbrlError, MessageError
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.episodes import ros_messages
from mbrl_controller.episodes.command_intervals import Stamps
from mbrl_controller.episodes.reader import Episode
from mbrl_controller.episodes.transitions import states_at

GAP_S, LENGTH_S = 2.0, 600.0
SETTLED_S = 1.0  # how long an object must be back before an episode begins after a drop
MAX_PIECES = 100_000  # damaged times must not take all memory
SERVICE_EVENT = "_Event"  # ends the type of what service introspection publishes
REQUEST_SENT, REQUEST_RECEIVED = 0, 1


class Span(NamedTuple):
    """An episode to be; why it ends."""

    begin: int
    end: int
    reason: str


@dataclass(frozen=True)
class TopicRule:
    """`/topic`: at each of its messages; `/topic=value`: when it begins to say this."""

    topic: str
    value: str | None

    @classmethod
    def parse(cls, text: str) -> TopicRule:
        """From the command line; raises MbrlError."""
        topic, equals, value = text.partition("=")
        if not topic.startswith("/") or (equals and not value):
            raise MbrlError(f"{text!r}: expected /topic, or /topic=value")
        return cls(topic, value if equals else None)

    def says_so(self, data: bytes, type_name: str) -> bool:
        """Whether a message is one that is meant; raises MessageError where that cannot be told."""
        if type_name.endswith(SERVICE_EVENT):
            return len(data) > 4 and data[4] in (REQUEST_SENT, REQUEST_RECEIVED)
        if self.value is None:
            return True
        try:
            said = ros_messages.decode(data, type_name).data
        except (MessageError, AttributeError) as error:
            raise MessageError(f"{self.topic}: a {type_name} has no value to compare with {self.value!r}") from error
        if isinstance(said, bool | np.bool_):
            return self.value.lower() in (("true", "1") if said else ("false", "0"))
        if isinstance(said, str):
            return said == self.value
        try:
            return float(said) == float(self.value)
        except (TypeError, ValueError) as error:
            raise MessageError(f"{self.topic}: {self.value!r} is not what a {type_name} says") from error


@dataclass(frozen=True)
class CutRules:
    """When episodes begin and end."""

    begin: TopicRule | None = None  # None: with the first command
    end: TopicRule | None = None  # None: with the next begin, or when `begin` no longer says its value
    gap_s: float | None = None  # without a command, which ends an episode; None: GAP_S, where no topic begins them
    length_s: float = LENGTH_S  # longer ones are cut
    drops: bool = True  # a drop ends an episode, and the object's return begins one


class Told(NamedTuple):
    """What a rule's topic told."""

    time: int
    begins: bool


def windows(told: Sequence[Told], newest: int) -> list[Span]:
    """Where episodes may be, by what topics told; the recording ends at `newest`."""
    found: list[Span] = []
    begin: int | None = None
    for time, begins in sorted(told):
        if begin is not None and time > begin:
            found.append(Span(begin, time, "next begin" if begins else "told"))
        if begins or (begin is not None and time > begin):
            begin = time if begins else None
    if begin is not None and newest > begin:
        found.append(Span(begin, newest, "end of the bag"))
    return found


def spans(
    rules: CutRules, told: Sequence[Told], commands: Stamps, newest: int, period: int, doubtful: Sequence[Span]
) -> list[Span]:
    """The episodes, in order, but for drops.

    Args:
        rules: of the person.
        told: by the topics of `rules`.
        commands: when commands were given, ascending.
        newest: end of the recording.
        period: control period.
        doubtful: times that the clock passed twice, which belong to no episode.
    """
    if not len(commands):
        return []
    by_topic = rules.begin is not None
    where = windows(told, newest) if by_topic else [Span(int(commands[0]), newest + period, "end of the bag")]
    gap = GAP_S if rules.gap_s is None and not by_topic else rules.gap_s
    found = [part for window in where for part in _without_gaps(window, commands, gap, period)]
    found = [part for span in found for part in _outside(span, doubtful)]
    return [part for span in found for part in _pieces(span, round(rules.length_s * ros_messages.NANO), period)]


def _without_gaps(window: Span, commands: Stamps, gap_s: float | None, period: int) -> list[Span]:
    if gap_s is None:
        return [window]
    inside = commands[(commands >= window.begin) & (commands < window.end)]
    groups = np.split(inside, np.flatnonzero(np.diff(inside) > gap_s * ros_messages.NANO) + 1)
    parts = []
    for i, group in enumerate(groups):
        if len(group):
            end = min(int(group[-1]) + period, window.end)
            parts.append(Span(int(group[0]), end, window.reason if i == len(groups) - 1 else "no more commands"))
    return parts


def _outside(span: Span, doubtful: Sequence[Span]) -> list[Span]:
    parts, begin = [], span.begin
    for bad in doubtful:
        if bad.end >= begin and bad.begin <= span.end:
            if bad.begin > begin:
                parts.append(Span(begin, bad.begin, bad.reason))
            begin = max(begin, bad.end + 1)
    return [*parts, Span(begin, span.end, span.reason)] if begin < span.end else parts


def _pieces(span: Span, length: int, period: int) -> list[Span]:
    length = max(length // period, 1) * period
    if (span.end - span.begin) / length > MAX_PIECES:
        days = (span.end - span.begin) / (86_400 * ros_messages.NANO)
        raise EpisodeError(f"damaged, or too long for --length: an episode of {days:.3g} days")
    begins = list(range(span.begin, span.end, length))
    if len(begins) > 1 and span.end - begins[-1] < period:
        begins.pop()
    ends = [*begins[1:], span.end]
    return [Span(b, e, span.reason if e == span.end else "length") for b, e in zip(begins, ends, strict=True)]


def merged(found: Sequence[Span]) -> list[Span]:
    """Overlapping spans as one, in order."""
    joined: list[Span] = []
    for span in sorted(found):
        if joined and span.begin <= joined[-1].end:
            joined[-1] = joined[-1]._replace(end=max(joined[-1].end, span.end))
        else:
            joined.append(span)
    return joined


def between_drops(episode: Episode, whole: Span) -> tuple[list[Span], int]:
    """An episode without what lies between a drop and the object's return, and how many control periods that is."""
    contract: RobotContract = episode.contract
    period = round(contract.action.period * ros_messages.NANO)
    ticks = episode.commands.stamps
    states, why = states_at(episode, ticks)
    known = why == ""
    dropped = known & np.asarray(contract.task.dropped(states))
    if not dropped.any():
        return [whole], 0
    held = known & ~dropped & ~np.asarray(contract.task.at_risk(states))
    settle = max(round(SETTLED_S / contract.action.period), 1)
    found, at, lost = [], 0, 0
    while at < len(ticks):
        drops = np.flatnonzero(dropped[at:])
        if not len(drops):
            found.append(Span(max(int(ticks[at]), whole.begin), whole.end, whole.reason))
            break
        drop = at + int(drops[0])
        if drop > at:
            found.append(Span(int(ticks[at]), int(ticks[drop]), "drop"))
        back = next((k for k in range(drop, len(ticks) - settle + 1) if held[k : k + settle].all()), len(ticks))
        lost += back - drop
        at = back
    return [span for span in found if span.end - span.begin >= period], lost
