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
from mbrl_controller.base.overrides import parse_overrides
from mbrl_controller.cli import benchmark, catalogs, contract, episodes, learn, models, new, stack
from mbrl_controller.cli.console import episode_bar, say
from mbrl_controller.cli.errors import INTERRUPTED, REFUSED, report_errors, warn
from mbrl_controller.cli.options import (
    CommandGroup,
    ContractOption,
    JsonOption,
    ModelOption,
    ModelsOption,
    PlannerOption,
    ProcessesOption,
    SeedOption,
    TaskArgument,
)

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
app.add_typer(benchmark.app, name="benchmark")
app.add_typer(contract.app, name="contract")

Policy = Literal["controller", "hold", "random"]
Backend = Literal["onnx", "torch"]
Precision = Literal["auto", "fp32", "int8"]
PrecisionOption = Annotated[Precision, typer.Option(help="of the model served; auto: int8 where the version has it")]
GoalOption = Annotated[
    list[str] | None, typer.Option("--goal", help="fix part of the goal, NAME=VALUE: direction=clockwise, period=4")
]
PlannerOptions = Annotated[
    list[str] | None, typer.Option("--planner-set", help="planner option NAME=VALUE: num_samples=700, sigma=0.9")
]

ControllerOptions = Annotated[
    list[str] | None, typer.Option("--controller-set", help="controller option NAME=VALUE: drop_cost=80")
]


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="print the version", is_eager=True)] = False) -> None:
    if version:
        typer.echo(f"mbrl {__version__}")
        raise typer.Exit


app.command()(stack.demo)


@app.command()
@report_errors
def evaluate(
    task: TaskArgument = "baoding",
    model: ModelOption = "current",
    episodes: Annotated[int, typer.Option(min=1, help="episodes, on the seeds from --seed on")] = 20,
    seed: SeedOption = 0,
    seconds: Annotated[float | None, typer.Option(help="length of an episode, s (default: the task's)")] = None,
    planner: PlannerOption = "pddm",
    planner_set: PlannerOptions = None,
    controller_set: ControllerOptions = None,
    dynamics: Annotated[str, typer.Option(help="learned, or oracle: the simulator itself")] = "learned",
    backend: Annotated[Backend, typer.Option(help="what serves the model; torch: on a GPU if there is one")] = "onnx",
    precision: PrecisionOption = "auto",
    policy: Annotated[Policy, typer.Option(help="the controller, or a floor to compare with")] = "controller",
    sim: Annotated[str, typer.Option(help="nominal, or perturbed: noise, latency, other masses")] = "nominal",
    processes: ProcessesOption = None,
    models_dir: ModelsOption = None,
    contract: ContractOption = None,
    goal: GoalOption = None,
    json: JsonOption = None,
    card: Annotated[bool, typer.Option("--card", help="keep the figures on the version's card")] = False,
) -> None:
    """Score a model or a floor on fixed seeds, in simulation and faster than real time."""
    from mbrl_controller.cli.tables import print_evaluation
    from mbrl_controller.rollouts import evaluate as job
    from mbrl_controller.rollouts.config import RolloutConfig

    config = RolloutConfig(
        task,
        model=model,
        seconds=seconds,
        planner=planner,
        planner_options=parse_overrides("--planner-set", planner_set),
        core_options=parse_overrides("--controller-set", controller_set),
        dynamics=dynamics,
        backend=backend,
        precision=precision,
        policy=policy,
        sim=sim,
        models_dir=models_dir,
        contract=contract,
        goal_options=parse_overrides("--goal", goal),
    )
    with episode_bar(episodes) as on_episode:
        report = job.run(
            config,
            episodes=episodes,
            seed=seed,
            processes=processes,
            json_file=json,
            on_card=card,
            on_episode=on_episode,
        )
    print_evaluation(report)


@app.command()
@report_errors
def film(
    file: Annotated[Path, typer.Argument(help="an animated .gif, or a .png of the start")],
    task: TaskArgument = "baoding",
    model: ModelOption = "current",
    seed: SeedOption = 0,
    seconds: Annotated[float | None, typer.Option(help="length of the episode, s (default: the task's)")] = None,
    dynamics: Annotated[str, typer.Option(help="learned, or oracle: the simulator itself")] = "learned",
    policy: Annotated[Policy, typer.Option(help="what moves the hand")] = "controller",
    models_dir: ModelsOption = None,
    goal: GoalOption = None,
) -> None:
    """Film an episode in simulation. Without a screen, set MUJOCO_GL=egl or osmesa."""
    from mbrl_controller.control.task_config import contract_for
    from mbrl_controller.rollouts import render as job
    from mbrl_controller.rollouts.config import RolloutConfig
    from mbrl_controller.tasks.metrics import texts

    config = RolloutConfig(
        task,
        model=model,
        seconds=seconds,
        dynamics=dynamics,
        policy=policy,
        models_dir=models_dir,
        goal_options=parse_overrides("--goal", goal),
    )
    record = job.run(config, file, seed=seed)
    specs = contract_for(task).task.metric_specs
    say(", ".join([f"{file}: {record.metrics.time_kept:g} s", *texts(specs, record.metrics)]))


