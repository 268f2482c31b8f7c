# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Both turns of the tests run, and what comes of either is told."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("xdist")

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
MARKS = "[pytest]\nmarkers =\n    ros\n    slow\n"


def run(folder: Path, tests: str, *arguments: str) -> tuple[int, str]:
    """Exit code and last line of the tests of a file."""
    (folder / "pytest.ini").write_text(MARKS)
    (folder / "test_some.py").write_text(f"import os, pytest\n{tests}")
    command = [sys.executable, str(ROOT / "tools" / "run_tests.py"), "-p", "no:cacheprovider", *arguments]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout.strip().splitlines()[-1]


PLAIN = "def test_plain():\n    assert 'PYTEST_XDIST_WORKER' in os.environ or os.cpu_count() == 1\n"
NODES = "@pytest.mark.ros\ndef test_nodes():\n    assert 'PYTEST_XDIST_WORKER' not in os.environ\n"
SLOW = "@pytest.mark.slow\ndef test_slow():\n    assert False\n"


def test_nodes_have_a_turn_of_their_own(tmp_path: Path) -> None:
    code, last = run(tmp_path, PLAIN + NODES)
    assert code == 0
    assert "2 passed" in last


def test_marks_that_are_asked_for_hold_in_both_turns(tmp_path: Path) -> None:
    code, last = run(tmp_path, PLAIN + NODES + SLOW, "-m", "not slow")
    assert (code, "failed" in last) == (0, False)


def test_a_failure_of_the_first_turn_counts_and_the_second_runs_all_the_same(tmp_path: Path) -> None:
    code, last = run(tmp_path, SLOW + NODES)
    assert code == 1
    assert "1 failed" in last
    assert "1 passed" in last


@pytest.mark.parametrize(("tests", "expected"), [(PLAIN, 0), (NODES, 0), ("", 5)])
def test_a_turn_without_tests_is_no_failure_unless_there_are_none_at_all(
    tmp_path: Path, tests: str, expected: int
) -> None:
    assert run(tmp_path, tests)[0] == expected
