# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""`mbrl report`: what happened in logged sessions, as a page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mbrl_controller.cli.console import console
from mbrl_controller.cli.errors import report_errors


@report_errors
def report(
    sessions: Annotated[
        list[str],
        typer.Argument(
            metavar="SESSION...", help="folder of a session, TASK/SESSION in the log, or TASK: its newest session"
        ),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="HTML file (default: report.html in the first folder)")
    ] = None,
    episodes_dir: Annotated[
        Path | None, typer.Option("--episodes-dir", help="the log (default: episodes/ below MBRL_HOME or ~/.mbrl)")
    ] = None,
) -> None:
    """Write a page on logged sessions: episodes, metrics, timing, safety, disagreement, commands against limits.

    Several sessions, or several model versions in one, are compared. The file needs no network and no other file.
    """
    from mbrl_controller.base.resources import home_dir
    from mbrl_controller.reports.report import REPORT_FILE, find_session, write_report

    root = episodes_dir or home_dir() / "episodes"
    folders = list(dict.fromkeys(find_session(name, root) for name in sessions))
    written = write_report(folders, out or folders[0] / REPORT_FILE)
    console.print(str(written), soft_wrap=True, markup=False)