@app.command()
@report_errors
def collect(
    task: TaskArgument = "baoding",
    episodes: Annotated[int, typer.Option(min=1, help="episodes, on the seeds from --seed on")] = 30,
    seed: SeedOption = 0,
    policy: Annotated[Policy, typer.Option(help="what moves the hand")] = "controller",
    model: ModelOption = "current",
    precision: PrecisionOption = "auto",
    exploration: Annotated[float, typer.Option(min=0.0, help="noise on the controller's action (of its range)")] = 0.0,
    random_scale: Annotated[float, typer.Option(help="size of random actions (of their range)")] = 1.0,
    sim: Annotated[str, typer.Option(help="nominal, or perturbed: noise, latency, other masses")] = "nominal",
    seconds: Annotated[float | None, typer.Option(help="length of an episode, s (default: the task's)")] = None,
    session: Annotated[str | None, typer.Option(help="session name; an interrupted one goes on where it was")] = None,
    episodes_dir: Annotated[
        Path | None, typer.Option(help="log folder (default: episodes/ below MBRL_HOME or ~/.mbrl)")
    ] = None,
    planner: PlannerOption = "pddm",
    planner_set: PlannerOptions = None,
    controller_set: ControllerOptions = None,
    models_dir: ModelsOption = None,
    contract: ContractOption = None,
    goal: GoalOption = None,
    processes: ProcessesOption = None,
) -> None:
    """Log episodes from simulation, faster than real time, as the logger would have written them."""
    from mbrl_controller.rollouts import collect as job
    from mbrl_controller.rollouts.config import RolloutConfig

    config = RolloutConfig(
        task,
        policy=policy,
        model=model,
        precision=precision,
        exploration=exploration,
        random_scale=random_scale,
        sim=sim,
        seconds=seconds,
        planner=planner,
        planner_options=parse_overrides("--planner-set", planner_set),
        core_options=parse_overrides("--controller-set", controller_set),
        models_dir=models_dir,
        contract=contract,
        goal_options=parse_overrides("--goal", goal),
    )
    with episode_bar(episodes) as on_episode:
        done = job.run(
            config,
            episodes=episodes,
            seed=seed,
            session=session,
            episodes_dir=episodes_dir,
            processes=processes,
            on_episode=on_episode,
        )
    say(f"{done.episodes} episodes, {done.transitions:,} transitions in {done.folder}")


@app.command()
@report_errors
def retrain(
    task: TaskArgument = "baoding",
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
    options: Annotated[list[str] | None, typer.Option("--set", help="training option as name=value")] = None,
    notes: Annotated[str, typer.Option(help="kept on the model's card")] = "",
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads")] = None,
    models_dir: ModelsOption = None,
) -> None:
    """Learn the next model version from the log. Ctrl-C stops at a checkpoint; --resume goes on from there."""
    from mbrl_controller.cli.progress import RetrainDisplay, stop_flag
    from mbrl_controller.cli.tables import print_retrain
    from mbrl_controller.training import retrain as job
    from mbrl_controller.training.retrain_plan import RetrainRequest

    request = RetrainRequest(
        task,
        episodes=episodes,
        models_dir=models_dir,
        contract=contract,
        start="warm" if warm else "fresh",
        force=force,
        promote=promote,
        resume=resume,
        precision=precision,
        options=parse_overrides("--set", options),
        notes=notes,
        threads=threads,
    )
    with stop_flag() as stop, RetrainDisplay() as callback:
        result = job.run(request, stop.is_set, callback, usable_cores())
    print_retrain(result)
    if result.status in ("refused", "stopped"):
        raise typer.Exit({"refused": REFUSED, "stopped": INTERRUPTED}[result.status])


app.command()(learn.learn)
app.command("learn-curve")(learn.learn_curve)
app.command()(stack.soak)
app.command()(new.new)
for _command in (catalogs.tasks, catalogs.planners, catalogs.worlds, catalogs.options):
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
