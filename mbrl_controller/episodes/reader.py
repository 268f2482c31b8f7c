# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Reads an episode file into samples, commands, goals, ticks and events, each in the order of its stamps."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mbrl_controller.base.errors import ContractError, EpisodeError, MessageError
from mbrl_controller.contract.contract import RobotContract, Source, parse_contract
from mbrl_controller.contract.state_assembly import SourceReader
from mbrl_controller.episodes import messages
from mbrl_controller.episodes.info import CLOSED_RECORD, RECORD, EpisodeInfo, absolute
from mbrl_controller.episodes.mcap_scan import Message, Metadata, Scan
from mbrl_controller.episodes.meaning import Meaning
from mbrl_controller.episodes.pairing import Spans, spans
from mbrl_controller.episodes.series import NewestBefore, Rows, Series, Stamps
from mbrl_controller.tasks.spaces import Array


@dataclass(frozen=True)
class Episode:
    """An episode as recorded. Vectors are in the order of the contract and its task, SI units."""

    path: Path
    info: EpisodeInfo
    contract: RobotContract
    sources: Mapping[str, Series]  # by the contract's topic; values in the source's order
    commands: Series  # [K, A] rad
    goals: Series  # [K, G]
    ticks: Mapping[str, Array]  # label -> [K], in order of arrival
    events: tuple[dict[str, Any], ...]  # of the episode topic
    begin_ns: int | None  # from the begin and end events
    end_ns: int | None
    whole: bool  # closed or recovered properly, no byte missing
    problem: str  # if not whole
    closed: Mapping[str, str]  # what the writer noted at the end
    rejected: Mapping[str, int] = field(default_factory=dict)  # reason -> messages that could not be used

    @property
    def key(self) -> str:
        """Names this recording for ever."""
        return self.info.key


def read_episode(
    path: str | Path, contract: RobotContract | None = None, *, only_for_transitions: bool = False
) -> Episode:
    """Read an episode; a cut file gives all that is complete in it.

    With a `contract`, the file's own must mean the same by its state and action. `only_for_transitions` takes a small
    part of the time and memory: of the sources there are only the measurements that the transitions need, no goals,
    and `rejected` tells of what was looked at. Raises EpisodeError saying which file and why.
    """
    path = Path(path)
    info, recorded = _identity(path, contract)
    log = _Log(path, info, recorded)
    if not only_for_transitions:
        log.read([*log.of_commands(), *log.of_goals(), *log.of_sources()])
    else:
        log.read(log.of_commands())
        log.read(log.of_sources(log.spans().moments))
    return log.episode()


def read_info(path: str | Path) -> EpisodeInfo:
    """Only what the file says about itself, from its first bytes; raises EpisodeError."""
    path = Path(path)
    return EpisodeInfo.from_metadata(_own_record(path), str(path))


def _own_record(path: Path) -> dict[str, str]:
    scan = Scan()
    for record in scan.records(path):
        if isinstance(record, Metadata) and record.name == RECORD:
            return record.entries
    cut = f" ({scan.problem})" if scan.problem else ""
    raise EpisodeError(f"{path}: not an episode of this program: it has no {RECORD!r} metadata{cut}")


def _identity(path: Path, contract: RobotContract | None) -> tuple[EpisodeInfo, RobotContract]:
    own = _own_record(path)
    info = EpisodeInfo.from_metadata(own, str(path))
    try:
        recorded = parse_contract(own.get("contract", ""), f"contract in {path}")
    except ContractError as error:
        raise EpisodeError(str(error)) from error
    if contract is not None and recorded.digest != contract.digest:
        wrong = Meaning.of_contract(recorded).differences(Meaning.of_contract(contract))
        if wrong:
            raise EpisodeError(f"{path}: was recorded with another contract: {'; '.join(wrong)}")
    return info, recorded


class _Topic(NamedTuple):
    """What is done with a topic's messages; `finish` when there are no more."""

    name: str
    type_name: str
    take: Callable[[bytes], Any]
    finish: Callable[[], object] = lambda: None


