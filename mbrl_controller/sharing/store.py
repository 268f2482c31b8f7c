# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Storage that several machines reach by a URL (fsspec): a shared folder, S3 and what speaks its protocol.

A key names an object below the URL. Objects are written once; only `replace` changes one. What a storage does, and says
when it fails, differs; here every failure is a ShareError that says which object could not be read or written, and why.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mbrl_controller.base.errors import MbrlError

# S3: an answer must not keep a pass waiting for minutes. The endpoint and the credentials come from the environment.
S3_OPTIONS = {"config_kwargs": {"connect_timeout": 10, "read_timeout": 30, "retries": {"max_attempts": 2}}}


class ShareError(MbrlError):
    """The storage could not be read or written, or holds what cannot be used."""


class Store:
    """The objects below a URL."""

    def __init__(self, url: str) -> None:
        """Nothing is read yet. Raises ShareError for a URL of no known kind, or with a password in it."""
        import fsspec

        if re.match(r"\w+://[^/@]*:[^/@]*@", url):
            raise ShareError("the URL has a password in it, which logs would show: use the environment")
        self.url = url.rstrip("/")
        options: dict[str, Any] = {"skip_instance_cache": True, "use_listings_cache": False}
        if url.startswith(("s3:", "s3a:")):
            options |= S3_OPTIONS
        elif "://" not in url or url.startswith(("file:", "local:")):
            options |= {"auto_mkdir": True}
        try:
            self._fs, root = fsspec.core.url_to_fs(url, **options)
        except (ImportError, ValueError) as error:
            raise ShareError(f"{url}: {error}") from error
        self._root = root.rstrip("/")
        self._is_local = "file" in (self._fs.protocol if isinstance(self._fs.protocol, tuple) else (self._fs.protocol,))

    def keys(self, prefix: str) -> list[str]:
        """Keys directly below `prefix/`, sorted; none where nothing was written there."""
        with self._guard("listed", prefix):
            try:
                found = self._fs.ls(self._path(prefix), detail=False)
            except FileNotFoundError:
                self._check_root()
                return []
        return sorted(f"{prefix}/{name.rstrip('/').rpartition('/')[2]}" for name in found)

    def size(self, key: str) -> int | None:
        """Bytes of an object; None where there is none."""
        with self._guard("read", key):
            try:
                return int(self._fs.info(self._path(key))["size"])
            except FileNotFoundError:
                return None

    def read(self, key: str, limit: int) -> bytes:
        """A small object's content; raises ShareError for one of more than `limit` bytes."""
        with self._guard("read", key):
            content: bytes = self._fs.cat_file(self._path(key), start=0, end=limit + 1)
        if len(content) > limit:
            raise ShareError(f"{self.url}/{key}: is larger than {limit} bytes")
        return content

    def download(self, key: str, target: Path) -> None:
        """Copy an object into a file."""
        with self._guard("read", key):
            self._fs.get_file(self._path(key), str(target))

    def upload(self, source: Path, key: str, size: int) -> None:
        """Copy a file of `size` bytes, unless an object of this size is there: the key must say what is in it.

        A torn upload leaves a shorter object, or none, which the next one replaces.
        """
        if self.size(key) == size:
            return
        with self._guard("written", key):
            self._fs.put_file(str(source), self._path(key))
        if (found := self.size(key)) != size:
            raise ShareError(f"{self.url}/{key}: cannot be written: has {found} of {size} bytes")

    def create(self, key: str, content: bytes) -> bool:
        """Write an object that is not there yet, whole; False if it is, whoever else tries at the same time."""
        with self._guard("written", key):
            try:
                if self._is_local:
                    self._aside(key, content, os.link)
                else:
                    self._fs.pipe_file(self._path(key), content, mode="create")
            except FileExistsError:
                return False
        return True

    def replace(self, key: str, content: bytes) -> None:
        """Write an object, whole; readers see the old one or the new one."""
        with self._guard("written", key):
            if self._is_local:
                self._aside(key, content, os.replace)
            else:
                self._fs.pipe_file(self._path(key), content)

    def _aside(self, key: str, content: bytes, into_place: Any) -> None:
        path = Path(self._path(key))
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent.parent, prefix=".writing-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(name, 0o644)
            into_place(name, path)
        finally:
            Path(name).unlink(missing_ok=True)

    def _check_root(self) -> None:
        """A bucket or folder that is not there is no empty one. Raises FileNotFoundError."""
        if not self._fs.exists(self._root if self._is_local else self._root.partition("/")[0]):
            raise FileNotFoundError(f"there is no {self._root}")

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}"

    @contextlib.contextmanager
    def _guard(self, what: str, key: str) -> Iterator[None]:
        try:
            yield
        except (ShareError, FileExistsError):
            raise
        except Exception as error:  # each storage's library has errors of its own
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise ShareError(f"{self.url}/{key}: cannot be {what}: {reason.strip() or type(error).__name__}") from error
