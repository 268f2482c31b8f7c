# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""`mbrl benchmark`: cost of planning, timing of the nodes, and control under latency."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mbrl_controller.cli.chosen_task import chosen_task
from mbrl_controller.cli.completion import complete_tasks
from mbrl_controller.cli.console import LiveLine, error_console, say
from mbrl_controller.cli.errors import report_errors
from mbrl_controller.cli.option_groups import given_options
from mbrl_controller.cli.options import (
    TASKS,
    ContractOption,
    JsonOption,
    LoopRateOption,
    ModelOption,
    OnOption,
    RealtimeOption,
    SeedOption,
    SimOption,
    SimSetOption,
    StressCoresOption,
    TaskOption,
)
from mbrl_controller.cli.stack import timing_line
from mbrl_controller.cli.tables import print_rows, print_timing

app = typer.Typer(help="Measure planning, timing and control on this machine.", no_args_is_help=True)
LOOP_EVERY_S = 10.0  # between lines where there is no terminal


@app.command()
@report_errors
def planner(
    task: TaskOption = None,
    part: Annotated[list[str] | None, typer.Option("--part", help="only this part, repeatable (default: all)")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="fewer repeats; percentiles are then unreliable")] = False,
    peers_python: Annotated[
        Path | None, typer.Option(help="Python interpreter with the other libraries' packages")
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="draw return against samples into this PNG")] = None,
    contract: ContractOption = None,
    on: OnOption = "processes",
    json: JsonOption = None,
) -> None:
    """Cost of a plan, deadlines, memory, the loop under load, other libraries, and how well each planner controls.

    All parts take almost an hour, mostly `samples`: with --json, that part resumes where it was stopped.
    With --contract, the parts anytime, backends, load and memory plan for its robot; the others measure every installed
    task that has a contract of its own and a model.
    """
    from mbrl_controller.base.engine import checked_engine
    from mbrl_controller.benchmark.settings import Settings
    from mbrl_controller.benchmark.suite import HEADLINES, run
    from mbrl_controller.control.task_config import contract_for

    task = chosen_task(task, contract)
    contract_for(task, contract)  # an unknown task is refused before any part is measured
    report = run(
        Settings(
            task=task, contract=contract, quick=quick, peers_python=peers_python, plot=plot, on=checked_engine(on)
        ),
        part,
        json,
        # A line rather than a spinner: a spinner's thread would be measured, too.
        on_begin=lambda name: error_console.print(f"{name} ..."),
        on_part=_show_part,
        on_machine=_show_machine,
    )
    for name in HEADLINES:
        if report[name] is not None:
            say(f"{name}: {report[name]:.3g}")


@app.command()
@report_errors
def delay(
    task: Annotated[
        list[str] | None,
        typer.Option(help=f"{TASKS}, repeatable (default: all that have a model)", autocompletion=complete_tasks),
    ] = None,
    episodes: Annotated[int, typer.Option(min=1, help="episodes per row, on the same seeds")] = 24,
    contract: ContractOption = None,
    on: OnOption = "processes",
    json: JsonOption = None,
) -> None:
    """Control under 0 to 150 ms of latency, with and without compensation, in simulation."""
    from mbrl_controller.benchmark import delay as job

    report = job.run(
        task,
        episodes,
        json,
        on_begin=lambda what: error_console.print(f"{what} ...", highlight=False),
        contract=contract,
        on=on,
    )
    for title, rows in job.tables(report):
        print_rows(title, rows)


