# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Folders of runs that can be resumed: `plan.json` says what a run does, the file `done` that it has finished."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import re
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.base.files import write_atomically

PLAN_FILE = "plan.json"
DONE_FILE = "done"
NAME = re.compile(r"^\w[\w.-]*$")


@contextlib.contextmanager
def only_process(lock_file: Path, busy: str) -> Iterator[None]:
    """Hold `lock_file`, in a folder that is made if need be; raises MbrlError with the text `busy` if another does."""
    try:
        lock_file.parent.mkdir(parents=True, exist_ok=True)
        lock = lock_file.open("w")
    except OSError as error:
        raise MbrlError(f"{lock_file.parent}: cannot be written: {error.strerror}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise MbrlError(busy) from error
        yield


def new_run(base: Path, plan: str, name: str | None = None) -> Path:
    """A folder below `base` with the JSON text `plan`, called `name`, else after the time (UTC); raises MbrlError."""
    if name and not NAME.match(name):
        raise MbrlError(f"run name {name!r}: use letters, digits, '_', '.', '-'")
    folder = base / name if name else new_folder(base)
    if (folder / PLAN_FILE).exists():
        raise MbrlError(f"{folder}: there is a run of this name; --resume continues it")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / PLAN_FILE, plan.encode())
    except OSError as error:
        raise MbrlError(f"{folder}: cannot be written: {error.strerror}") from error
    return folder


def new_folder(base: Path, prefix: str = "") -> Path:
    """Make a folder below `base` called after the time (UTC), of which there is no other, whoever asks at the same
    time; raises MbrlError."""
    stamp = f"{prefix}{datetime.now(timezone.utc):%Y%m%dT%H%M%S}"
    try:
        base.mkdir(parents=True, exist_ok=True)
        for number in itertools.count(1):
            folder = base / (stamp if number == 1 else f"{stamp}-{number}")
            with contextlib.suppress(FileExistsError):
                folder.mkdir()
                return folder
        raise AssertionError("there is always a next number")
    except OSError as error:
        raise MbrlError(f"{base}: cannot be written: {error.strerror}") from error


def is_unfinished(folder: Path) -> bool:
    """Whether a run was begun in `folder` and has not finished."""
    return (folder / PLAN_FILE).is_file() and not (folder / DONE_FILE).exists()


def newest_unfinished(base: Path) -> Path:
    """The run below `base` that was begun last among those not finished; raises MbrlError where there is none."""
    found = [folder for folder in base.glob("*") if is_unfinished(folder)]
    if not found:
        raise MbrlError(f"{base}: no unfinished run to resume")
    return max(found, key=lambda folder: ((folder / PLAN_FILE).stat().st_mtime_ns, folder.name))


def mark_done(folder: Path, text: str = "") -> None:
    """The run in `folder` has finished, with the result `text`."""
    write_atomically(folder / DONE_FILE, text.encode())
