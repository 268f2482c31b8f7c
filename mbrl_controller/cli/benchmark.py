# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""`mbrl benchmark`: what planning takes on this machine, how well the service keeps time, and what latency costs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mbrl_controller.base.console import error_console
from mbrl_controller.cli.errors import report_errors
from mbrl_controller.cli.options import (
    TASKS,
    JsonOption,
    LoopRateOption,
    ModelOption,
    RealtimeOption,
    SeedOption,
    StressCoresOption,
)

app = typer.Typer(help="Measure planning, timing and control on this machine.", no_args_is_help=True)


@app.command()
@report_errors
def planner(
    task: Annotated[str, typer.Option(help=f"whose current model the parts plan with: {TASKS}")] = "baoding",
    part: Annotated[
        list[str] | None, typer.Option("--part", help="measure this part only, repeatable (default: all)")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="fewer repeats: sizes, no percentiles to rely on")] = False,
    peers_python: Annotated[
        Path | None, typer.Option(help="Python interpreter that has the other planners' packages")
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="draw return against candidates into this PNG")] = None,
    json: JsonOption = None,
) -> None:
    """What a plan takes, how it keeps deadlines, its memory, the loop under load, and how well each planner controls.

    All parts take the better part of an hour, most of it `samples`: with --json, that one goes on where it was stopped.
    """
    from mbrl_controller.benchmark import suite as job
    from mbrl_controller.benchmark.settings import Settings
    from mbrl_controller.control.task_config import contract_path

    contract_path(task)  # an unknown task is refused before any part is measured
    report = job.run(
        Settings(task=task, quick=quick, peers_python=peers_python, plot=plot),
        part,
        json,
        # A line and no spinner: its thread would be part of what is measured.
        on_begin=lambda name: error_console.print(f"{name} ..."),
        on_part=job.show,
        on_machine=job.show_machine,
    )
    job.show_headlines(report)


@app.command()
@report_errors
def delay(
    task: Annotated[list[str] | None, typer.Option(help=f"{TASKS}, repeatable (default: all)")] = None,
    episodes: Annotated[int, typer.Option(min=1, help="episodes of each row, on the same seeds")] = 24,
    json: JsonOption = None,
) -> None:
    """Control under 0 to 150 ms of latency, with and without compensation for it, in simulation."""
    from mbrl_controller.benchmark import control_quality
    from mbrl_controller.benchmark import delay as job

    report = job.run(
        task or control_quality.TASKS,
        episodes,
        json,
        on_begin=lambda what: error_console.print(f"{what} ...", highlight=False),
    )
    job.show(report)


@app.command()
@report_errors
def loop(
    task: Annotated[str, typer.Option(help=f"what the hand does during the run: {TASKS}")] = "baoding",
    rate: LoopRateOption = None,
    seconds: Annotated[float, typer.Option(min=2.0, help="how long, s")] = 60.0,
    stress_cores: StressCoresOption = 0,
    realtime: RealtimeOption = True,
    model: ModelOption = "current",
    seed: SeedOption = 0,
    json: JsonOption = None,
) -> None:
    """How well the service keeps time: sim, controller and logger as processes, for a while at a rate.

    A rate other than the model's own is for timing only: plans still count in the model's period.
    """
    from mbrl_controller.benchmark import loop as job

    job.run(
        task, rate=rate, seconds=seconds, busy_cores=stress_cores, realtime=realtime, model=model, seed=seed,
        json_file=json,
    )  # fmt: skip
