# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""`mbrl episodes`: what the logger wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mbrl_controller.cli.console import console
from mbrl_controller.cli.errors import FAILED, report_errors

app = typer.Typer(help="Logged episodes: list, info, recover, export, import.", no_args_is_help=True)

FolderArgument = Annotated[
    Path | None, typer.Argument(help="folder to search (default: episodes/ below MBRL_HOME or ~/.mbrl)")
]


def _folder(folder: Path | None) -> Path:
    from mbrl_controller.base.errors import EpisodeError
    from mbrl_controller.base.resources import home_dir

    chosen = folder or home_dir() / "episodes"
    if not chosen.is_dir():
        raise EpisodeError(f"{chosen}: {'is no folder' if chosen.exists() else 'no such folder'}")
    return chosen


@app.command("list")
@report_errors
def list_episodes(folder: FolderArgument = None) -> None:
    """Every episode below a folder."""
    from rich.table import Column, Table

    from mbrl_controller.base.errors import EpisodeError
    from mbrl_controller.episodes.metadata import OTHERS
    from mbrl_controller.episodes.reader import read_info
    from mbrl_controller.models.origin import world_text

    table = Table(Column("file", overflow="fold"), "task", "robot", "world", "model", "started", "KiB", box=None)
    root = _folder(folder)
    for path in sorted(root.rglob("*.mcap")):
        size = f"{path.stat().st_size / 1024:.0f}"
        try:
            info = read_info(path)
            by = "(others)" if info.commanded_by == OTHERS else info.model_version
            row = (info.task, info.robot, world_text(info.world), by, info.started, size)
        except EpisodeError as error:
            row = ("[red]unreadable[/red]", str(error), "", "", "", size)
        table.add_row(str(path.relative_to(root)), *row)
    console.print(table if table.row_count else "no episodes")


@app.command()
@report_errors
def info(path: Annotated[Path, typer.Argument(help="episode file (.mcap)")]) -> None:
    """What an episode holds, and how much of it is fit to learn from."""
    from rich.table import Table

    from mbrl_controller.episodes.reader import read_episode
    from mbrl_controller.episodes.transitions import transitions
    from mbrl_controller.models.origin import world_text

    episode = read_episode(path, only_for_transitions=True)
    usable = transitions(episode)
    table = Table(show_header=False, box=None)
    for name, value in (vars(episode.info) | {"world": world_text(episode.info.world)}).items():
        if value not in ("", None) and name not in ("topics", "extra"):
            table.add_row(name, str(value))
    table.add_row("complete", "yes" if episode.complete else episode.problem)
    table.add_row("transitions", str(len(usable)))
    for reason, count in usable.skipped.items():
        table.add_row("left out", f"{count}: {reason}")
    console.print(table)


@app.command()
@report_errors
def recover(folder: FolderArgument = None) -> None:
    """Make whole files of episodes that a crash or power-off cut."""
    from mbrl_controller.episodes.recovery import recover_folder

    outcome = recover_folder(_folder(folder))
    for line in [*map(str, outcome.recovered), *outcome.failed, str(outcome)]:
        console.print(line, soft_wrap=True, markup=False)
    if outcome.failed:
        raise typer.Exit(FAILED)
