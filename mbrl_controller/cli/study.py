# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""`mbrl study`: questions about models that a figure answers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mbrl_controller.cli.chosen_task import chosen_task
from mbrl_controller.cli.completion import complete_options
from mbrl_controller.cli.console import say
from mbrl_controller.cli.errors import report_errors
from mbrl_controller.cli.option_groups import given_options
from mbrl_controller.cli.options import ContractOption, JsonOption, ModelOption, ModelsOption, TaskArgument
from mbrl_controller.cli.tables import print_rows
from mbrl_controller.models.window_kinds import WINDOW_NAMES, window_names

app = typer.Typer(help="Answer a question about learned models by a figure.", no_args_is_help=True)


@app.callback()
def _study() -> None:
    pass


@app.command()
@report_errors
def gradients(
    task: TaskArgument = None,
    model: Annotated[list[str] | None, typer.Option("--model", help="version, repeatable (default: current)")] = None,
    states: Annotated[int, typer.Option(min=2, help="states in which gradients are compared")] = 20,
    horizon: Annotated[list[int] | None, typer.Option(min=1, help="control steps, repeatable (1, 3, 5, 7)")] = None,
    samples: Annotated[int, typer.Option(min=2, help="model samples of each estimate")] = 64,
    episodes: Annotated[int, typer.Option(min=0, help="that judge control with each version; 0: none")] = 0,
    plot: Annotated[Path | None, typer.Option(help="draw the figures into this PNG")] = None,
    contract: ContractOption = None,
    models_dir: ModelsOption = None,
    json: JsonOption = None,
) -> None:
    """How well gradients of learned models agree with the simulator's, and whether that predicts control."""
    from mbrl_controller.base.files import write_json
    from mbrl_controller.benchmark.gradient_study import StudyRequest, run

    request = StudyRequest(
        chosen_task(task, contract),
        versions=tuple(model or ["current"]),
        states=states,
        horizons=tuple(horizon or (1, 3, 5, 7)),
        samples=samples,
        episodes=episodes,
        contract=contract,
        models_dir=models_dir,
    )
    figures = run(request, on_stage=say)
    print_rows("agreement with the simulator's gradient", figures["agreement"])
    print_rows(f"estimates from {samples} model samples", figures["estimates"])
    print_rows("versions", figures["versions"])
    if figures["predicts_control"] is not None:
        print_rows("rank correlation with the mean return", [figures["predicts_control"]])
    if json is not None:
        write_json(json, figures)
    if plot is not None:
        from mbrl_controller.benchmark.gradient_figure import plot_gradients

        say(str(plot_gradients(figures, plot)))


@app.command()
@report_errors
def kinds(
    task: TaskArgument = None,
    kind: Annotated[list[str] | None, typer.Option("--kind", help="of `mbrl fit`, repeatable (default: all)")] = None,
    model: ModelOption = "current",
    episodes: Annotated[list[Path] | None, typer.Option(help="files or folders, repeatable (default: the log)")] = None,
    seeds: Annotated[int, typer.Option(min=2, help="draws of held-out episodes and of weights")] = 3,
    options: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="option NAME=VALUE of the kinds: steps=8; `mbrl options fit` lists all",
            autocompletion=complete_options("fit"),
        ),
    ] = None,
    contract: ContractOption = None,
    models_dir: ModelsOption = None,
    json: JsonOption = None,
) -> None:
    """What other kinds of models are worth on episodes held out, beside what is known without them."""
    from mbrl_controller.base.files import write_json
    from mbrl_controller.benchmark.kinds_study import KindsRequest, run

    request = KindsRequest(
        chosen_task(task, contract),
        window_names(kind or WINDOW_NAMES),
        model=model,
        episodes=episodes,
        seeds=seeds,
        options=given_options("fit", options),
        contract=contract,
        models_dir=models_dir,
    )
    figures = run(request, on_stage=say)
    print_rows(f"kinds of models of {figures['episodes']} episodes beside {figures['model']}", figures["rows"])
    if json is not None:
        write_json(json, figures)