class _Log:
    """What an episode's messages tell, in numbers: messages are not kept."""

    def __init__(self, path: Path, info: EpisodeInfo, contract: RobotContract) -> None:
        self.path, self.info, self.contract = path, info, contract
        self.rejected: Counter[str] = Counter()
        self._scan = Scan()
        self._closed: dict[str, str] = {}
        self._sources = {source.topic: _SourceRows(source) for source in contract.sources}
        self._commands, self._goals = Rows(len(contract.action)), Rows(len(contract.task.goal))
        self._command_order = _Order("command", contract.action.names)
        self._goal_order = _Order("goal", contract.task.goal.names)
        self._ticks = Rows(0)
        self._tick_labels: tuple[str, ...] = ()
        self._events: list[dict[str, Any]] = []

    def of_commands(self) -> list[_Topic]:
        """Commands, the ticks that made them, and the episode's begin and end."""
        return [
            self._topic("command", messages.JOINT_STATE, self._take_command),
            self._topic("episode", messages.STRING, self._take_event),
            self._topic("tick", messages.MULTI_ARRAY, self._take_tick),
        ]

    def of_goals(self) -> list[_Topic]:
        """What was asked for."""
        return [self._topic("goal", messages.TRAJECTORY, self._take_goal)]

    def of_sources(self, moments: Stamps | None = None) -> list[_Topic]:
        """Measurements; with `moments` (ns) only those that are the newest at one of them."""
        topics = []
        for source in self.contract.sources:
            rows = self._sources[source.topic]
            topic = self._topic(source.topic, source.type, rows.add)
            if moments is not None and not rows.reader.has_memory:
                chosen = NewestBefore(moments, topic.take)
                topic = topic._replace(take=chosen, finish=chosen.finish)
            topics.append(topic)
        return topics

    def read(self, topics: list[_Topic]) -> None:
        """Go through the file for these topics."""
        by_name: dict[str, list[_Topic]] = {}
        for topic in topics:
            by_name.setdefault(topic.name, []).append(topic)
        self._scan = Scan()
        for record in self._scan.records(self.path):
            if isinstance(record, Message):
                for topic in by_name.get(record.channel.topic, ()):
                    if record.channel.type_name != topic.type_name:
                        raise EpisodeError(
                            f"{self.path}: topic {topic.name} holds "
                            f"{record.channel.type_name or 'messages of unknown type'}, expected {topic.type_name}"
                        )
                    topic.take(record.data)
            elif record.name == CLOSED_RECORD:
                self._closed = record.entries
        for topic in topics:
            topic.finish()

    def spans(self) -> Spans:
        """Of the commands read."""
        stamps = self._commands.series()[0].stamps
        begin, end = _span(self._events, stamps)
        return spans(stamps, begin, end, self.contract.action.period * messages.NANO)

    def episode(self) -> Episode:
        """All that was read."""
        commands = self._counted(self._commands.series())
        begin, end = _span(self._events, commands.stamps)
        return Episode(
            path=self.path,
            info=self.info,
            contract=self.contract,
            sources={topic: self._counted(rows.series()) for topic, rows in self._sources.items()},
            commands=commands,
            goals=self._counted(self._goals.series()),
            ticks=self._columns(),
            events=tuple(self._events),
            begin_ns=begin,
            end_ns=end,
            whole=self._scan.whole,
            problem=self._scan.problem,
            closed=self._closed,
            rejected=dict(self.rejected),
        )

    def _topic(self, role: str, type_name: str, take: Callable[[Any], bool]) -> _Topic:
        name = self.info.topics.get(role, absolute(role))

        def decoded(data: bytes) -> bool:
            try:
                message = messages.decode(data, type_name)
            except MessageError:
                self.rejected[f"{name}: not decodable"] += 1
                return False
            return take(message)

        return _Topic(name, type_name, decoded)

    def _counted(self, made: tuple[Series, Counter[str]]) -> Series:
        series, rejected = made
        self.rejected.update(rejected)
        return series

    def _take_command(self, message: Any) -> bool:
        return _add(self._commands, message, lambda m: self._command_order.values(m.name, m.position))

    def _take_goal(self, message: Any) -> bool:
        return _add(self._goals, message, self._goal)

    def _goal(self, message: Any) -> Array:
        if len(message.points) < 1:
            raise MessageError("goal: it has no points")
        return self._goal_order.values(message.joint_names, message.points[0].positions)

    def _take_event(self, message: Any) -> bool:
        try:
            content = json.loads(message.data)
        except (ValueError, RecursionError):
            content = None
        if not isinstance(content, dict):
            self.rejected["episode event: not a JSON object"] += 1
            return False
        self._events.append(content)
        return True

    def _take_tick(self, message: Any) -> bool:
        """Ticks whose labels differ from the first one's are left out."""
        labels = tuple(dim.label for dim in message.layout.dim)
        if not len(self._ticks):
            self._tick_labels, self._ticks = labels, Rows(len(labels))
        if labels != self._tick_labels or len(message.data) != len(labels):
            return False
        self._ticks.add(len(self._ticks), message.data)
        return True

    def _columns(self) -> dict[str, Array]:
        """The ticks' values by label, in order of arrival."""
        table = self._ticks.series()[0].values
        return {label: table[:, i] for i, label in enumerate(self._tick_labels)} if len(table) else {}


