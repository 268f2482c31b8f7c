"""Reads an episode file into samples, commands, goals, ticks and events, each in the order of its stamps."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbrl_controller.episodes import messages
from mbrl_controller.episodes.contract import RobotContract, parse_contract
from mbrl_controller.episodes.info import CLOSED_RECORD, RECORD, EpisodeInfo, absolute
from mbrl_controller.episodes.records import Message, Metadata, Scan
from mbrl_controller.episodes.state_assembly import SourceReader
from mbrl_controller.errors import ContractError, EpisodeError, MessageError
from mbrl_controller.tasks.spaces import Array

Stamps = NDArray[np.int64]


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


def read_episode(path: str | Path, contract: RobotContract | None = None) -> Episode:
    """Read an episode; a cut file gives all that is complete in it.

    With a `contract`, the file's own must mean the same by its state and action. Raises EpisodeError saying which
    file and why.
    """
    path = Path(path)
    scan = Scan()
    own: dict[str, str] | None = None
    closed: dict[str, str] = {}
    logged: list[Message] = []
    for record in scan.records(path):
        if isinstance(record, Message):
            logged.append(record)
        elif isinstance(record, Metadata) and record.name == RECORD:
            own = own or record.entries
        elif isinstance(record, Metadata) and record.name == CLOSED_RECORD:
            closed = record.entries
    if own is None:
        cut = f" ({scan.problem})" if scan.problem else ""
        raise EpisodeError(f"{path}: not an episode of this program: it has no {RECORD!r} metadata{cut}")
    info = EpisodeInfo.from_metadata(own, str(path))
    try:
        recorded = parse_contract(own.get("contract", ""), f"contract in {path}")
    except ContractError as error:
        raise EpisodeError(str(error)) from error
    if contract is not None:
        _check_same_meaning(path, recorded, contract)
    return _Assembly(path, info, recorded).episode(logged, scan, closed)


def read_info(path: str | Path) -> EpisodeInfo:
    """Only what the file says about itself, from its first bytes; raises EpisodeError."""
    path = Path(path)
    for record in Scan().records(path):
        if isinstance(record, Metadata) and record.name == RECORD:
            return EpisodeInfo.from_metadata(record.entries, str(path))
    raise EpisodeError(f"{path}: not an episode of this program: it has no {RECORD!r} metadata")


class _Assembly:
    """Sorts an episode's messages by what they are."""

    def __init__(self, path: Path, info: EpisodeInfo, contract: RobotContract) -> None:
        self.path, self.info, self.contract = path, info, contract
        self.rejected: Counter[str] = Counter()

    def episode(self, logged: list[Message], scan: Scan, closed: dict[str, str]) -> Episode:
        by_topic: dict[str, list[Message]] = {}
        for message in logged:
            by_topic.setdefault(message.channel.topic, []).append(message)
        sources = {
            source.topic: self._series(
                self._stamped(by_topic.get(self._name(source.topic), []), source.type),
                SourceReader(source).read,
                len(source.entries()),
            )
            for source in self.contract.sources
        }
        commands = self._stamped(by_topic.get(self._name("command"), []), messages.JOINT_STATE)
        goals = self._stamped(by_topic.get(self._name("goal"), []), messages.TRAJECTORY)
        ticks = self._decoded(by_topic.get(self._name("tick"), []), messages.MULTI_ARRAY)
        events = self._events(by_topic.get(self._name("episode"), []))
        acted = self._series(commands, self._command, len(self.contract.action))
        begin, end = _span(events, acted.stamps)
        return Episode(
            path=self.path,
            info=self.info,
            contract=self.contract,
            sources=sources,
            commands=acted,
            goals=self._series(goals, self._goal, len(self.contract.task.goal)),
            ticks=_columns(ticks),
            events=events,
            begin_ns=begin,
            end_ns=end,
            whole=scan.whole,
            problem=scan.problem,
            closed=closed,
            rejected=dict(self.rejected),
        )

    def _name(self, topic: str) -> str:
        return self.info.topics.get(topic, absolute(topic))

    def _decoded(self, logged: Iterable[Message], type_name: str) -> list[Any]:
        decoded = []
        for message in logged:
            if message.channel.type_name != type_name:
                raise EpisodeError(
                    f"{self.path}: topic {message.channel.topic} holds "
                    f"{message.channel.type_name or 'messages of unknown type'}, expected {type_name}"
                )
            try:
                decoded.append(messages.decode(message.data, type_name))
            except MessageError:
                self.rejected[f"{message.channel.topic}: not decodable"] += 1
        return decoded

    def _stamped(self, logged: Iterable[Message], type_name: str) -> list[tuple[int, Any]]:
        """Messages by stamp, the first to arrive where several carry the same one."""
        first: dict[int, Any] = {}
        for message in self._decoded(logged, type_name):
            first.setdefault(messages.stamp_ns(message), message)
        return sorted(first.items())

    def _series(self, stamped: list[tuple[int, Any]], read: Any, width: int) -> Series:
        stamps, rows = [], []
        for stamp, message in stamped:
            try:
                values = read(message)
            except MessageError as error:
                self.rejected[re.sub(r" = \S+ is ", " is ", str(error))] += 1  # one reason, whatever the value
                continue
            stamps.append(stamp)
            rows.append(getattr(values, "values", values))
        return Series(np.array(stamps, dtype=np.int64), np.array(rows, dtype=float).reshape(len(rows), width))

    def _command(self, message: Any) -> Array:
        return _by_name("command", message.name, message.position, self.contract.action.names)

    def _goal(self, message: Any) -> Array:
        if len(message.points) < 1:
            raise MessageError("goal: it has no points")
        names = self.contract.task.goal.names
        return _by_name("goal", message.joint_names, message.points[0].positions, names)

    def _events(self, logged: Iterable[Message]) -> tuple[dict[str, Any], ...]:
        events = []
        for message in self._decoded(logged, messages.STRING):
            try:
                content = json.loads(message.data)
            except (ValueError, RecursionError):
                content = None
            if isinstance(content, dict):
                events.append(content)
            else:
                self.rejected["episode event: not a JSON object"] += 1
        return tuple(events)


