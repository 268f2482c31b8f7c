# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Which episodes a person means: a file, or all of a session."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mbrl_controller.base.errors import EpisodeError
from mbrl_controller.episodes.reader import read_info
from mbrl_controller.episodes.writer import PART
from mbrl_controller.reports.report import find_session


@dataclass(frozen=True)
class Entry:
    """An episode that can be shown; `label` is unique in its list."""

    path: Path
    label: str


def find_episodes(name: str, root: Path, on_skip: Callable[[str], None] = lambda text: None) -> list[Entry]:
    """The episodes that `name` stands for, in order.

    Args:
        name: an episode's file; a session as `mbrl report` takes it (a folder, TASK/SESSION or TASK); or
            TASK/SESSION/FILE below `root`.
        root: the log.
        on_skip: called with a line for each file that is no episode, which is left out.

    Raises:
        EpisodeError: nothing of this name can be shown.
    """
    for path in (Path(name).expanduser(), root / name):
        if path.is_file():
            read_info(path)
            return [Entry(path, path.name)]
    folder = find_session(name, root)
    entries = []
    for path in sorted([*folder.glob("*.mcap"), *folder.glob(f"*.mcap{PART}")]):
        try:
            read_info(path)
        except EpisodeError as error:
            on_skip(f"skipped: {error}")
            continue
        entries.append(Entry(path, path.name))
    if not entries:
        raise EpisodeError(f"{folder}: no episode that can be read")
    return entries
