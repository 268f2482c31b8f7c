# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""From episode files to training data; what is left out is listed with its reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from mbrl_controller.base.cache_folder import cache_limit
from mbrl_controller.base.columns import ColumnBuilder, frozen
from mbrl_controller.base.errors import DatasetError, EpisodeError
from mbrl_controller.base.file_digests import FileDigest, FileDigests
from mbrl_controller.base.resources import home_dir
from mbrl_controller.base.worker_pool import WorkerPool
from mbrl_controller.contract.contract import RobotContract, parse_contract
from mbrl_controller.dynamics.data import TransitionSet, parts_of
from mbrl_controller.episodes.reader import read_episode
from mbrl_controller.episodes.transitions import Transitions, transitions
from mbrl_controller.models.origin import Origin, check_one_world, count_origins
from mbrl_controller.training.column_cache import ColumnCache, Decoded, prune

MANY = 40  # files from which starting other processes pays off
# An episode of at least 1.5 times this length is cut into parts of this length, so that some can be validation data.
# The gap between two parts is left out. Of each pair, the longer one counts.
PART_S, PART_STEPS = 60.0, 100
GAP_S, GAP_STEPS = 1.0, 5


@dataclass(frozen=True)
class Dataset:
    """Transitions, and what was left out. An episode of `data` is a recorded one or a part of a long one."""

    data: TransitionSet
    files: tuple[Path, ...]  # those that gave transitions
    unused_files: dict[str, str] = field(default_factory=dict)  # path -> reason
    skipped: dict[str, int] = field(default_factory=dict)  # reason -> commands without a transition
    origins: tuple[Origin, ...] = ()  # of `files`


def episode_files(folders: Iterable[Path]) -> list[Path]:
    """All complete episode files below the folders, by name; raises EpisodeError for a missing folder."""
    found: set[Path] = set()
    for folder in folders:
        if folder.is_file():
            found.add(folder)
        elif folder.is_dir():
            found.update(folder.rglob("*.mcap"))
        else:
            raise EpisodeError(f"{folder}: no such folder or episode file")
    return sorted(found)


def files_of_log(task: str, episodes: Sequence[Path] | None) -> list[Path]:
    """The episode files of `episodes`, files and folders; None: of this user's log of `task`.

    Raises EpisodeError for what does not exist, DatasetError where there are none.
    """
    folders = episodes or [home_dir() / "episodes" / task]
    try:
        files = episode_files(folders)
    except EpisodeError as error:
        raise EpisodeError(f"{error}; log some, or name them: --episodes") from error
    if not files:
        raise DatasetError(f"no episode files (*.mcap) below {', '.join(map(str, folders))}")
    return files


def load_dataset(
    files: list[Path],
    contract: RobotContract,
    on_file: Callable[[Path], None] = lambda path: None,
    processes: int = 1,
    mix: Collection[str] = (),
    weights: Mapping[Path, float] | None = None,
    cache: Path | None = None,
) -> Dataset:
    """Read episodes into one TransitionSet; raises DatasetError if none is usable.

    Args:
        files: episodes.
        contract: of the robot; it says what is read.
        on_file: called with each file that was read.
        processes: that read many files. More than one start Python anew, so a script that asks for them keeps its own
            work below `if __name__ == "__main__":`.
        mix: of models/origin.py: `robots` reads episodes of other robots too, `worlds` those of several worlds.
        weights: of the rows of single files in training; others have 1. None: all alike.
        cache: folder in which each file is kept decoded (training/column_cache.py), see `cache_dir`; None: none is.
            The result is the same.

    Raises:
        DatasetError: no transition is usable, or the episodes are of several worlds.
    """
    joined = _Joined()
    used: list[Path] = []
    unused: dict[str, str] = {}
    skipped: Counter[str] = Counter()
    seen: set[str] = set()
    origins: list[tuple[str, str]] = []

    for path, found in _decoded(files, contract, "robots" in mix, processes, cache):
        on_file(path)
        if isinstance(found, str):
            unused[str(path)] = found
            continue
        result = found.rows
        skipped.update(result.skipped)
        if result.key in seen:
            unused[str(path)] = f"the same recording as another file ({result.key})"
        elif not len(result):
            unused[str(path)] = "no usable transition: " + (", ".join(result.skipped) or "empty")
        else:
            seen.add(result.key)
            own = in_parts(result, contract.action.period)
            joined.add(own, 1.0 if weights is None else weights.get(path, 1.0))
            used.append(path)
            origins.append((found.robot, found.world))
            skipped["between two parts of a long episode"] += len(result) - sum(map(len, own))

    if not joined:
        why = _reasons(unused)
        raise DatasetError(f"no usable transition in {len(files)} episode files" + (f" ({why})" if why else ""))
    check_one_world(count_origins(origins), mix)
    data = joined.build(weighted=bool(weights))
    return Dataset(data, tuple(used), unused, dict(+skipped), count_origins(origins))


