# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Finished episodes from hands to the storage, and from there to who trains.

`episodes/<task>/files/<sha256>` is an episode's file; `episodes/<task>/index/<time>_<sha256>` says what it is, and is
written when the file is there whole. So a reader of the index sees whole episodes only, in the order of their time.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mbrl_controller.base.errors import EpisodeError, MbrlError
from mbrl_controller.base.file_digests import FileDigest
from mbrl_controller.episodes.metadata import SESSION_NAME
from mbrl_controller.episodes.reader import read_info
from mbrl_controller.sharing.ledger import Ledger
from mbrl_controller.sharing.store import Store

MAX_NOTE = 64 * 1024  # bytes of an entry of the index
SHA256 = r"^[0-9a-f]{64}$"
_TIME = re.compile(r"[^0-9]")


class EpisodeNote(BaseModel):
    """An entry of the index. Its names become names of files, and are nothing else than names."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    sha256: str = Field(pattern=SHA256)
    size: int = Field(ge=0)
    session: str = Field(pattern=rf"^{SESSION_NAME.pattern}$")
    name: str = Field(pattern=r"^\w[\w-]{0,99}\.mcap$")
    robot: str = ""
    started: str = ""


def push_episodes(
    store: Store, folder: Path, task: str, ledger: Ledger, on_done: Callable[[Path], None] = lambda path: None
) -> tuple[int, list[str]]:
    """Send the finished episodes of a task that the storage lacks, oldest first.

    Args:
        store: where to.
        folder: the log; `<folder>/<task>/<session>/*.mcap`.
        task: whose.
        ledger: of what was sent.
        on_done: called with each file when it is there.

    Returns:
        How many were sent, and which cannot be read, with the reasons.

    Raises:
        MbrlError: the storage failed. What was sent before is there, the rest stays for the next pass.
    """
    sent = 0
    faults: list[str] = []
    for path in sorted((folder / task).glob("*/*.mcap"), key=_age):
        name = f"{task}/{path.parent.name}/{path.name}"
        if name in ledger:
            continue
        try:
            info, digest = read_info(path), FileDigest.of(path)
        except EpisodeError as error:
            faults.append(str(error))
            continue
        note = EpisodeNote(
            sha256=digest.sha256,
            size=digest.size,
            session=path.parent.name,
            name=path.name,
            robot=info.robot,
            started=info.started,
        )
        store.upload(path, f"episodes/{task}/files/{note.sha256}", note.size)
        key = f"episodes/{task}/index/{_TIME.sub('', info.started)[:17]:0<17}_{note.sha256}"
        store.create(key, note.model_dump_json().encode())
        ledger.add(name)
        on_done(path)
        sent += 1
    return sent, faults


def pull_episodes(store: Store, folder: Path, task: str, ledger: Ledger) -> tuple[int, list[str]]:
    """Fetch the episodes of a task that are not here, oldest first.

    Returns:
        How many came, and what could not be used, with the reasons. The storage keeps those.

    Raises:
        MbrlError: the storage failed, or nothing can be written here. The next pass goes on.
    """
    came = 0
    faults: list[str] = []
    for key in store.keys(f"episodes/{task}/index"):
        if key in ledger:
            continue
        try:
            note = EpisodeNote.model_validate_json(store.read(key, MAX_NOTE))
        except ValidationError:
            faults.append(f"{store.url}/{key}: is no note of an episode")
            continue
        target = folder / task / note.session / note.name
        if target.exists():
            if FileDigest.of(target).sha256 != note.sha256:
                faults.append(
                    f"{store.url}/{key}: {target} is another recording of this name: two hands with one session's name"
                )
                continue
        else:
            fault = _fetch(store, f"episodes/{task}/files/{note.sha256}", target, note)
            if fault:
                faults.append(fault)
                continue
            came += 1
        ledger.add(key)
    return came, faults


def _fetch(store: Store, key: str, target: Path, note: EpisodeNote) -> str:
    """Download, check and name one file; why it cannot be used, empty if it can."""
    if (size := store.size(key)) != note.size:
        return f"{store.url}/{key}: has {size} bytes instead of {note.size}"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=".fetching-")
        os.close(handle)
    except OSError as error:
        raise MbrlError(f"{target.parent}: cannot be written: {error.strerror}") from error
    aside = Path(name)
    try:
        store.download(key, aside)
        if FileDigest.of(aside).sha256 != note.sha256:
            return f"{store.url}/{key}: is damaged: its digest is another one"
        aside.chmod(0o644)
        aside.rename(target)
    finally:
        aside.unlink(missing_ok=True)
    return ""


def remove_sent(folder: Path, task: str, ledger: Ledger, limit: int) -> int:
    """Remove episodes that were sent, oldest first, until the log of a task has at most `limit` bytes.

    Returns:
        By how many bytes it is still larger: nothing is removed that was not sent.
    """
    files = sorted((folder / task).glob("*/*.mcap"), key=_age)
    total = sum(path.stat().st_size for path in files)
    for path in files:
        if total <= limit:
            break
        if f"{task}/{path.parent.name}/{path.name}" in ledger:
            total -= path.stat().st_size
            path.unlink()
    return max(total - limit, 0)


def _age(path: Path) -> tuple[int, str]:
    try:
        return path.stat().st_mtime_ns, str(path)
    except OSError:
        return 0, str(path)
