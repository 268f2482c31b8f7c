# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Where a user's own files are kept, and what is said where they cannot be."""

from __future__ import annotations

import errno
import pwd
from pathlib import Path

import pytest

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.base.resources import home_dir, write_hint


def nobody(uid: int) -> None:
    """As in a container whose user has no entry in /etc/passwd."""
    raise KeyError(f"getpwuid(): uid not found: {uid}")


def test_it_is_below_home_unless_it_is_given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MBRL_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert home_dir() == tmp_path / ".mbrl"
    monkeypatch.setenv("MBRL_HOME", str(tmp_path / "own"))
    assert home_dir() == tmp_path / "own"
    monkeypatch.setenv("MBRL_HOME", "~/own")
    assert home_dir() == tmp_path / "own"


@pytest.mark.parametrize("given", [None, "~/models", "~no_such_user/x"])
def test_nobodys_home_is_told_with_what_to_set(monkeypatch: pytest.MonkeyPatch, given: str | None) -> None:
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    monkeypatch.delenv("MBRL_HOME", raising=False)
    if given:
        monkeypatch.setenv("MBRL_HOME", given)
    with pytest.raises(MbrlError, match="set MBRL_HOME") as caught:
        home_dir()
    assert (given or "HOME is not set") in str(caught.value)


def test_a_file_is_no_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MBRL_HOME", str(tmp_path / "file"))
    with pytest.raises(MbrlError, match=r"file: is a file.*set MBRL_HOME"):
        home_dir()
    monkeypatch.setenv("MBRL_HOME", str(tmp_path / ("x" * 5000)))
    with pytest.raises(MbrlError, match="set MBRL_HOME"):
        home_dir()


def test_only_what_lies_in_it_and_may_not_be_written_is_put_down_to_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MBRL_HOME", str(tmp_path / "home"))
    below = str(tmp_path / "home" / "models")
    assert "MBRL_HOME" in write_hint(PermissionError(errno.EACCES, "Permission denied", below))
    assert "MBRL_HOME" in write_hint(OSError(errno.EROFS, "Read-only file system", below))
    assert write_hint(OSError(errno.ENOSPC, "No space left on device", below)) == ""
    assert write_hint(PermissionError(errno.EACCES, "Permission denied", "/elsewhere/models")) == ""
    assert write_hint(OSError("no file at all")) == ""
