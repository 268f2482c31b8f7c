# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Makes the report over sessions: one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mbrl_controller.base.errors import EpisodeError
from mbrl_controller.base.extras import how_to_install
from mbrl_controller.base.files import write_atomically
from mbrl_controller.episodes.writer import PART
from mbrl_controller.reports.html import Html, document, element
from mbrl_controller.reports.page import comparison, session_parts
from mbrl_controller.reports.session import EpisodeDigest, Session, read_session

REPORT_FILE = "report.html"


def find_session(name: str, root: Path) -> Path:
    """The folder that a person names: a path, `TASK/SESSION` below `root`, or TASK for its newest session.

    Raises EpisodeError saying what is there.
    """
    for folder in (Path(name).expanduser(), root / name):
        if folder.is_file():
            raise EpisodeError(f"{folder}: is a file; name the session's folder, {folder.parent}")
        if not folder.is_dir():
            continue
        if _files(folder):
            return folder
        sessions = [below for below in folder.iterdir() if below.is_dir() and _files(below)]
        if sessions:
            return max(sessions, key=lambda below: max(file.stat().st_mtime for file in _files(below)))
        return folder  # empty
    known = sorted(path.relative_to(root).as_posix() for path in root.glob("*/*") if path.is_dir())
    there = f"sessions there: {', '.join(known[:20])}" if known else "there are no sessions"
    raise EpisodeError(f"{name}: no such folder, and no session below {root}; {there}")


def _files(folder: Path) -> list[Path]:
    return [*folder.glob("*.mcap"), *folder.glob(f"*.mcap{PART}")]


def write_report(folders: Sequence[Path], out: Path) -> Path:
    """Read the sessions and write the report; returns `out`.

    Several sessions, or several versions in one, are compared first. Raises EpisodeError for folders that cannot be
    reported on together, or a file that cannot be written.
    """
    sessions = [read_session(folder) for folder in folders]
    html = make_report(sessions)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(out, html.encode("utf-8"))
    except OSError as error:
        raise EpisodeError(f"{out}: cannot be written: {error.strerror}") from error
    return out


def make_report(sessions: Sequence[Session]) -> str:
    """The document; raises EpisodeError for sessions of different tasks."""
    tasks = {s.contract.task.name: s.folder for s in sessions if s.contract is not None}
    if len(tasks) > 1:
        of = ", ".join(f"{folder} is of {task}" for task, folder in tasks.items())
        raise EpisodeError(f"sessions of different tasks cannot be compared: {of}")
    parts: list[Html] = []
    groups = _groups(sessions)
    with_contract = next((s for s in sessions if s.contract is not None), None)
    if len(groups) > 1 and with_contract is not None:
        parts += comparison(groups, with_contract)
    for session in sessions:
        parts += session_parts(session, _draw)
    names = ", ".join(session.name for session in sessions)
    return document(f"Report: {names}", *parts)


def _groups(sessions: Sequence[Session]) -> list[tuple[str, Sequence[EpisodeDigest]]]:
    """What is compared: the sessions; of a single one its versions."""
    if len(sessions) > 1:
        names = [s.name for s in sessions]
        twice = len(set(names)) < len(names)
        return [(str(s.folder) if twice else s.name, s.episodes) for s in sessions]
    episodes = [e for s in sessions for e in s.episodes if e.info is not None]
    versions = dict.fromkeys(e.version for e in episodes)
    return [(version, [e for e in episodes if e.version == version]) for version in versions]


def _draw(name: str, *arguments: Any) -> Html:
    """A picture; where matplotlib is missing, how to get it."""
    try:
        from mbrl_controller.reports import plots
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "matplotlib":
            raise
        note = f"No picture: matplotlib is not installed ({how_to_install('report')})."
        return element("p", note, cls="dim")
    picture: Html = getattr(plots, name)(*arguments)
    return picture
