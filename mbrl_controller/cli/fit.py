# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""`mbrl fit`: from a log to models of windows beside a version's model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mbrl_controller.base.os_process import usable_cores
from mbrl_controller.cli.chosen_task import chosen_task
from mbrl_controller.cli.completion import complete_options
from mbrl_controller.cli.console import console, say
from mbrl_controller.cli.errors import report_errors
from mbrl_controller.cli.option_groups import given_options
from mbrl_controller.cli.options import (
    ContractOption,
    JsonOption,
    MixOption,
    ModelOption,
    ModelsOption,
    TaskArgument,
)
from mbrl_controller.models.window_kinds import KINDS, window_names

KindsOption = Annotated[
    list[str] | None,
    typer.Option("--kind", help="; ".join(f"{name}: {kind.question}" for name, kind in KINDS.items())),
]


@report_errors
def fit(
    task: TaskArgument = None,
    kind: KindsOption = None,
    model: ModelOption = "current",
    episodes: Annotated[
        list[Path] | None, typer.Option(help="files or folders to learn from, repeatable (default: the whole log)")
    ] = None,
    options: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="option NAME=VALUE: steps=8, hidden=[64,64]; `mbrl options fit` lists all",
            autocompletion=complete_options("fit"),
        ),
    ] = None,
    contract: ContractOption = None,
    mix: MixOption = "",
    notes: Annotated[str, typer.Option(help="kept on the version's card")] = "",
    threads: Annotated[int, typer.Option(min=1, help="CPU threads")] = 1,
    models_dir: ModelsOption = None,
    json: JsonOption = None,
) -> None:
    """Learn other kinds of models from the log: a new version, not promoted, that is --model with these beside it."""
    from mbrl_controller.base.files import write_json
    from mbrl_controller.models.origin import parse_mix
    from mbrl_controller.training import window_fit as job

    request = job.FitRequest(
        chosen_task(task, contract),
        window_names(kind or ()),
        model=model,
        episodes=episodes,
        models_dir=models_dir,
        contract=contract,
        options=given_options("fit", options),
        mix=parse_mix(mix),
        notes=notes,
        threads=threads,
    )
    result = job.run(request, say, usable_cores())
    for name, figures in result.metrics.items():
        for figure, value in figures.items():
            console.print(f"{name} {figure} {value:.4g}", highlight=False)
    say(f"{request.task} {result.version.name} added: {result.version.folder}")
    if json is not None:
        write_json(json, {"task": request.task, "version": result.version.name, "kinds": result.metrics})
