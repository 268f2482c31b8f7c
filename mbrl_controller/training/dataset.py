# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""From episode files to training data; what is left out is listed with its reason."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from mbrl_controller.base.errors import DatasetError, EpisodeError
from mbrl_controller.base.os_process import die_with_parent
from mbrl_controller.contract.contract import RobotContract, parse_contract
from mbrl_controller.dynamics.data import TransitionSet, parts_of
from mbrl_controller.episodes.metadata import EpisodeInfo
from mbrl_controller.episodes.reader import read_episode
from mbrl_controller.episodes.transitions import Transitions, transitions
from mbrl_controller.models.origin import Origin, check_one_world, count_origins

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


def load_dataset(
    files: list[Path],
    contract: RobotContract,
    on_file: Callable[[Path], None] = lambda path: None,
    processes: int = 1,
    mix: Collection[str] = (),
    weights: Mapping[Path, float] | None = None,
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

    Raises:
        DatasetError: no transition is usable, or the episodes are of several worlds.
    """
    read = partial(_read, contract_text=contract.text, any_robot="robots" in mix)
    parts: list[Transitions] = []  # whole episodes, and parts of long ones
    heavy: list[float] = []  # their weights
    used: list[Path] = []
    unused: dict[str, str] = {}
    skipped: Counter[str] = Counter()
    seen: set[str] = set()
    origins: list[tuple[str, str]] = []

    def take(path: Path, found: tuple[Transitions, EpisodeInfo] | str) -> None:
        on_file(path)
        if isinstance(found, str):
            unused[str(path)] = found
            return
        result, info = found
        skipped.update(result.skipped)
        if result.key in seen:
            unused[str(path)] = f"the same recording as another file ({result.key})"
        elif not len(result):
            unused[str(path)] = "no usable transition: " + (", ".join(result.skipped) or "empty")
        else:
            seen.add(result.key)
            own = in_parts(result, contract.action.period)
            parts.extend(own)
            heavy.extend([1.0 if weights is None else weights.get(path, 1.0)] * len(own))
            used.append(path)
            origins.append((info.robot, info.world))
            skipped["between two parts of a long episode"] += len(result) - sum(map(len, own))

    if processes == 1 or len(files) < MANY:
        for path in files:
            take(path, read(path))
    else:
        # If the retrain is killed, its readers must not wait for work for ever.
        context, end = get_context("spawn"), partial(die_with_parent, signal.SIGKILL)
        with ProcessPoolExecutor(processes, mp_context=context, initializer=end) as pool:
            for path, result in zip(files, pool.map(read, files, chunksize=8), strict=True):
                take(path, result)
    if not parts:
        why = _reasons(unused)
        raise DatasetError(f"no usable transition in {len(files)} episode files" + (f" ({why})" if why else ""))
    check_one_world(count_origins(origins), mix)
    return Dataset(
        _join(parts, heavy if weights else None), tuple(used), unused, dict(+skipped), count_origins(origins)
    )


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


def _read(path: Path, contract_text: str, any_robot: bool) -> tuple[Transitions, EpisodeInfo] | str:
    contract = parse_contract(contract_text)
    try:
        episode = read_episode(path, contract, only_for_transitions=True, any_robot=any_robot)
        return until_lost(transitions(episode), contract), episode.info
    except EpisodeError as error:
        return str(error)


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


def _join(parts: list[Transitions], weights: list[float] | None) -> TransitionSet:
    return TransitionSet(
        np.concatenate([p.state for p in parts]),
        np.concatenate([p.action for p in parts]),
        np.concatenate([p.next_state for p in parts]),
        np.concatenate([np.full(len(p), i) for i, p in enumerate(parts)]),
        np.concatenate([p.step for p in parts]),
        tuple(p.key for p in parts),
        None if weights is None else np.repeat(weights, [len(p) for p in parts]),
    )