class _SourceRows:
    """One source's measurements."""

    def __init__(self, source: Source) -> None:
        self.reader = SourceReader(source)
        self._width = len(source.entries())
        self._rows = Rows(3 if self.reader.has_memory else self._width)  # a pose's velocity follows from all of them

    def add(self, message: Any) -> bool:
        """A message, as it arrives; whether it can be used, as far as that can be told yet."""
        read = self.reader.measured if self.reader.has_memory else lambda m: self.reader.read(m).values
        return _add(self._rows, message, read)

    def series(self) -> tuple[Series, Counter[str]]:
        """See Rows."""
        measured, rejected = self._rows.series()
        if not self.reader.has_memory:
            return measured, rejected
        done = Rows(self._width)
        for stamp, values in zip(measured.stamps.tolist(), measured.values, strict=True):
            seconds, rest = divmod(stamp, messages.NANO)
            try:
                done.add(stamp, self.reader.finish(float(seconds) + 1e-9 * float(rest), values).values)
            except MessageError as error:
                done.refuse(stamp, _reason(error))
        series, more = done.series()
        return series, rejected + more


class _Order:
    """Finds named values in a message, which may have them in any order."""

    def __init__(self, what: str, wanted: tuple[str, ...]) -> None:
        self._what, self._wanted = what, wanted
        self._known: tuple[list[str], NDArray[np.intp]] | None = None

    def values(self, names: Iterable[str], values: Array) -> Array:
        """In the order wanted; raises MessageError for other names and for values that are not finite."""
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


def _add(rows: Rows, message: Any, read: Callable[[Any], Array]) -> bool:
    stamp = messages.stamp_ns(message)
    try:
        rows.add(stamp, read(message))
    except MessageError as error:
        rows.refuse(stamp, _reason(error))
        return False
    return True


def _reason(error: MessageError) -> str:
    """One reason, whatever the value."""
    return re.sub(r" = \S+ is ", " is ", str(error))


def _span(events: Iterable[dict[str, Any]], commands: Stamps) -> tuple[int | None, int | None]:
    """Stamps (ns) of the last begin and of the first end after it: an earlier one is left from the episode before.

    Where the clock went back to before the begin, an end may be stamped by the clock as it was then. Such an episode
    ends with its last command, of which nobody knows how long it was in force.
    """
    begin = end = None
    for event in events:
        stamp = event.get("stamp")
        if not messages.is_stamp(stamp):
            continue
        if event.get("event") == "begin":
            begin, end = messages.to_ns(stamp), None
        elif event.get("event") == "end" and end is None:
            end = messages.to_ns(stamp)
    if begin is not None and end is not None and end < begin:
        end = max(int(commands.max(initial=begin)), begin)
    return begin, end
