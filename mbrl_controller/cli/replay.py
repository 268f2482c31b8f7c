# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""`mbrl replay`: logged episodes in the browser, along a time line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mbrl_controller.cli.console import console
from mbrl_controller.cli.errors import report_errors, warn
from mbrl_controller.cli.options import ModelsOption


@report_errors
def replay(
    episodes: Annotated[
        str,
        typer.Argument(
            metavar="EPISODE|SESSION",
            help="an episode's file; or a session: its folder, TASK/SESSION in the log, or TASK: its newest one",
        ),
    ],
    port: Annotated[int, typer.Option(min=1, max=65535, help="the next free one where it is in use")] = 8080,
    episodes_dir: Annotated[
        Path | None, typer.Option("--episodes-dir", help="the log (default: episodes/ below MBRL_HOME or ~/.mbrl)")
    ] = None,
    models_dir: ModelsOption = None,
    model_file: Annotated[
        Path | None, typer.Option(help="MJCF or URDF to draw (default: the contract's world, or its robot's)")
    ] = None,
) -> None:
    """Show logged episodes again: what was seen, planned and commanded, and each plan against what then happened.

    Serves a page on this machine until Ctrl-C. The log is only read.
    """
    import threading
    from contextlib import suppress

    from mbrl_controller.base.resources import home_dir
    from mbrl_controller.replay.outlook import Outlooks
    from mbrl_controller.replay.playlist import find_episodes
    from mbrl_controller.replay.view import ReplayView

    entries = find_episodes(episodes, episodes_dir or home_dir() / "episodes", warn)
    view = ReplayView(entries, Outlooks(models_dir), port, model_file, warn)
    console.print(f"{len(entries)} episode{'s' * (len(entries) > 1)}; watch at {view.url} (Ctrl-C ends it)")
    with suppress(KeyboardInterrupt):
        threading.Event().wait()
    view.close()
