# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Decoded transitions on disk, so that an episode file is decoded once, not in each retrain.

`<cache>/columns/<what decides them>/<aa>/<digest of the episode file>.npy`: two arrays of NumPy's format, a note (JSON)
and the rows. What decides the columns besides the file is the contract's content, whether other robots are read, and
the code that decodes: an edit to it, or to the task, makes all anew. An entry that is damaged is made again; where
nothing can be written, files are decoded each time.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from mbrl_controller.base.file_digests import DIGESTS
from mbrl_controller.base.files import write_atomically
from mbrl_controller.base.resources import PACKAGE
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.episodes.transitions import Transitions

FORMAT = 1
COLUMNS = "columns"  # folder of the cache
DECODING = ("contract", "episodes", "models/spec.py", "tasks", "training/dataset.py")  # code that decides the columns
LIBRARIES = ("numpy", "rosbags")


@dataclass(frozen=True)
class Decoded:
    """What an episode file gives to a data set."""

    rows: Transitions
    robot: str
    world: str


@dataclass(frozen=True)
class ColumnCache:
    """The entries of one contract, in `folder`."""

    folder: Path
    sizes: tuple[int, int]  # of state and action

    @classmethod
    def of(cls, cache: Path, contract: RobotContract, any_robot: bool) -> ColumnCache:
        """The entries below `cache` of what `contract` reads; `any_robot` as in `read_episode`."""
        decides = [FORMAT, contract.digest, any_robot, _code_digest(type(contract.task).__module__), _libraries()]
        name = hashlib.sha256(json.dumps(decides).encode()).hexdigest()[:32]
        return cls(cache / COLUMNS / name, (len(contract.task.state), len(contract.action)))

    def has(self, digest: str) -> bool:
        """Whether there is an entry for the file of this SHA-256 (hex), perhaps a damaged one."""
        return self._path(digest).exists()

    def load(self, digest: str) -> Decoded | None:
        """The columns of the file of this SHA-256 (hex); None where there are none, or damaged ones."""
        path = self._path(digest)
        try:
            with path.open("rb") as file:
                note = json.loads(np.load(file, allow_pickle=False).tobytes())
                rows = np.load(file, allow_pickle=False)
            if rows.dtype != self._dtype or rows.ndim != 1 or zlib.crc32(rows.tobytes()) != note.pop("crc32"):
                return None
            columns = {name: rows[name] for name in self._dtype.names or ()}
            transitions = Transitions(**columns, key=note["key"], skipped=note["skipped"])
            found = Decoded(transitions, note["robot"], note["world"])
        except (OSError, ValueError, KeyError, TypeError, EOFError):
            return None
        with contextlib.suppress(OSError):
            os.utime(path)  # what is not used for longest is removed first
        return found

    def save(self, digest: str, found: Decoded) -> None:
        """Keep the columns of a file, where that is possible."""
        rows = np.empty(len(found.rows), self._dtype)
        for name in rows.dtype.names or ():
            rows[name] = getattr(found.rows, name)
        note = {
            "key": found.rows.key,
            "skipped": dict(found.rows.skipped),
            "robot": found.robot,
            "world": found.world,
            "crc32": zlib.crc32(rows.tobytes()),
        }
        buffer = io.BytesIO()
        np.save(buffer, np.frombuffer(json.dumps(note).encode(), np.uint8))
        np.save(buffer, rows)
        path = self._path(digest)
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, buffer.getvalue(), to_disk=False)  # what a power cut leaves is seen by its checksum

    @property
    def _dtype(self) -> np.dtype[Any]:
        S, A = self.sizes
        fields = [("state", "<f8", (S,)), ("action", "<f8", (A,)), ("next_state", "<f8", (S,)), ("step", "<i8")]
        return np.dtype(fields)

    def _path(self, digest: str) -> Path:
        return self.folder / digest[:2] / f"{digest}.npy"


@dataclass(frozen=True)
class CacheSize:
    """What a cache holds."""

    entries: int
    size: int  # bytes


def measure(cache: Path) -> CacheSize:
    """What lies in a cache."""
    found = list(_entries(cache))
    return CacheSize(len(found), sum(entry.size for entry in found))


def prune(cache: Path, limit: int) -> int:
    """Remove the entries not used for longest until at most `limit` bytes are left; returns how many were removed."""
    found = sorted(_entries(cache), key=lambda entry: entry.used)
    left, removed = sum(entry.size for entry in found), 0
    for entry in found:
        if left <= limit:
            break
        with contextlib.suppress(OSError):
            entry.path.unlink()
            removed += 1
        left -= entry.size
    return removed


def clear(cache: Path) -> CacheSize:
    """Remove everything that a cache holds, and return what it was. Raises OSError."""
    found = measure(cache)
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(cache / COLUMNS)
    (cache / DIGESTS).unlink(missing_ok=True)
    return found


@dataclass(frozen=True)
class _Entry:
    path: Path
    size: int
    used: float


def _entries(cache: Path) -> Iterator[_Entry]:
    for folder, _, names in os.walk(cache / COLUMNS):
        for name in names:
            path = Path(folder, name)
            with contextlib.suppress(OSError):  # another process removed it
                found = path.stat()
                yield _Entry(path, found.st_size, found.st_mtime)


def _code_digest(task_module: str) -> str:
    """SHA-256 (hex) of the code that decodes, and of the package that a task from outside comes from."""
    own = Path(__file__).parents[1]
    files = [path for name in DECODING for path in _python_files(own / name)]
    package = task_module.partition(".")[0]
    if package != PACKAGE:
        files += _python_files(_place(sys.modules[package]))
    sha = hashlib.sha256()
    for path in files:
        sha.update(path.read_bytes())
    return sha.hexdigest()


def _place(module: Any) -> Path:
    file = Path(module.__file__ or next(iter(module.__path__)))
    return file.parent if file.name == "__init__.py" else file


def _python_files(path: Path) -> list[Path]:
    return sorted(path.rglob("*.py")) if path.is_dir() else [path]


def _libraries() -> list[str]:
    return [metadata.version(name) for name in LIBRARIES]
