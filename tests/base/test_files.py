# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Files that are never seen half written."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.base.files import write_atomically, write_json


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "note"
    write_atomically(file, b"old")

    def fails(source: str, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", fails)
    with pytest.raises(OSError, match="No space"):
        write_atomically(file, b"new")
    with pytest.raises(MbrlError, match=r"note.*No space"):
        write_json(file, {})
    assert file.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["note"]


def test_a_report_is_written_beside_the_one_that_it_replaces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From another file system it could not be renamed into place."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "on another disk"))
    write_json(tmp_path / "report.json", {"a": 1})
    assert [p.name for p in tmp_path.iterdir()] == ["report.json"]


def test_a_report_is_whole_or_not_there_and_what_is_no_number_is_null(tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    content = {"a": float("nan"), "b": [1.5, float("inf"), {"c": (-float("inf"), None, "NaN", 3)}], "d": True}
    write_json(file, content)
    assert json.loads(file.read_text()) == {"a": None, "b": [1.5, None, {"c": [None, None, "NaN", 3]}], "d": True}
    assert file.read_text().endswith("}\n")
    with pytest.raises(TypeError):
        write_json(file, {"a": object()})
    assert json.loads(file.read_text())["b"][0] == 1.5
    write_json(file, {"a": 1})
    assert json.loads(file.read_text()) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["report.json"]
