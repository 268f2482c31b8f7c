# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Digests of episode files, remembered while the files do not change: hashing a large log takes minutes.

As build tools do, a file counts as unchanged while its size, inode and times of change are those that were recorded.
The time of the last change of the inode (ctime) is among them, which no program can set back. The digest of a file that
changed within two seconds before it was hashed is not remembered: it could change once more without another time.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mbrl_controller.base.errors import EpisodeError

DIGESTS = "digests.sqlite"
SETTLED_NS = 2_000_000_000
_PATHS_AT_ONCE = 500
_BLOCK = 2**20


def file_stamp(path: Path) -> str:
    """What tells that a file has not changed; raises OSError."""
    found = os.stat(path)
    return f"{found.st_dev}:{found.st_ino}:{found.st_size}:{found.st_mtime_ns}:{found.st_ctime_ns}"


@dataclass(frozen=True)
class FileDigest:
    """SHA-256 (hex) of a file, and its stamp then; no stamp where it had just changed."""

    sha256: str
    stamp: str
    size: int = 0  # bytes

    @classmethod
    def of(cls, path: Path) -> FileDigest:
        """Hash a file; raises EpisodeError."""
        sha, size = hashlib.sha256(), 0
        try:
            stamp = file_stamp(path)
            settled = time.time_ns() - int(stamp.rpartition(":")[2]) > SETTLED_NS
            with path.open("rb") as file:
                while block := file.read(_BLOCK):
                    sha.update(block)
                    size += len(block)
        except OSError as error:
            raise EpisodeError(f"{path}: cannot be read: {error.strerror or error}") from error
        return cls(sha.hexdigest(), stamp if settled else "", size)


class FileDigests:
    """The digests recorded in a cache. Without the file, or with a damaged one, none is known."""

    def __init__(self, cache: Path) -> None:
        self._file = cache / DIGESTS

    def known(self, paths: Sequence[Path]) -> dict[Path, str]:
        """Digests of those files that have not changed since they were recorded."""
        recorded: dict[str, tuple[str, str]] = {}
        if not self._file.exists():
            return {}
        names = [str(path.absolute()) for path in paths]
        with contextlib.suppress(sqlite3.Error, OSError), self._open() as database:
            for at in range(0, len(names), _PATHS_AT_ONCE):
                some = names[at : at + _PATHS_AT_ONCE]
                marks = ",".join("?" * len(some))
                rows = database.execute(f"SELECT path, stamp, sha256 FROM files WHERE path IN ({marks})", some)
                recorded |= {path: (stamp, digest) for path, stamp, digest in rows}
        found = {}
        for path, name in zip(paths, names, strict=True):
            stamp, digest = recorded.get(name, ("", ""))
            with contextlib.suppress(OSError):
                if stamp and stamp == file_stamp(path):
                    found[path] = digest
        return found

    def record(self, digests: Mapping[Path, FileDigest]) -> None:
        """Remember the digests of files, where that is possible."""
        rows = [(str(path.absolute()), found.stamp, found.sha256) for path, found in digests.items() if found.stamp]
        if not rows:
            return
        with contextlib.suppress(sqlite3.Error, OSError):
            try:
                self._write(rows)
            except sqlite3.OperationalError:
                return  # it may not be written, or others write for long
            except sqlite3.DatabaseError:  # damaged
                self._file.unlink(missing_ok=True)
                self._write(rows)

    def _write(self, rows: list[tuple[str, str, str]]) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._open() as database:
            database.execute("CREATE TABLE IF NOT EXISTS files (path TEXT PRIMARY KEY, stamp TEXT, sha256 TEXT)")
            database.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?)", rows)

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with contextlib.closing(sqlite3.connect(self._file, timeout=10)) as database, database:
            yield database
