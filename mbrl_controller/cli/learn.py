# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""`mbrl learn`: from nothing to a model that controls, on disk and in view."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mbrl_controller.cli.chosen_task import chosen_task
from mbrl_controller.cli.completion import complete_sims
from mbrl_controller.cli.console import console, say
from mbrl_controller.cli.errors import INTERRUPTED, report_errors
from mbrl_controller.cli.option_groups import given_options
from mbrl_controller.cli.options import (
    ContractOption,
    JsonOption,
    LearnSetOption,
    MixOption,
    ModelsOption,
    OnOption,
    ProcessesOption,
    SimSetOption,
    TaskArgument,
)

RunsOption = Annotated[
    Path | None, typer.Option("--runs-dir", help="folder of runs (default: runs/ below MBRL_HOME or ~/.mbrl)")
]


@report_errors
def learn(
    task: TaskArgument = None,
    seed: Annotated[int | None, typer.Option(min=0, help="one seed reproduces a run")] = None,
    env_steps: Annotated[
        int | None, typer.Option(min=1, help="control steps of experience after which it ends")
    ] = None,
    rounds: Annotated[int | None, typer.Option(min=1, help="trainings after which it ends")] = None,
    options: LearnSetOption = None,
    sim: Annotated[
        str | None,
        typer.Option(help="the simulated hand: nominal, perturbed, or a preset", autocompletion=complete_sims),
    ] = None,
    sim_set: SimSetOption = None,
    from_version: Annotated[
        str, typer.Option(metavar="VERSION", help="start from this version of your models instead of random motion")
    ] = "",
    run: Annotated[str | None, typer.Option("--run", help="name of the run (default: the time)")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="continue the newest unfinished run, or --run")] = False,
    through_ros: Annotated[
        bool,
        typer.Option(
            "--through-ros", help="collect through the nodes, in real time; on the hand itself if no world is known"
        ),
    ] = False,
    contract: ContractOption = None,
    processes: ProcessesOption = None,
    on: OnOption = "processes",
    keep: Annotated[
        bool, typer.Option("--keep", help="add the best version to your models, as the current one")
    ] = False,
    models_dir: ModelsOption = None,
    mix: MixOption = "",
    runs_dir: RunsOption = None,
) -> None:
    """Learn a task from nothing: random motion, then rounds of training and collecting, evaluated on held-out seeds.

    With --from-version, another hand's version learns this hand, without random motion.

    Ctrl-C stops it; --resume continues, also after a crash or kill.
    """
    from mbrl_controller.cli.progress import LearnDisplay, stop_flag
    from mbrl_controller.learning import publish
    from mbrl_controller.learning import run as job
    from mbrl_controller.models.origin import parse_mix

    task = chosen_task(task, contract)
    settings = given_options("learn", options)
    settings |= {
        name: value for name, value in (("env_steps", env_steps), ("rounds", rounds), ("sim", sim)) if value is not None
    }
    settings |= {"sim_options": given_options("sim", sim_set)} if sim_set else {}
    if from_version:
        settings["base"] = {**settings.get("base", {}), "version": from_version, "models_dir": models_dir}
    settings |= {"through_ros": True} if through_ros else {}
    settings |= {"mix": sorted(parse_mix(mix))} if mix else {}
    with stop_flag() as stop, LearnDisplay() as callback:
        learned = job.run(
            task,
            seed=seed or 0,
            settings=settings,
            contract=contract,
            name=run,
            resume=resume,
            runs_dir=runs_dir,
            processes=processes,
            on=on,
            should_stop=stop.is_set,
            callback=callback,
        )
    for text in publish.epilogue(learned):
        say(text)
    if not learned.finished:
        raise typer.Exit(INTERRUPTED)
    if keep:
        kept = publish.publish(learned, models_dir)
        say(f"{task} {kept.name} is current in your models")


@report_errors
def learn_curve(
    runs: Annotated[list[Path], typer.Argument(help="folders of runs; a folder of runs stands for all in it")],
    plot: Annotated[Path | None, typer.Option(help="draw their curves into this PNG")] = None,
    json: JsonOption = None,
) -> None:
    """Compare learning runs: each one's evaluations, and the mean and spread of each kind (task and options)."""
    from mbrl_controller.base.files import write_json
    from mbrl_controller.learning import compare

    found = compare.compare_runs(runs)
    if plot is not None:
        compare.plot(plot, found)
    if json is not None:
        write_json(json, compare.report(found))
    for table in compare.tables(found):
        console.print(table)
