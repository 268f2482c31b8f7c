# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""`mbrl share`: episodes and model versions between hands and who trains, over storage with a URL."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mbrl_controller.cli.completion import complete_tasks
from mbrl_controller.cli.console import error_console, say
from mbrl_controller.cli.errors import REFUSED, report_errors, warn
from mbrl_controller.cli.options import TASKS, ModelsOption

if TYPE_CHECKING:
    from mbrl_controller.sharing.passes import Exchanged, ShareSettings

app = typer.Typer(help="Exchange episodes and versions over shared storage: hand, trainer.", no_args_is_help=True)

UrlArgument = Annotated[str, typer.Argument(metavar="URL", help="storage, such as s3://BUCKET/NAME or file:///FOLDER")]
SharedTasks = Annotated[
    list[str] | None, typer.Option("--task", help=f"{TASKS}; repeatable (default: all)", autocompletion=complete_tasks)
]
EpisodesOption = Annotated[Path | None, typer.Option(help="the log (default: episodes/ below MBRL_HOME or ~/.mbrl)")]
EveryOption = Annotated[float | None, typer.Option(min=1.0, help="go on, with a pass each so many s (default: one)")]


@app.command()
@report_errors
def hand(
    url: UrlArgument,
    task: SharedTasks = None,
    every: EveryOption = None,
    keep_gib: Annotated[
        float | None,
        typer.Option(min=0.0, help="remove sent episodes while a task's log is larger, oldest first (default: never)"),
    ] = None,
    episodes_dir: EpisodesOption = None,
    models_dir: ModelsOption = None,
) -> None:
    """Send finished episodes, and get the trainer's versions: beside controller and logger, which never wait for it."""
    from mbrl_controller.sharing.passes import ShareSettings

    keep = None if keep_gib is None else int(keep_gib * 2**30)
    _run(ShareSettings("hand", url, tuple(task or ()), episodes_dir, models_dir, keep), every)


@app.command()
@report_errors
def trainer(
    url: UrlArgument,
    task: SharedTasks = None,
    every: EveryOption = None,
    episodes_dir: EpisodesOption = None,
    models_dir: ModelsOption = None,
) -> None:
    """Get all hands' episodes for the next `mbrl retrain`, and publish its versions and which one is current."""
    from mbrl_controller.sharing.passes import ShareSettings

    _run(ShareSettings("trainer", url, tuple(task or ()), episodes_dir, models_dir), every)


def _run(settings: ShareSettings, every: float | None) -> None:
    from mbrl_controller.cli.progress import stop_flag
    from mbrl_controller.sharing.passes import exchange, watch

    if every is None:
        done = exchange(settings)
        _show(done)
        if done.faults:
            raise typer.Exit(REFUSED)
        return
    with stop_flag() as stop:
        watch(settings, every, _show, _complain, stop.wait)


def _show(done: Exchanged) -> None:
    if done.episodes or done.versions or done.current:
        say(str(done))
    for fault in done.faults:
        warn(fault)


def _complain(why: str, wait: float) -> None:
    error_console.print(f"{why}; the next try in {wait:.0f} s", markup=False, highlight=False, soft_wrap=True)