def _by_name(what: str, names: Iterable[str], values: Array, wanted: tuple[str, ...]) -> Array:
    given = list(names)
    if sorted(given) != sorted(wanted) or len(values) != len(given):
        raise MessageError(f"{what}: names or number of values are not the contract's")
    row = np.asarray(values, dtype=float)[[given.index(name) for name in wanted]]
    if not np.isfinite(row).all():
        raise MessageError(f"{what}: non-finite value")
    return row


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


def _columns(ticks: list[Any]) -> dict[str, Array]:
    """Values by label; ticks whose labels differ from the first one's are left out."""
    rows, labels = [], None
    for tick in ticks:
        own = [dim.label for dim in tick.layout.dim]
        labels = own if labels is None else labels
        if own == labels and len(tick.data) == len(own):
            rows.append(np.asarray(tick.data, dtype=float))
    if not rows or labels is None:
        return {}
    table = np.stack(rows)
    return {label: table[:, i] for i, label in enumerate(labels)}


def _check_same_meaning(path: Path, recorded: RobotContract, wanted: RobotContract) -> None:
    """Raises EpisodeError naming what the file's contract means differently. Limits, topics and goals may differ: what
    was recorded is true whatever was allowed or asked for."""
    if recorded.digest == wanted.digest:
        return
    wrong = []
    for what, own, other in (
        ("robot", recorded.file.robot, wanted.file.robot),
        ("task", recorded.task.name, wanted.task.name),
        ("control period", recorded.action.period, wanted.action.period),
    ):
        if own != other:
            wrong.append(f"its {what} is {own}, not {other}")
    for what, names, others in (
        ("state", recorded.task.state.names, wanted.task.state.names),
        ("action", recorded.action.names, wanted.action.names),
    ):
        lacks, extra = [n for n in others if n not in names], [n for n in names if n not in others]
        if lacks or extra:
            wrong.append(f"its {what} lacks [{', '.join(lacks)}] and has unknown [{', '.join(extra)}]")
        elif names != others:
            wrong.append(f"its {what} has the same names in another order")
    if recorded.task.state.names == wanted.task.state.names and recorded.task.state.units != wanted.task.state.units:
        wrong.append("its state units differ")
    for entry, (own_how, other_how) in _how_measured(recorded, wanted).items():
        if own_how != other_how:
            wrong.append(f"{entry} came from {own_how}, not {other_how}")
    if wrong:
        raise EpisodeError(f"{path}: was recorded with another contract: {'; '.join(wrong)}")


def _how_measured(recorded: RobotContract, wanted: RobotContract) -> dict[str, tuple[str, str]]:
    """Kind and frame of the source of each entry that both know; one entry a source is enough to say."""
    both: list[dict[str, str]] = []
    for contract in (recorded, wanted):
        how = {}
        for source in contract.sources:
            kind = source.type.rsplit("/", 1)[-1]
            frame = getattr(source, "frame", None)
            how[source.entries()[0]] = kind if frame is None else f"{kind} in frame {frame}"
        both.append(how)
    return {entry: (how, both[1][entry]) for entry, how in both[0].items() if entry in both[1]}
