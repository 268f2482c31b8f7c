# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Which sessions the logger reports on, and when; and that it never waits for a report."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("rclpy")

from mbrl_controller.nodes.report_process import LOG_FILE, OVER, ReportProcess

WRITE = "import pathlib, sys; pathlib.Path(sys.argv[1], 'report.html').write_text('done')"


def command(code: str):
    return lambda folder: [sys.executable, "-c", code, str(folder)]


def session(root: Path, name: str) -> Path:
    (root / name).mkdir()
    return root / name / "episode_0000.mcap"


def wait(done) -> None:
    until = time.monotonic() + 30
    while not done():
        assert time.monotonic() < until
        time.sleep(0.01)


def settled(reports: ReportProcess, text: str):
    """Whether `last` says so, asked as the node's timer asks."""

    def ask() -> bool:
        reports.poll()
        return text in reports.last

    return ask


def test_a_session_is_reported_on_when_its_controller_is_deactivated(tmp_path):
    reports = ReportProcess(command(WRITE))
    file = session(tmp_path, "s")
    reports.closed(file, "timeout")
    reports.poll()
    assert reports.last == ""
    reports.closed(file, OVER)
    wait(settled(reports, "written"))
    assert (file.parent / "report.html").read_text() == "done"


def test_a_session_is_over_when_another_is_logged(tmp_path):
    reports = ReportProcess(command(WRITE))
    one, two = session(tmp_path, "one"), session(tmp_path, "two")
    reports.closed(one, "timeout")
    reports.closed(two, "timeout")
    wait(settled(reports, "written"))
    assert (one.parent / "report.html").exists()
    assert not (two.parent / "report.html").exists()


def test_at_the_loggers_end_all_sessions_are_reported_on_by_processes_that_outlive_it(tmp_path):
    reports = ReportProcess(command(f"import time; time.sleep(0.3); {WRITE}"))
    one, two = session(tmp_path, "one"), session(tmp_path, "two")
    reports.closed(one, "timeout")
    reports.closed(two, "timeout")
    reports.finish()
    wait(lambda: all((file.parent / "report.html").exists() for file in (one, two)))
    reports.finish()  # nothing is left


def test_a_report_that_takes_for_ever_holds_up_nothing(tmp_path):
    reports = ReportProcess(command("import time; time.sleep(600)"))
    file = session(tmp_path, "s")
    begun = time.process_time()
    reports.closed(file, OVER)
    reports.poll()
    reports.closed(file, OVER)
    for _ in range(100):
        reports.poll()
    assert time.process_time() - begun < 1.0
    assert "being made" in reports.last
    assert reports._running is not None
    os.kill(reports._running[1].pid, signal.SIGKILL)
    reports._running[1].wait()


def test_one_that_fails_says_where_to_look(tmp_path):
    reports = ReportProcess(command("raise SystemExit('no')"))
    file = session(tmp_path, "s")
    reports.closed(file, OVER)
    wait(settled(reports, "failed"))
    assert str(file.parent / LOG_FILE) in reports.last
    assert "no" in (file.parent / LOG_FILE).read_text()


def test_a_folder_that_is_gone_is_no_reason_to_fail(tmp_path):
    reports = ReportProcess(command(WRITE))
    reports.closed(tmp_path / "gone" / "episode_0000.mcap", OVER)
    reports.poll()
    assert "cannot be started" in reports.last