@app.command()
@report_errors
def loop(
    task: TaskOption = None,
    rate: LoopRateOption = None,
    seconds: Annotated[float, typer.Option(min=2.0, help="length of the run, s")] = 60.0,
    stress_cores: StressCoresOption = 0,
    realtime: RealtimeOption = True,
    model: ModelOption = "current",
    seed: SeedOption = 0,
    contract: ContractOption = None,
    sim: SimOption = "nominal",
    sim_set: SimSetOption = None,
    json: JsonOption = None,
) -> None:
    """How well sim, controller and logger keep time as processes.

    A rate other than the model's own is for timing only: a plan still counts in the model's period.
    """
    from mbrl_controller.benchmark.loop import run
    from mbrl_controller.stack.launcher import SimulatedHand

    hand = SimulatedHand(contract, sim, given_options("sim", sim_set))
    with LiveLine(timing_line, LOOP_EVERY_S) as live:
        report, finished = run(
            chosen_task(task, contract),
            seconds=seconds,
            rate=rate,
            stress_cores=stress_cores,
            realtime=realtime,
            model=model,
            seed=seed,
            hand=hand,
            json_file=json,
            on_progress=live.show,
        )
    print_timing(report)
    if not finished:
        raise KeyboardInterrupt


@app.command()
@report_errors
def data(
    folder: Annotated[Path, typer.Argument(help="where the episodes are written, and stay: about 1 GB a million")],
    task: TaskOption = None,
    transitions: Annotated[
        list[int] | None, typer.Option(min=1, help="size of a log, repeatable (default: 10,000, 30,000 and 100,000)")
    ] = None,
    processes: Annotated[int, typer.Option(min=1, help="that read")] = 1,
    train: Annotated[bool, typer.Option("--train", help="also train a small network for an epoch, for memory")] = False,
    contract: ContractOption = None,
    json: JsonOption = None,
) -> None:
    """What reading a log for training costs: the first time, again from the cache, and in memory.

    The episodes are copies of a few simulated ones under other names. Their cache is that of MBRL_CACHE: give it a
    folder of its own, or remove what is left with `mbrl cache clear`.
    """
    from mbrl_controller.benchmark import data as job

    sizes = tuple(transitions or (10_000, 30_000, 100_000))
    settings = job.DataSettings(chosen_task(task, contract), sizes, folder, processes, train, contract)
    report = job.run(settings, json, on_begin=lambda what: error_console.print(f"{what} ...", highlight=False))
    print_rows("reading a log", report["rows"])


@app.command()
@report_errors
def panel(
    task: TaskOption = None,
    seconds: Annotated[float, typer.Option(min=2.0, help="length of each spell, s")] = 60.0,
    spells: Annotated[int, typer.Option(min=1, help="how many with the panel, and as many without")] = 4,
    browsers: Annotated[int, typer.Option(min=0, help="that read the page, as from another machine")] = 1,
    realtime: RealtimeOption = True,
    model: ModelOption = "current",
    contract: ContractOption = None,
    json: JsonOption = None,
) -> None:
    """What an open panel costs the controller: spells with and without it take turns in one run."""
    from mbrl_controller.benchmark.panel import run
    from mbrl_controller.stack.launcher import SimulatedHand

    report, finished = run(
        chosen_task(task, contract),
        seconds=seconds,
        spells=spells,
        browsers=browsers,
        realtime=realtime,
        model=model,
        hand=SimulatedHand(contract),
        json_file=json,
        on_progress=lambda what: error_console.print(what, highlight=False),
    )
    _show_machine(report["machine"])
    print_rows(f"{report['task']}, {report['model']}, {report['browsers']} browsers", report["rows"])
    print_rows("with the panel, times without", [report["ratios"]])
    if not finished:
        raise KeyboardInterrupt


def _show_part(name: str, figures: dict[str, Any]) -> None:
    """Print a part's tables, or why it was skipped, and what is missing in it."""
    from mbrl_controller.benchmark.suite import PARTS

    if "skipped" in figures:
        say(f"{name}: skipped: {figures['skipped']}")
    else:
        for title, rows in PARTS[name].tables(figures):
            print_rows(title or name, rows)
    for what, why in figures.get("missing", {}).items():
        say(f"{name}: without {what}: {why}")


def _show_machine(found: dict[str, Any]) -> None:
    for name, value in found.items():
        say(f"{name.replace('_', ' ')}: {value}")
