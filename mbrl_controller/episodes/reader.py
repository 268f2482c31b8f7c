# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Reads an episode file into measurements, commands, goals, ticks and events."""

from __future__ import annotations

import functools
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mbrl_controller.base.errors import ContractError, EpisodeError, MessageError
from mbrl_controller.contract import ros_types
from mbrl_controller.contract.contract import RobotContract, parse_contract
from mbrl_controller.contract.frames import TF_STATIC, StaticFrames
from mbrl_controller.contract.reward_label import ROLE as REWARD
from mbrl_controller.contract.state_assembly import make_readers
from mbrl_controller.episodes import ros_messages
from mbrl_controller.episodes.command_intervals import CommandIntervals, Stamps, command_intervals
from mbrl_controller.episodes.command_stream import CommandStream, control_periods
from mbrl_controller.episodes.data_schema import DataSchema
from mbrl_controller.episodes.decoding import NamedValues, SourceDecoder, add_row
from mbrl_controller.episodes.exclusions import Exclusion, marked_exclusions
from mbrl_controller.episodes.mcap_scan import McapScan, Message, Metadata
from mbrl_controller.episodes.metadata import CLOSED_RECORD, OTHERS, RECORD, EpisodeInfo, absolute
from mbrl_controller.episodes.time_series import NewestSampleFilter, TimeSeries, TimeSeriesBuilder
from mbrl_controller.tasks.spaces import Array

HEADER_FIRST = (ros_types.JOINT_STATE, ros_types.ODOMETRY, ros_types.POSE)  # their stamp is read without decoding
MAX_PERIODS = 2_000_000  # of an episode around the commands of others: damaged stamps must not take all memory


@dataclass(frozen=True)
class Episode:
    """An episode as recorded. Vectors are in the order of the contract and its task, SI units."""

    path: Path
    info: EpisodeInfo
    contract: RobotContract
    sources: Mapping[str, TimeSeries]  # by the source's key; values in the source's order
    commands: TimeSeries  # [K, A] rad
    goals: TimeSeries  # [K, G]
    labels: TimeSeries  # [K, 1] of the reward, at their receipt; perhaps not finite; none where the contract names none
    ticks: Mapping[str, Array]  # label -> [K], in order of arrival
    events: tuple[dict[str, Any], ...]  # of the episode topic
    begin_ns: int | None  # from the begin and end events
    end_ns: int | None
    complete: bool  # closed or recovered properly, no byte missing
    problem: str  # if not complete
    closed: Mapping[str, str]  # the writer's notes at the end
    rejected: Mapping[str, int] = field(default_factory=dict)  # reason -> messages that could not be used
    doubtful: tuple[Exclusion, ...] = ()  # where commands or states of a person's episode are in doubt

    @property
    def key(self) -> str:
        """Permanent name of this recording."""
        return self.info.key


def read_episode(
    path: str | Path,
    contract: RobotContract | None = None,
    *,
    only_for_transitions: bool = False,
    any_robot: bool = False,
) -> Episode:
    """Read an episode; of a truncated file everything that is complete.

    With a `contract`, the file's own contract must define the same state and action. `only_for_transitions` takes a
    fraction of the time and memory: it keeps only the measurements that transitions need, reads no goals, and
    `rejected` counts only messages that were decoded. `any_robot`: the contract's robot may be another one. Raises
    EpisodeError naming the file and the reason.
    """
    path = Path(path)
    info, recorded = _identity(path, contract, any_robot)
    log = _Log(path, info, recorded)
    if recorded.looks_up_frames:  # where frames are first, before the poses that they turn, whenever it was logged
        log.read(log.of_frames(only_new=True))
    if not only_for_transitions:
        log.read([*log.of_frames(), *log.of_commands(), *log.of_goals(), *log.of_labels(), *log.of_sources()])
    else:
        log.read(log.of_commands())
        log.read([*log.of_frames(), *log.of_sources(log.intervals().query_stamps)])
    return log.episode()


def read_info(path: str | Path) -> EpisodeInfo:
    """Read only the file's metadata, from its first bytes; raises EpisodeError."""
    path = Path(path)
    return EpisodeInfo.from_metadata(_own_record(path), str(path))


def _own_record(path: Path) -> dict[str, str]:
    scan = McapScan()
    for record in scan.records(path):
        if isinstance(record, Metadata) and record.name == RECORD:
            return record.entries
    cut = f" ({scan.problem})" if scan.problem else ""
    raise EpisodeError(f"{path}: not an episode of this package: it has no {RECORD!r} metadata{cut}")


def _identity(path: Path, contract: RobotContract | None, any_robot: bool) -> tuple[EpisodeInfo, RobotContract]:
    own = _own_record(path)
    info = EpisodeInfo.from_metadata(own, str(path))
    try:
        recorded = parse_contract(own.get("contract", ""), f"contract in {path}")
    except ContractError as error:
        raise EpisodeError(str(error)) from error
    if contract is not None and recorded.digest != contract.digest:
        wrong = DataSchema.of_contract(recorded).differences(DataSchema.of_contract(contract), any_robot)
        if wrong:
            raise EpisodeError(f"{path}: was recorded with another contract: {'; '.join(wrong)}")
    return info, recorded


