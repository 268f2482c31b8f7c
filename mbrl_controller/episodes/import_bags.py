# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Bags that others recorded, cut into episodes as the logger writes them around others' commands.

Messages are copied byte for byte. A bag is read twice: for times, then for messages, of which those of one episode are
held in memory. A bag's episodes appear together, or not at all.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mbrl_controller.base.errors import EpisodeError, MbrlError
from mbrl_controller.base.resources import write_hint
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.contract.frames import TF_STATIC
from mbrl_controller.episodes import ros_messages
from mbrl_controller.episodes.bag_survey import CLOCK_BACK, BagTopics, Survey, survey
from mbrl_controller.episodes.cutting import CutRules, Span, spans
from mbrl_controller.episodes.foreign_bag import ForeignBag
from mbrl_controller.episodes.imported_episodes import AROUND_NS, EVENTS, ImportedEpisodes, Row

NO_EPISODE, OTHER_TOPICS = "in no episode, nor within a second of one", "other topics"
IMPORTING = ".importing"


@dataclass
class ImportReport:
    """What became episodes, and what did not."""

    folders: list[Path] = field(default_factory=list)
    episodes: int = 0
    transitions: int = 0
    left_out: Counter[str] = field(default_factory=Counter)  # reason -> messages, periods or episodes, as it says
    unused: dict[str, str] = field(default_factory=dict)  # bag -> reason
    problems: list[str] = field(default_factory=list)  # what could not be read


def run(
    bags: Iterable[Path],
    contract: RobotContract,
    out: Path,
    *,
    world: str,
    rules: CutRules,
    remap: Mapping[str, str] | None = None,
    on_bag: Callable[[Path], None] = lambda path: None,
) -> ImportReport:
    """Write the episodes of bags to `<out>/<task>/<bag>/`.

    Args:
        bags: folders or files.
        contract: what is what in them.
        out: log folder.
        world: where the hand was: real, or a name for a simulator.
        rules: when an episode begins and ends.
        remap: the contract's topic -> the bag's.
        on_bag: called with each bag that was read.

    Raises:
        MbrlError: no bag gave an episode, with the reasons; a bag was imported before; the folder cannot be written.
    """
    if not world.strip():
        raise MbrlError("--world: say where the hand was: real, or a name of yours for a simulator")
    topics = BagTopics(contract, remap or {})
    report = ImportReport()
    for path in bags:
        try:
            bag = ForeignBag(path)
            _import(bag, contract, topics, rules, out, world, report)
            report.problems += bag.problems
        except EpisodeError as error:
            report.unused[str(path)] = str(error).removeprefix(f"{path}: ")
        except OSError as error:
            raise MbrlError(f"{error.filename or out}: {error.strerror or error}{write_hint(error)}") from error
        on_bag(path)
    if not report.episodes:
        why = "; ".join([f"{path}: {reason}" for path, reason in report.unused.items()][:3] + report.problems[:3])
        raise EpisodeError(f"nothing was imported: {why or 'none given'}")
    return report


