# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The command `mbrl`: options and help texts only. Each job is imported when it is asked for, so help is instant."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from mbrl_controller import __version__
from mbrl_controller.base.deprecated import show_renamed
from mbrl_controller.base.os_process import usable_cores
from mbrl_controller.cli import (
    benchmark,
    cache,
    catalogs,
    contract,
    distil,
    episode_data,
    episodes,
    fit,
    grid,
    identify,
    learn,
    models,
    new,
    panel,
    policy,
    replay,
    report,
    rollouts,
    share,
    stack,
    study,
)
from mbrl_controller.cli.chosen_task import chosen_task
from mbrl_controller.cli.command_group import CommandGroup
from mbrl_controller.cli.errors import INTERRUPTED, REFUSED, report_errors, warn
from mbrl_controller.cli.option_groups import given_options
from mbrl_controller.cli.options import ContractOption, MixOption, ModelsOption, TaskArgument, TrainingSetOption

app = typer.Typer(
    name="mbrl",
    cls=CommandGroup,
    help="A robot hand under model-predictive control with a learned ensemble.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(models.app, name="models")
app.add_typer(episodes.app, name="episodes")
episodes.app.command("export")(episode_data.export)
episodes.app.command("import")(episode_data.import_)
app.add_typer(benchmark.app, name="benchmark")
app.add_typer(study.app, name="study")
app.add_typer(cache.app, name="cache")
app.add_typer(share.app, name="share")
app.add_typer(contract.app, name="contract")


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="print the version", is_eager=True)] = False) -> None:
    if version:
        typer.echo(f"mbrl {__version__}")
        raise typer.Exit


app.command()(stack.demo)
app.command()(panel.panel)
app.command()(rollouts.evaluate)
app.command()(rollouts.compare)
app.command()(rollouts.film)
app.command()(rollouts.collect)


@app.command()
@report_errors
def retrain(
    task: TaskArgument = None,
    episodes: Annotated[
        list[Path] | None, typer.Option(help="files or folders to learn from, repeatable (default: the whole log)")
    ] = None,
    contract: ContractOption = None,
    warm: Annotated[bool, typer.Option("--warm", help="start from the weights of this robot's last version")] = False,
    force: Annotated[bool, typer.Option("--force", help="keep the version even if it is worse")] = False,
    promote: Annotated[bool, typer.Option(help="make it current if it is not worse")] = True,
    resume: Annotated[bool, typer.Option("--resume", help="go on with the run that was stopped")] = False,
    precision: Annotated[
        Literal["auto", "fp32"], typer.Option(help="auto: add an 8-bit file if it plans alike; fp32: do not")
    ] = "auto",
    options: TrainingSetOption = None,
    residual: Annotated[
        str,
        typer.Option(
            metavar="VERSION|nominal",
            help="learn only what the simulator with this version's fitted physics misses (`mbrl identify`), for "
            "--dynamics residual; the version is not promoted",
        ),
    ] = "",
    weights: Annotated[
        list[str] | None,
        typer.Option(
            "--weight",
            metavar="PATH=NUMBER",
            help="how much the episodes at PATH count, where the others have 1; repeatable",
        ),
    ] = None,
    notes: Annotated[str, typer.Option(help="kept on the model's card")] = "",
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads")] = None,
    models_dir: ModelsOption = None,
    mix: MixOption = "",
    world: Annotated[
        str,
        typer.Option(
            metavar="current|real|NAME",
            help="learn only from episodes of this world: current, the contract's own as its files are now, real, or a "
            "name that `mbrl episodes list` shows (default: from all, which must be of one)",
        ),
    ] = "",
) -> None:
    """Learn the next model version from the log. Ctrl-C stops at a checkpoint; --resume goes on from there."""
    from mbrl_controller.cli.progress import RetrainDisplay, stop_flag
    from mbrl_controller.cli.tables import print_retrain
    from mbrl_controller.models.origin import parse_mix
    from mbrl_controller.training import retrain as job
    from mbrl_controller.training.episode_weights import parse_weights
    from mbrl_controller.training.retrain_plan import RetrainRequest

    request = RetrainRequest(
        chosen_task(task, contract),
        episodes=episodes,
        models_dir=models_dir,
        contract=contract,
        start="warm" if warm else "fresh",
        force=force,
        promote=promote,
        resume=resume,
        precision=precision,
        options=given_options("training", options),
        notes=notes,
        threads=threads,
        mix=parse_mix(mix),
        world=world,
        residual=residual,
        weights=parse_weights(weights or ()),
    )
    with stop_flag() as stop, RetrainDisplay() as callback:
        result = job.run(request, stop.is_set, callback, usable_cores())
    print_retrain(result)
    if result.status in ("refused", "stopped"):
        raise typer.Exit({"refused": REFUSED, "stopped": INTERRUPTED}[result.status])


app.command()(identify.identify)
app.command()(fit.fit)
app.command()(distil.distil)
app.command()(learn.learn)
app.command()(policy.policy)
app.command("learn-curve")(learn.learn_curve)
app.command()(grid.ablate)
app.command()(grid.sweep)
app.command()(stack.soak)
app.command()(report.report)
app.command()(replay.replay)
app.command()(new.new)
for _command in (catalogs.tasks, catalogs.planners, catalogs.worlds, catalogs.sims, catalogs.options):
    app.command()(_command)


def main() -> None:
    """Entry point of `mbrl`."""
    show_renamed(warn)
    app(prog_name="mbrl")


def retrain_main() -> None:
    """Entry point of the executable `retrain`, for `ros2 run` and launch."""
    show_renamed(warn)
    app(["retrain", *sys.argv[1:]], prog_name="mbrl")


if __name__ == "__main__":
    main()