def _reasons(unused: dict[str, str]) -> str:
    """Why files cannot be used, three reasons at most; each once, with its first file and how many others share it."""
    alike: dict[str, list[str]] = {}
    for path, reason in unused.items():
        alike.setdefault(reason.replace(path, ""), []).append(path)
    texts = []
    for paths in list(alike.values())[:3]:
        others = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
        texts.append(f"{paths[0]}{others}: {unused[paths[0]].removeprefix(f'{paths[0]}: ')}")
    return "; ".join(texts)


def _decoded(
    files: Sequence[Path], contract: RobotContract, any_robot: bool, processes: int, cache: Path | None
) -> Iterator[tuple[Path, Decoded | str]]:
    """Each file with what is in it, or why it cannot be used: from the cache, or read by several processes."""
    columns = None if cache is None else ColumnCache.of(cache, contract, any_robot)
    digests = None if cache is None else FileDigests(cache)
    known = digests.known(files) if digests else {}
    kept = {path: known[path] for path in files if columns and path in known and columns.has(known[path])}
    missing = [path for path in files if path not in kept]
    read = partial(_read, contract_text=contract.text, any_robot=any_robot, columns=columns)
    new: dict[Path, FileDigest] = {}
    with WorkerPool(read, processes if len(missing) >= MANY else 1) as pool:
        results = pool.results(missing)
        for path in files:
            found: Decoded | str | None = None
            if columns and path in kept:
                found = columns.load(kept[path])
            else:
                found, digest = next(results)
                if digest is not None:
                    new[path] = digest
            yield path, read(path)[0] if found is None else found  # None: a damaged entry
    if digests and cache and missing:
        digests.record(new)
        prune(cache, cache_limit())


def _read(
    path: Path, contract_text: str, any_robot: bool, columns: ColumnCache | None
) -> tuple[Decoded | str, FileDigest | None]:
    """An episode's transitions, or why there are none; and the file's digest, where there is a cache."""
    contract, digest = parse_contract(contract_text), None
    try:
        if columns is not None:
            digest = FileDigest.of(path)
            if (kept := columns.load(digest.sha256)) is not None:
                return kept, digest
        episode = read_episode(path, contract, only_for_transitions=True, any_robot=any_robot)
        found = Decoded(until_lost(transitions(episode), contract), episode.info.robot, episode.info.world)
    except EpisodeError as error:
        return str(error), None
    if columns is not None and digest is not None:
        columns.save(digest.sha256, found)
    return found, digest


def until_lost(rows: Transitions, contract: RobotContract) -> Transitions:
    """The rows before the first one that begins with the object at risk: later ones are mostly balls in the air."""
    lost = np.flatnonzero(contract.task.at_risk(rows.state))
    if not len(lost):
        return rows
    end = int(lost[0])
    skipped = {**rows.skipped, "after the object left the hand": len(rows) - end}
    return rows.only(np.arange(end), rows.key, skipped)


def in_parts(rows: Transitions, period: float) -> list[Transitions]:
    """An episode's rows, or those of its parts (`<key>#0`, `<key>#1`, ...) if it is long; `period` in s."""
    length, gap = max(round(PART_S / period), PART_STEPS), max(round(GAP_S / period), GAP_STEPS)
    parts = parts_of(rows.step, length, gap)
    return [rows.only(part, f"{rows.key}#{number}", {}) for number, part in parts.items()] or [rows]


class _Joined:
    """The rows of episodes and of parts of long ones, one after the other."""

    def __init__(self) -> None:
        columns = ("state", "action", "next_state", "episode", "step", "weight")
        self._columns = {name: ColumnBuilder() for name in columns}
        self._keys: list[str] = []

    def __bool__(self) -> bool:
        return bool(self._keys)

    def add(self, parts: list[Transitions], weight: float) -> None:
        for part in parts:
            self._columns["episode"].append(np.full(len(part), len(self._keys)))
            self._columns["weight"].append(np.full(len(part), weight))
            for name in ("state", "action", "next_state", "step"):
                self._columns[name].append(getattr(part, name))
            self._keys.append(part.key)

    def build(self, weighted: bool) -> TransitionSet:
        """All rows, with their weights if they are `weighted`."""
        columns = {
            name: frozen(column.build()) for name, column in self._columns.items() if weighted or name != "weight"
        }
        return TransitionSet(**columns, episode_keys=tuple(self._keys))
