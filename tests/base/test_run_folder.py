# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Run folders: their names, which one resumes, and that one process at a time has one."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.base.run_folder import mark_done, new_folder, new_run, newest_unfinished, only_process


def test_runs_of_the_same_second_have_folders_of_their_own(tmp_path: Path) -> None:
    folders = [new_run(tmp_path / "base", "{}") for _ in range(4)]
    assert len(set(folders)) == 4
    assert newest_unfinished(tmp_path / "base") == folders[-1]


def test_whoever_asks_at_the_same_time_gets_another_folder(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        folders = list(pool.map(lambda _: new_folder(tmp_path / "base", "random-"), range(40)))
    assert len(set(folders)) == 40
    assert all(folder.is_dir() and folder.name.startswith("random-") for folder in folders)
    (tmp_path / "file").touch()
    with pytest.raises(MbrlError, match="cannot be written"):
        new_folder(tmp_path / "file")


def test_a_name_is_taken_once_and_a_bad_one_is_refused(tmp_path: Path) -> None:
    folder = new_run(tmp_path, '{"a": 1}', "first")
    assert folder == tmp_path / "first"
    assert (folder / "plan.json").read_text() == '{"a": 1}'
    with pytest.raises(MbrlError, match=r"first.*--resume"):
        new_run(tmp_path, "{}", "first")
    with pytest.raises(MbrlError, match="run name"):
        new_run(tmp_path, "{}", "../elsewhere")


def test_the_run_that_was_begun_last_resumes_unless_it_has_finished(tmp_path: Path) -> None:
    with pytest.raises(MbrlError, match="no unfinished run"):
        newest_unfinished(tmp_path)
    for begun, name in enumerate(("c", "a", "b"), start=1):
        os.utime(new_run(tmp_path, "{}", name) / "plan.json", (begun, begun))
    assert newest_unfinished(tmp_path).name == "b"
    mark_done(tmp_path / "b", "promoted\n")
    assert (tmp_path / "b" / "done").read_text() == "promoted\n"
    assert newest_unfinished(tmp_path).name == "a"


def test_one_process_at_a_time(tmp_path: Path) -> None:
    lock = tmp_path / "deep" / ".lock"
    with only_process(lock, "is running"):  # noqa: SIM117
        with pytest.raises(MbrlError, match="is running"), only_process(lock, "is running"):
            pass
    with only_process(lock, "is running"):
        pass
    (tmp_path / "file").touch()
    with pytest.raises(MbrlError, match="cannot be written"), only_process(tmp_path / "file" / ".lock", ""):
        pass
