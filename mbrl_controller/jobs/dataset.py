"""Episode files to training data. Several processes read; what cannot be used is listed with its reason."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from mbrl_controller.dynamics.data import TransitionSet
from mbrl_controller.episodes.contract import RobotContract, parse_contract
from mbrl_controller.episodes.reader import read_episode
from mbrl_controller.episodes.transitions import Transitions, transitions
from mbrl_controller.errors import DatasetError, EpisodeError
from mbrl_controller.jobs.processes import die_with_parent
from mbrl_controller.jobs.workers import default_processes

MANY = 40  # files from which starting other processes pays off


@dataclass(frozen=True)
class Dataset:
    """Transitions, and what was left out."""

    data: TransitionSet
    files: tuple[Path, ...]  # those that gave transitions
    unused_files: dict[str, str] = field(default_factory=dict)  # path -> reason
    skipped: dict[str, int] = field(default_factory=dict)  # reason -> commands without a transition


def episode_files(folders: Iterable[Path]) -> list[Path]:
    """All whole episode files below the folders, by name; raises EpisodeError for a folder that is not there."""
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
    files: list[Path], contract: RobotContract, on_file: Callable[[Path], None] = lambda path: None
) -> Dataset:
    """Read episodes into one TransitionSet; raises DatasetError when nothing usable is in them."""
    read = partial(_read, contract_text=contract.text)
    parts: list[Transitions] = []
    used: list[Path] = []
    unused: dict[str, str] = {}
    skipped: Counter[str] = Counter()
    seen: set[str] = set()

    def take(path: Path, result: Transitions | str) -> None:
        on_file(path)
        if isinstance(result, str):
            unused[str(path)] = result
            return
        skipped.update(result.skipped)
        if result.key in seen:
            unused[str(path)] = f"the same recording as another file ({result.key})"
        elif not len(result):
            unused[str(path)] = "no usable transition: " + (", ".join(result.skipped) or "empty")
        else:
            seen.add(result.key)
            parts.append(result)
            used.append(path)

    if len(files) < MANY:
        for path in files:
            take(path, read(path))
    else:
        # Those of a retrain that was killed must not wait for work for ever.
        context, end = get_context("spawn"), partial(die_with_parent, signal.SIGKILL)
        with ProcessPoolExecutor(default_processes(), mp_context=context, initializer=end) as pool:
            for path, result in zip(files, pool.map(read, files, chunksize=8), strict=True):
                take(path, result)
    if not parts:
        why = "; ".join(f"{path}: {reason}" for path, reason in list(unused.items())[:3])
        raise DatasetError(f"no usable transition in {len(files)} episode files" + (f" ({why})" if why else ""))
    return Dataset(_join(parts), tuple(used), unused, dict(skipped))


def _read(path: Path, contract_text: str) -> Transitions | str:
    contract = parse_contract(contract_text)
    try:
        return until_lost(transitions(read_episode(path, contract, only_for_transitions=True)), contract)
    except EpisodeError as error:
        return str(error)


def until_lost(rows: Transitions, contract: RobotContract) -> Transitions:
    """The rows up to the first one that begins with the object at risk: what follows is mostly balls in the air."""
    lost = np.flatnonzero(contract.task.at_risk(rows.state))
    if not len(lost):
        return rows
    end = int(lost[0])
    skipped = {**rows.skipped, "after the object left the hand": len(rows) - end}
    return Transitions(rows.state[:end], rows.action[:end], rows.next_state[:end], rows.step[:end], rows.key, skipped)


def _join(parts: list[Transitions]) -> TransitionSet:
    return TransitionSet(
        np.concatenate([p.state for p in parts]),
        np.concatenate([p.action for p in parts]),
        np.concatenate([p.next_state for p in parts]),
        np.concatenate([np.full(len(p), i) for i, p in enumerate(parts)]),
        np.concatenate([p.step for p in parts]),
        tuple(p.key for p in parts),
    )
