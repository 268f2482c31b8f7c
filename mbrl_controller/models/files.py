# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Reads the files of a registry as if a stranger had put them there: each once, in bounds, and none elsewhere."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from mbrl_controller.base.errors import ModelError

MAX_MODEL_BYTES = 64 * 1024 * 1024
MAX_TEXT_BYTES = 1024 * 1024  # of a card, of a note which version is current, of what a model says about itself


@dataclass(frozen=True)
class ModelFile:
    """A model file as it was read: what is checked is what is loaded, whatever becomes of the file."""

    path: Path
    content: bytes
    sha256: str  # hex, of the content

    @classmethod
    def read(cls, path: Path | str, sha256: str | None = None, *, links: bool = True) -> ModelFile:
        """The file at `path`; with `sha256`, only if that is its digest. `links` as in read_bounded.

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
    """A regular file of at most `limit` bytes; `links`: also at the end of a symbolic link.

    Raises OSError, also for what is larger, for a pipe (nobody may ever write to it), a device and a folder.
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
        raise OSError(errno.EFBIG, f"it is larger than {limit // 1024} KiB, which none of ours is")
    return content
