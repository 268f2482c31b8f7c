# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Bounded, symlink-safe reads of untrusted model files; each file is read once."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from mbrl_controller.base.errors import ModelError

MAX_MODEL_BYTES = 64 * 1024 * 1024
MAX_TEXT_BYTES = 1024 * 1024  # of a card, of current.json, of a model's metadata


@dataclass(frozen=True)
class ModelFile:
    """The content of a model file, read once: what is checked is what is loaded, even if the file changes."""

    path: Path
    content: bytes
    sha256: str  # hex, of the content

    @classmethod
    def read(cls, path: Path | str, sha256: str | None = None, *, links: bool = True) -> ModelFile:
        """Read `path`; its digest must be `sha256`, if given. `links` as in read_bounded.

        Raises ModelError.
        """
        path = Path(path)
        try:
            content = read_bounded(path, MAX_MODEL_BYTES, links=links)
        except OSError as error:
            raise ModelError(f"{path}: cannot be read: {error.strerror or error}") from error
        file = cls.of(path, content)
        if sha256 not in (None, file.sha256):
            raise ModelError(f"{path}: its sha256 is not the one in its version's card: damaged or exchanged")
        return file

    @classmethod
    def of(cls, path: Path | str, content: bytes) -> ModelFile:
        """`content` that was read from `path`."""
        return cls(Path(path), content, hashlib.sha256(content).hexdigest())


def read_bounded(path: Path, limit: int, *, links: bool = True) -> bytes:
    """The content of a regular file of at most `limit` bytes; `links`: also of one behind a symbolic link.

    Raises OSError, also for a larger file, a pipe (which could block for ever), a device and a folder.
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (0 if links else os.O_NOFOLLOW)
    try:
        fd = os.open(path, flags)
    except OSError as error:
        if error.errno == errno.ELOOP and not links:
            raise OSError(errno.ELOOP, "it is a symbolic link, which may lead anywhere") from error
        raise
    with os.fdopen(fd, "rb") as file:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "it is no regular file")
        content = file.read(limit + 1) if found.st_size <= limit else b""
    if max(found.st_size, len(content)) > limit:
        raise OSError(errno.EFBIG, f"it is larger than {limit // 1024} KiB, which no model file or card is")
    return content
