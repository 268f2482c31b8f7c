# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Reading a file that a stranger may have put there."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from mbrl_controller.base.errors import ModelError
from mbrl_controller.models.files import ModelFile, read_bounded


def test_a_file_is_read_whole_up_to_the_bound(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"12345")
    assert read_bounded(path, 5) == b"12345"
    with pytest.raises(OSError, match="larger than"):
        read_bounded(path, 4)


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "nothing"])
def test_what_is_no_file_is_an_error_at_once(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path = Path("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    with pytest.raises(OSError, match=r"."):
        read_bounded(path, 100)
    with pytest.raises(ModelError, match=f"{path}: cannot be read"):
        ModelFile.read(path)


def test_a_link_is_followed_only_where_that_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "secret")
    assert ModelFile.read(link).content == b"secret"
    with pytest.raises(ModelError, match="symbolic link"):
        ModelFile.read(link, links=False)


def test_the_digest_is_that_of_what_was_read(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"weights")
    digest = hashlib.sha256(b"weights").hexdigest()
    assert ModelFile.read(path, digest) == ModelFile.of(path, b"weights")
    for other in ("", "0" * 64):
        with pytest.raises(ModelError, match="its sha256"):
            ModelFile.read(path, other)