class _Topic(NamedTuple):
    """How to handle a topic's messages; `finish` is called after the last."""

    name: str
    type_name: str
    take: Callable[[bytes, int], Any]  # the message, and when it was logged (ns)
    finish: Callable[[], object] = lambda: None


class _Log:
    """Builds an Episode message by message; the messages themselves are not kept."""

    def __init__(self, path: Path, info: EpisodeInfo, contract: RobotContract) -> None:
        self.path, self.info, self.contract = path, info, contract
        self.rejected: Counter[str] = Counter()
        self._scan = McapScan()
        self._closed: dict[str, str] = {}
        self._frames = StaticFrames()
        self._sources = {key: SourceDecoder(reader) for key, reader in make_readers(contract, self._frames).items()}
        self._commands, self._goals = (
            TimeSeriesBuilder(len(contract.action)),
            TimeSeriesBuilder(len(contract.task.goal)),
        )
        self._stream = CommandStream(contract) if info.commanded_by == OTHERS else None
        self._newest_logged = 0  # ns
        self._command_order = NamedValues("command", contract.action.names)
        self._goal_order = NamedValues("goal", contract.task.goal.names)
        self._labels = TimeSeriesBuilder(1)
        self._ticks = TimeSeriesBuilder(0)
        self._tick_labels: tuple[str, ...] = ()
        self._events: list[dict[str, Any]] = []

    def of_commands(self) -> list[_Topic]:
        """Commands, the ticks that planned them, and the episode's begin and end."""
        episode = self._topic("episode", ros_types.STRING, self._take_event)
        if (stream := self._stream) is not None:
            takes = {to: functools.partial(stream.add, to.topic) for to in self.contract.destinations}
            return [*(self._topic(to.role, to.type, take) for to, take in takes.items()), episode]
        return [
            self._topic("command", ros_types.JOINT_STATE, self._take_command),
            episode,
            self._topic("tick", ros_types.MULTI_ARRAY, self._take_tick),
        ]

    def of_frames(self, only_new: bool = False) -> list[_Topic]:
        """Transforms, which turn the poses logged after them; `only_new`: of each frame the first."""
        if not self.contract.looks_up_frames:
            return []
        return [self._topic(TF_STATIC, ros_types.TRANSFORMS, functools.partial(self._take_frames, only_new))]

    def of_goals(self) -> list[_Topic]:
        """Goals."""
        return [self._topic("goal", ros_types.TRAJECTORY, self._take_goal)]

    def of_labels(self) -> list[_Topic]:
        """Labels of the reward."""
        label = self.contract.file.reward
        return [] if label is None else [self._topic(REWARD, label.type, self._take_label, label.topic)]

    def of_sources(self, query_stamps: Stamps | None = None) -> list[_Topic]:
        """Measurements; with `query_stamps` (ns) only the newest at each of them."""
        topics = []
        for source in self.contract.sources:
            rows = self._sources[source.key]
            topic = self._topic(source.key, source.type, rows.add, source.topic)
            begins_with_header = source.type in HEADER_FIRST
            # A pose is turned as it comes: the transform may be another one later.
            in_order = rows.reader.has_memory or rows.reader.looks_up_frames
            if query_stamps is not None and begins_with_header and not in_order:
                newest = NewestSampleFilter(query_stamps, topic.take)
                topic = topic._replace(take=newest, finish=newest.finish)
            topics.append(topic)
        return topics

    def read(self, topics: list[_Topic]) -> None:
        """Read these topics from the file."""
        by_name: dict[str, list[_Topic]] = {}
        for topic in topics:
            by_name.setdefault(topic.name, []).append(topic)
        self._scan = McapScan()
        for record in self._scan.records(self.path):
            if isinstance(record, Message):
                self._newest_logged = max(self._newest_logged, record.log_time)
                for topic in by_name.get(record.channel.topic, ()):
                    if record.channel.type_name != topic.type_name:
                        raise EpisodeError(
                            f"{self.path}: topic {topic.name} holds "
                            f"{record.channel.type_name or 'messages of unknown type'}, expected {topic.type_name}"
                        )
                    topic.take(record.data, record.log_time)
            elif record.name == CLOSED_RECORD:
                self._closed = record.entries
        for topic in topics:
            topic.finish()

    def intervals(self) -> CommandIntervals:
        """When each command read so far was in force."""
        commands, begin, end = self._commands_and_span()[:3]
        return command_intervals(commands.stamps, begin, end, self.contract.action.period * ros_messages.NANO)

    def _commands_and_span(self) -> tuple[TimeSeries, int | None, int | None, list[Exclusion], Counter[str]]:
        """Commands, begin and end (ns), doubtful periods, and what was rejected."""
        if (stream := self._stream) is None:
            commands, rejected = self._commands.build()
            return commands, *_span(self._events, commands.stamps), [], rejected
        sent, rejected = stream.build()
        begin, end = _span(self._events, sent.stamps)
        since = int(sent.stamps[0]) if begin is None and len(sent) else begin or 0
        until = self._newest_logged if end is None else end  # a log that was cut
        action = self.contract.action
        period = action.period * ros_messages.NANO
        if (until - since) / period > MAX_PERIODS:
            raise EpisodeError(f"{self.path}: damaged: its stamps span {(until - since) / 86_400e9:.3g} days")
        commands, doubtful = control_periods(sent, since, until, period, action.max_rate * action.period)
        return commands, since, until, doubtful, rejected

    def episode(self) -> Episode:
        """Return what was read."""
        commands, begin, end, doubtful, rejected = self._commands_and_span()
        self.rejected.update(rejected)
        return Episode(
            path=self.path,
            info=self.info,
            contract=self.contract,
            sources={topic: self._counted(rows.build()) for topic, rows in self._sources.items()},
            commands=commands,
            goals=self._counted(self._goals.build()),
            labels=self._counted(self._labels.build()),
            ticks=self._columns(),
            events=tuple(self._events),
            begin_ns=begin,
            end_ns=end,
            complete=self._scan.complete,
            problem=self._scan.problem,
            closed=self._closed,
            rejected=dict(self.rejected),
            doubtful=(*doubtful, *marked_exclusions(self._events)),
        )

    def _topic(self, role: str, type_name: str, take: Callable[[Any, int], bool], usual: str = "") -> _Topic:
        name = self.info.topics.get(role, absolute(usual or role))

        def decoded(data: bytes, received: int) -> bool:
            try:
                message = ros_messages.decode(data, type_name)
            except MessageError:
                self.rejected[f"{name}: not decodable"] += 1
                return False
            return take(message, received)

        return _Topic(name, type_name, decoded)

    def _counted(self, made: tuple[TimeSeries, Counter[str]]) -> TimeSeries:
        series, rejected = made
        self.rejected.update(rejected)
        return series

    def _take_command(self, message: Any, received: int) -> bool:
        return add_row(self._commands, message, lambda m: self._command_order.values(m.name, m.position))

    def _take_frames(self, only_new: bool, message: Any, received: int) -> bool:
        try:
            self._frames.take(message, only_new)
        except MessageError as error:
            if not only_new:  # each is read twice
                self.rejected[str(error)] += 1
        return True

    def _take_goal(self, message: Any, received: int) -> bool:
        return add_row(self._goals, message, self._goal)

    def _take_label(self, message: Any, received: int) -> bool:
        label = self.contract.file.reward
        assert label is not None
        try:
            self._labels.add(received, np.array([label.value(message)]))
        except MessageError as error:
            self._labels.reject(received, str(error))
        return True

    def _goal(self, message: Any) -> Array:
        if len(message.points) < 1:
            raise MessageError("goal: it has no points")
        return self._goal_order.values(message.joint_names, message.points[0].positions)

    def _take_event(self, message: Any, received: int) -> bool:
        try:
            content = json.loads(message.data)
        except (ValueError, RecursionError):
            content = None
        if not isinstance(content, dict):
            self.rejected["episode event: not a JSON object"] += 1
            return False
        self._events.append(content)
        return True

    def _take_tick(self, message: Any, received: int) -> bool:
        """Ticks with other labels than the first are ignored."""
        labels = tuple(dim.label for dim in message.layout.dim)
        if not len(self._ticks):
            self._tick_labels, self._ticks = labels, TimeSeriesBuilder(len(labels))
        if labels != self._tick_labels or len(message.data) != len(labels):
            return False
        self._ticks.add(len(self._ticks), message.data)
        return True

    def _columns(self) -> dict[str, Array]:
        """Tick values by label, in order of arrival."""
        table = self._ticks.build()[0].values
        return {label: table[:, i] for i, label in enumerate(self._tick_labels)} if len(table) else {}


def _span(events: Iterable[dict[str, Any]], commands: Stamps) -> tuple[int | None, int | None]:
    """Stamps (ns) of the last begin and of the first end after it; an earlier end belongs to the episode before.

    If the clock jumped backwards past the begin, the end is stamped earlier than the begin. Such an episode ends with
    its last command; how long that was in force is unknown.
    """
    begin = end = None
    for event in events:
        stamp = event.get("stamp")
        if not ros_messages.is_stamp(stamp):
            continue
        if event.get("event") == "begin":
            begin, end = ros_messages.to_ns(stamp), None
        elif event.get("event") == "end" and end is None:
            end = ros_messages.to_ns(stamp)
    if begin is not None and end is not None and end < begin:
        end = max(int(commands.max(initial=begin)), begin)
    return begin, end
