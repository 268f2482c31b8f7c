# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Logs of any size for the benchmark of reading."""

from __future__ import annotations

from pathlib import Path

from mbrl_controller.benchmark.data import DataSettings, enlarge
from mbrl_controller.control.task_config import contract_for
from mbrl_controller.episodes.writer import PART
from mbrl_controller.training.dataset import load_dataset


def test_a_run_that_was_killed_as_it_wrote_goes_on_there(tmp_path: Path) -> None:
    settings = DataSettings("valve", (400,), tmp_path)
    files = list(enlarge(settings, 400))
    last = files[-1][0]
    last.rename(last.with_name(last.name + PART))
    before = {path: path.stat().st_mtime_ns for path, _ in files[:-1]}
    assert list(enlarge(settings, 400)) == files
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert not list(tmp_path.rglob(f"*{PART}"))
    found = load_dataset([path for path, _ in files], contract_for("valve"))
    assert len(found.data) == files[-1][1] >= 400
    assert found.unused_files == {}