def _import(
    bag: ForeignBag,
    contract: RobotContract,
    topics: BagTopics,
    rules: CutRules,
    out: Path,
    world: str,
    report: ImportReport,
) -> None:
    seen = survey(bag, topics, rules)
    if wrong := seen.missing(topics):
        raise EpisodeError("; ".join([*wrong, *bag.problems]))
    for rule, option in ((rules.begin, "--begin"), (rules.end, "--end")):
        if rule is not None and rule.topic not in seen.types:
            raise EpisodeError(
                f"{option} {rule.topic}: no such topic in the bag; it has {', '.join(sorted(seen.types))}"
            )
    period = round(contract.action.period * ros_messages.NANO)
    cut = spans(rules, seen.told, seen.commands, seen.newest, period, seen.back)
    if not cut:
        raise EpisodeError("; ".join(["no episode by these rules", *seen.problems, *bag.problems]))
    session = _session(bag, seen)
    folder = out / contract.task.name / session
    if folder.exists():
        raise EpisodeError(f"was imported before, to {folder}; remove that to import it again")
    _remove_leftovers(folder)
    scratch = folder.with_name(f".{session}.{os.getpid()}{IMPORTING}")
    scratch.mkdir(parents=True)
    counts: Counter[str] = Counter()
    try:
        pieces = ImportedEpisodes(
            scratch,
            contract,
            rules,
            seen.frames,
            counts,
            {"bag": bag.path.absolute().name, "rules": repr(rules)},
            session=session,
            topics=topics.sources | topics.labels | topics.commands | {TF_STATIC: TF_STATIC, "episode": EVENTS},
            world=world,
        )
        _distribute(bag, seen, topics, cut, pieces, counts)
        if not pieces.episodes:
            why = ", ".join(f"{count}: {reason}" for reason, count in counts.most_common(4))
            raise EpisodeError("; ".join([f"no usable transition: {why}", *seen.problems, *bag.problems]))
        os.rename(scratch, folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    report.folders.append(folder)
    report.episodes += pieces.episodes
    report.transitions += pieces.transitions
    report.left_out.update(counts)
    report.left_out.update(seen.problems)


def _distribute(
    bag: ForeignBag, seen: Survey, topics: BagTopics, cut: list[Span], pieces: ImportedEpisodes, counts: Counter[str]
) -> None:
    """Read the bag's messages; each episode's are handed over once none of them can come any more."""
    wanted = _commands_in_force(seen, cut)
    held: dict[int, list[Row]] = {i: [] for i in range(len(cut))}
    newest, first, done = 0, 0, 0
    others: set[str] = set()
    for number, message in enumerate(bag.messages()):
        newest = max(newest, message.time)
        kind = topics.types.get(message.topic)
        if kind is None:
            others.add(message.topic)
            counts[OTHER_TOPICS] += 1
        elif kind != message.type_name:
            counts[f"messages: {message.topic} holds {message.type_name}, the contract says {kind}"] += 1
        elif any(bad.begin <= message.time <= bad.end for bad in seen.back):
            counts[f"messages: {CLOCK_BACK}"] += 1
        elif message.topic != TF_STATIC:
            row = (message.time, number, message)
            into = set(wanted.get(number, ()))
            while first < len(cut) and cut[first].end + AROUND_NS < newest - seen.disorder:
                first += 1
            for i in range(first, len(cut)):
                if cut[i].begin - AROUND_NS > message.time:
                    break
                if message.time <= cut[i].end + AROUND_NS:
                    into.add(i)
            for i in into & held.keys():
                held[i].append(row)
            if not into:
                counts[f"messages: {NO_EPISODE}"] += 1
        while done < len(cut) and newest - seen.disorder > cut[done].end + AROUND_NS:
            pieces.add(cut[done], held.pop(done))
            done += 1
    for i in range(done, len(cut)):
        pieces.add(cut[i], held.pop(i))
    if others:
        counts[f"messages: on {len(others)} topics that the contract does not name"] += counts.pop(OTHER_TOPICS)


def _commands_in_force(seen: Survey, cut: list[Span]) -> dict[int, list[int]]:
    """Numbers of the messages that command when an episode begins, though they came long before -> its indices."""
    wanted: dict[int, list[int]] = {}
    for sent in seen.sent.values():
        ordered, at = sorted(sent), 0
        for i, span in enumerate(cut):
            while at < len(ordered) and ordered[at][0] < span.begin:
                at += 1
            known_since = max((bad.end for bad in seen.back if bad.end < span.begin), default=-1)
            if at and ordered[at - 1][0] > known_since:
                wanted.setdefault(ordered[at - 1][1], []).append(i)
    return wanted


def _remove_leftovers(folder: Path) -> None:
    """Of an import of the same bag that was killed: its episodes could be learnt from, but not all are there."""
    for left in folder.parent.glob(f".{folder.name}.*{IMPORTING}"):
        pid = left.name.removesuffix(IMPORTING).rpartition(".")[2]
        if not Path("/proc", pid).exists():
            shutil.rmtree(left)


def _session(bag: ForeignBag, seen: Survey) -> str:
    """A folder's name that another bag does not have, and the same bag has again."""
    counts = sorted((topic, sorted(kinds.items())) for topic, kinds in seen.types.items())
    digest = hashlib.sha256(repr((seen.oldest, seen.newest, counts)).encode()).hexdigest()[:8]
    word = re.sub(r"[^\w.-]+", "_", bag.path.absolute().name.split(".mcap")[0].split(".db3")[0]).strip("._-") or "bag"
    return f"{word[:80]}-{digest}"
