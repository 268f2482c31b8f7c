# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What a report needs of a session's files, read one after the other."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mbrl_controller.base.errors import EpisodeError, MbrlError
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.control.safety import SafetyState
from mbrl_controller.episodes.logged_metrics import logged_metrics
from mbrl_controller.episodes.metadata import EpisodeInfo
from mbrl_controller.episodes.reader import Episode, read_episode
from mbrl_controller.episodes.ros_messages import NANO
from mbrl_controller.episodes.transitions import states_at
from mbrl_controller.episodes.writer import PART
from mbrl_controller.reports.status_log import Status, read_statuses
from mbrl_controller.tasks.metrics import EpisodeMetrics
from mbrl_controller.tasks.spaces import Array

STATES = tuple(state.value for state in SafetyState)  # of a tick's `safety_state`
WRITING_S = 5.0  # a file that is written changes several times a second


@dataclass(frozen=True)
class EpisodeDigest:
    """One episode of a report; of a file that cannot be read only the first three."""

    path: Path
    status: str  # complete, recovered, being written, cut, unreadable
    problem: str = ""
    info: EpisodeInfo | None = None
    contract: RobotContract | None = None
    end: str = ""  # why it ended
    seconds: float = float("nan")
    steps: int = 0  # commands
    metrics: EpisodeMetrics | None = None
    ticks: Mapping[str, Array] = field(default_factory=dict)  # label -> [K]
    commands: Array = field(default_factory=lambda: np.empty((0, 0)))  # [K, A] rad
    measured: Array = field(default_factory=lambda: np.empty((0, 0)))  # [K, A] rad when commanded; NaN: not measured
    statuses: tuple[Status, ...] = ()  # of the controller, from /diagnostics

    @property
    def version(self) -> str:
        """Who commanded: the model's version, or others."""
        if self.info is None:
            return ""
        return "(others)" if self.info.commanded_by == "others" else self.info.model_version or "(no model)"


@dataclass(frozen=True)
class Session:
    """A folder of episodes."""

    folder: Path
    episodes: tuple[EpisodeDigest, ...]

    @property
    def name(self) -> str:
        """The session's."""
        return self.folder.name

    @property
    def contract(self) -> RobotContract | None:
        """That of the first episode that can be read."""
        return next((e.contract for e in self.episodes if e.contract is not None), None)


def read_session(folder: Path) -> Session:
    """All episodes in a session's folder, the unreadable and unfinished among them; changes no file.

    Raises EpisodeError where the folder is none, or its episodes are of several tasks or robots.
    """
    if not folder.is_dir():
        raise EpisodeError(f"{folder}: {'is no folder' if folder.exists() else 'no such folder'}")
    files = sorted([*folder.glob("*.mcap"), *folder.glob(f"*.mcap{PART}")])
    session = Session(folder, tuple(read_digest(path) for path in files))
    of = sorted({(e.info.task, e.info.robot) for e in session.episodes if e.info is not None})
    if len(of) > 1:
        raise EpisodeError(
            f"{folder}: its episodes are of several tasks or robots: {', '.join(f'{t} on {r}' for t, r in of)}"
        )
    return session


def read_digest(path: Path) -> EpisodeDigest:
    """One file; never raises for what is in it."""
    unfinished = path.name.endswith(PART)
    try:
        writing = unfinished and time.time() - path.stat().st_mtime < WRITING_S
        episode = read_episode(path)
        logged = logged_metrics(episode)
        statuses = tuple(read_statuses(path, episode.info.topics.get("diagnostics", "/diagnostics")))
    except (MbrlError, OSError) as error:
        return EpisodeDigest(path, "unreadable", str(error))
    if unfinished or not episode.complete:
        status, problem = ("being written" if writing else "cut"), episode.problem
    else:
        status = "recovered" if episode.closed.get("recovered") else "complete"
        problem = episode.closed.get("cut", "")
    return EpisodeDigest(
        path=path,
        status=status,
        problem=problem,
        info=episode.info,
        contract=episode.contract,
        end=_end(episode),
        seconds=_seconds(episode),
        steps=logged.steps,
        metrics=logged.metrics,
        ticks=episode.ticks,
        commands=episode.commands.values,
        measured=_measured(episode),
        statuses=statuses,
    )


def _end(episode: Episode) -> str:
    told = [str(e.get("reason", "")) for e in episode.events if e.get("event") == "end"]
    return (told[-1] if told else "") or episode.closed.get("reason", "")


def _seconds(episode: Episode) -> float:
    stamps = episode.commands.stamps
    begin = episode.begin_ns if episode.begin_ns is not None else int(stamps[0]) if len(stamps) else None
    end = episode.end_ns if episode.end_ns is not None else int(stamps[-1]) if len(stamps) else None
    return (end - begin) / NANO if begin is not None and end is not None else float("nan")


def _measured(episode: Episode) -> Array:
    """Joint positions [K, A] when each command was sent; NaN where there is none."""
    contract, names = episode.contract, list(episode.contract.task.state.names)
    states, missing = states_at(episode, episode.commands.stamps)
    found = np.full(episode.commands.values.shape, np.nan)
    for i, joint in enumerate(contract.action.names):
        if (entry := f"{joint}.position") in names:
            found[:, i] = states[:, names.index(entry)]
    found[missing != ""] = np.nan
    return found
