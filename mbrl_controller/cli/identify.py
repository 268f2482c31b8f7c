# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""`mbrl identify`: from a log to the physics of the simulator that moves alike."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mbrl_controller.base.os_process import usable_cores
from mbrl_controller.cli.chosen_task import chosen_task
from mbrl_controller.cli.completion import complete_options
from mbrl_controller.cli.console import console, error_console, say
from mbrl_controller.cli.errors import report_errors, warn
from mbrl_controller.cli.option_groups import given_options
from mbrl_controller.cli.options import ContractOption, JsonOption, MixOption, ModelsOption, TaskArgument

if TYPE_CHECKING:
    from mbrl_controller.training.identify import IdentifyCallback

IdentifySetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="option NAME=VALUE: window=3, max_periods=2000; `mbrl options identify` lists all",
        autocompletion=complete_options("identify"),
    ),
]


@report_errors
def identify(
    task: TaskArgument = None,
    episodes: Annotated[
        list[Path] | None, typer.Option(help="files or folders to fit to, repeatable (default: the whole log)")
    ] = None,
    options: IdentifySetOption = None,
    contract: ContractOption = None,
    mix: MixOption = "",
    world: Annotated[
        str,
        typer.Option(metavar="current|real|NAME", help="fit only episodes of this world, as `mbrl retrain --world`"),
    ] = "",
    notes: Annotated[str, typer.Option(help="kept on the version's card")] = "",
    threads: Annotated[int, typer.Option(min=1, help="CPU threads that simulate")] = 1,
    models_dir: ModelsOption = None,
    json: JsonOption = None,
) -> None:
    """Fit the simulator's masses, friction, gains, damping and command latency to the log: a version that plans with
    `--dynamics identified`. It is not promoted: the learned model stays current."""
    from mbrl_controller.base.files import write_json
    from mbrl_controller.models.origin import parse_mix
    from mbrl_controller.training import identify as job

    request = job.IdentifyRequest(
        chosen_task(task, contract),
        episodes=episodes,
        models_dir=models_dir,
        contract=contract,
        options=given_options("identify", options),
        mix=parse_mix(mix),
        world=world,
        notes=notes,
        threads=threads,
    )
    with _progress() as callback:
        result = job.run(request, callback, usable_cores())
    for parameter in result.parameters:
        say(f"{parameter}{f' {parameter.unit}' if parameter.unit else ''}")
    for warning in result.warnings:
        warn(warning)
    for name, value in result.metrics.items():
        console.print(f"{name} {value:.4g}", highlight=False)
    name, places = result.version.name, f" --models-dir {models_dir}" if models_dir else ""
    say(f"{request.task} {name} added: {result.version.folder}")
    say(f"  mbrl evaluate {request.task} --dynamics identified --model {name}{places}")
    if json is not None:
        parameters = [parameter.model_dump(mode="json") for parameter in result.parameters]
        write_json(json, {"task": request.task, "version": name, "parameters": parameters,
                          "warnings": list(result.warnings), **result.metrics})  # fmt: skip


@contextmanager
def _progress() -> Iterator[IdentifyCallback]:
    """Bars on stderr: files read, and the error of the search."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from mbrl_controller.training.identify import IdentifyCallback

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=error_console) as progress:
        files = progress.add_task("episodes", visible=False)
        search = progress.add_task("search", total=None, visible=False)

        class Display(IdentifyCallback):
            def on_stage(self, text: str) -> None:
                progress.console.print(text, markup=False, highlight=False)

            def on_read_start(self, total: int) -> None:
                progress.update(files, total=total, visible=True)

            def on_file_read(self, path: Path) -> None:
                progress.advance(files)

            def on_iteration(self, number: int, error: float) -> None:
                progress.update(search, description=f"step {number}, error {error:.3g}", visible=True)

        yield Display()
