# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Peers' scripts are run and read; what they fail with becomes a reason, never an exception."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from mbrl_controller.benchmark.external import CHECKOUT_ONLY, FOLDER, PeerResult, peer_results

ANSWER = {"peer": "fake planner", "version": "1.2", "cpu_ms": {"MPPI": 141.2, "CEM": 99}, "rows": {}, "note": "of two"}


def printing(*lines: str) -> str:
    return "".join(f"print({line!r})\n" for line in lines)


def only(folder: Path, source: str, **options: float) -> PeerResult:
    (folder / "fake.py").write_text(source)
    [result] = peer_results(folder=folder, **options)
    return result


def test_figures_are_read_from_the_last_line(tmp_path: Path) -> None:
    result = only(tmp_path, printing("a library talks", json.dumps(ANSWER), ""))
    assert result == PeerResult("fake planner", "1.2", {"MPPI": 141.2, "CEM": 99.0}, "of two")


def test_all_scripts_run_but_what_they_share(tmp_path: Path) -> None:
    (tmp_path / "common.py").write_text(f"import json\nANSWER = {ANSWER}\n")
    (tmp_path / "a.py").write_text("from common import ANSWER, json\nprint(json.dumps(ANSWER))\n")
    (tmp_path / "b.py").write_text("raise SystemExit('no')\n")
    assert [result.peer for result in peer_results(folder=tmp_path)] == ["fake planner", "b"]
    assert not (tmp_path / "__pycache__").exists()


def test_script_has_one_thread_and_its_own_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    source = "import os, sys\nsys.exit(os.environ['OMP_NUM_THREADS'] + os.environ.get('PYTHONPATH', ' own'))\n"
    assert only(tmp_path, source).reason == "exit code 1: 1 own"


def test_peer_that_is_not_installed_says_so(tmp_path: Path) -> None:
    line = json.dumps({"peer": "fake", "skipped": "not installed: fake"})
    assert only(tmp_path, printing(line)) == PeerResult("fake", reason="not installed: fake")


def test_crash_is_told_by_its_last_words(tmp_path: Path) -> None:
    source = "import sys\nprint('{}')\nprint('warning', file=sys.stderr)\nraise RuntimeError('half the rows')\n"
    assert only(tmp_path, source) == PeerResult("fake", reason="exit code 1: RuntimeError: half the rows")
    assert only(tmp_path, "import os\nos.abort()\n").reason == "exit code -6: no message"


def test_script_that_does_not_end_is_given_up(tmp_path: Path) -> None:
    result = only(tmp_path, "import time\ntime.sleep(60)\n", timeout_s=0.5)
    assert result == PeerResult("fake", reason="did not end within 0.5 s")


@pytest.mark.parametrize(
    "last",
    [
        "",
        "141.2 ms",
        "[1, 2]",
        "{}",
        "null",
        '{"peer": "fake"}',
        '{"peer": "fake", "version": "1", "cpu_ms": {}}',
        '{"peer": "fake", "version": "1", "cpu_ms": [1.0]}',
        '{"peer": "fake", "version": "1", "cpu_ms": {"MPPI": NaN}}',
        '{"peer": "fake", "version": "1", "cpu_ms": {"MPPI": "fast"}}',
    ],
)
def test_other_output_is_no_result(tmp_path: Path, last: str) -> None:
    assert only(tmp_path, printing(last)) == PeerResult("fake", reason="its last line is no result")


def test_missing_interpreter_is_a_reason(tmp_path: Path) -> None:
    (tmp_path / "fake.py").write_text("")
    [result] = peer_results(tmp_path / "python", folder=tmp_path)
    assert result.reason is not None
    assert result.reason.endswith("cannot be run: No such file or directory")


def test_without_the_folder_there_is_one_reason(tmp_path: Path) -> None:
    assert peer_results(folder=tmp_path / "none") == [PeerResult("peers", reason=CHECKOUT_ONLY)]


@pytest.mark.skipif(not FOLDER.is_dir(), reason=CHECKOUT_ONLY)
def test_every_script_of_the_checkout_says_what_is_not_installed(tmp_path: Path) -> None:
    """Under an interpreter without site-packages all must say so."""
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "$@"\n')
    python.chmod(0o755)
    results = peer_results(python)
    assert len(results) >= 6
    assert {str(result.reason).partition(":")[0] for result in results} == {"not installed"}
