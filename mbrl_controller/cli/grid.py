# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""`mbrl ablate` and `sweep`: many runs that differ in some options, and what these do."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mbrl_controller.cli.console import error_console, say
from mbrl_controller.cli.errors import INTERRUPTED, report_errors
from mbrl_controller.cli.learn import RunsOption
from mbrl_controller.cli.options import ModelsOption, OnOption

CellsOption = Annotated[int | None, typer.Option(min=1, help="runs at a time (default: one per core)")]

SourceOption = Annotated[
    str, typer.Option("--from", help="path of the episodes, or name of the version, in place of the plan's")
]


@report_errors
def ablate(
    plan: Annotated[Path, typer.Argument(metavar="PLAN.yaml", help="task, arms and seeds; see benchmarks/ablations")],
    source: SourceOption = "",
    run: Annotated[str | None, typer.Option("--run", help="name of its folder (default: the plan's file)")] = None,
    processes: CellsOption = None,
    on: OnOption = "processes",
    record: Annotated[
        Path | None, typer.Option(help="folder that also gets NAME.json and NAME.png, without the runs")
    ] = None,
    models_dir: ModelsOption = None,
    runs_dir: RunsOption = None,
) -> None:
    """Compare sets of options: each learns (or a version acts) on the same seeds, with intervals and a verdict.

    Ctrl-C stops it; the same command goes on, also after a crash or kill.
    """
    from mbrl_controller.cli.progress import stop_flag
    from mbrl_controller.cli.tables import print_rows
    from mbrl_controller.learning import grid_run as job
    from mbrl_controller.learning.grid_plan import read_grid
    from mbrl_controller.learning.grid_record import table

    asked = read_grid(plan, source)
    name = run or plan.stem
    with stop_flag() as stop:
        result = job.run(
            asked,
            name,
            runs_dir=runs_dir,
            models_dir=models_dir,
            processes=processes,
            on=on,
            should_stop=stop.is_set,
            on_cell=show_cell,
        )
    if result.record is None:
        say(f"stopped; the same command goes on in {result.folder}")
        raise typer.Exit(INTERRUPTED)
    found = result.record
    print_rows(found["claim"] or name, table(found))
    if found["verdict"]:
        say(f"does the claim hold here? It {found['verdict']}".replace("It cannot", "That cannot"))
    say(f"{result.folder / job.RECORD_FILE}, {result.folder / job.FIGURE_FILE}")
    if record is not None:
        for kept in job.keep(result.folder, record, name):
            say(str(kept))


@report_errors
def sweep(
    plan: Annotated[Path, typer.Argument(metavar="FILE.yaml", help="task, what is searched, trials and seeds")],
    source: SourceOption = "",
    run: Annotated[str | None, typer.Option("--run", help="name of its folder (default: the plan's file)")] = None,
    processes: Annotated[int | None, typer.Option(min=1, help="trials at a time (default: one per core)")] = None,
    on: OnOption = "processes",
    models_dir: ModelsOption = None,
    runs_dir: RunsOption = None,
) -> None:
    """Search options: each trial learns (or a version acts) with others; those clearly behind end early.

    Ctrl-C stops it; the same command goes on, also after a crash or kill. The best options are judged on other seeds.
    """
    from mbrl_controller.cli.progress import stop_flag
    from mbrl_controller.cli.tables import print_rows
    from mbrl_controller.learning import sweep_run as job
    from mbrl_controller.learning.sweep_plan import read_sweep

    asked = read_sweep(plan, source)
    with stop_flag() as stop:
        result = job.run(
            asked,
            run or plan.stem,
            runs_dir=runs_dir,
            models_dir=models_dir,
            processes=processes,
            on=on,
            should_stop=stop.is_set,
            on_trial=show_cell,
        )
    if result.record is None:
        say(f"stopped; the same command goes on in {result.folder}")
        raise typer.Exit(INTERRUPTED)
    found = result.record
    print_rows(f"{asked.task}, {asked.evaluate.metric}", found["trials"])
    say(f"best: trial {found['best']['trial']}, {found['best']['value']:.4g} on the seeds that chose it")
    if found["confirmed"] is not None:
        again = found["confirmed"]
        print_rows(
            f"judged on the seeds from {again['first_seed']} on, by which nothing was chosen",
            [
                {
                    "mean": again["mean"],
                    "95 % interval": again["ci95"],
                    "runs": again["runs"],
                    "episodes": again["episodes"],
                }
            ],
        )
    for file in (job.BEST_FILE, job.RECORD_FILE, job.FIGURE_FILE):
        say(str(result.folder / file))


def show_cell(name: str, done: int, total: int) -> None:
    """A line for each finished run."""
    error_console.print(f"{done} of {total}: {name}", highlight=False)
