# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""`mbrl policy`: model-free learning of a policy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from mbrl_controller.base.overrides import parse_overrides
from mbrl_controller.cli.chosen_task import chosen_task
from mbrl_controller.cli.completion import complete_options
from mbrl_controller.cli.console import say
from mbrl_controller.cli.errors import INTERRUPTED, report_errors
from mbrl_controller.cli.learn import RunsOption
from mbrl_controller.cli.option_groups import given_options
from mbrl_controller.cli.options import (
    ContractOption,
    GoalOption,
    MixOption,
    ModelOption,
    ModelsOption,
    SimOption,
    SimSetOption,
    TaskArgument,
)

PolicySetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="option NAME=VALUE: updates=40000, hidden=[128,128]; `mbrl options policy` lists all",
        autocompletion=complete_options("policy"),
    ),
]


@report_errors
def policy(
    task: TaskArgument = None,
    source: Annotated[
        Literal["model", "sim"], typer.Option("--from", help="what it acts in: the learned model, or the simulation")
    ] = "model",
    scheme: Annotated[
        Literal["A", "B", "C"],
        typer.Option(
            help="rollouts in the model; A: whole episodes from the start, B: short ones from there, C: short ones "
            "from all states of the log (MBPO)"
        ),
    ] = "C",
    model: ModelOption = "current",
    episodes: Annotated[
        list[Path] | None, typer.Option(help="files or folders of the log, repeatable (default: the whole log)")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="one seed reproduces a run")] = 0,
    options: PolicySetOption = None,
    goal: GoalOption = None,
    sim: SimOption = "nominal",
    sim_set: SimSetOption = None,
    run: Annotated[str | None, typer.Option("--run", help="name of the run (default: the time)")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="continue the newest unfinished run, or --run")] = False,
    promote: Annotated[bool, typer.Option("--promote", help="make the version current")] = False,
    notes: Annotated[str, typer.Option(help="kept on the version's card")] = "",
    contract: ContractOption = None,
    models_dir: ModelsOption = None,
    mix: MixOption = "",
    runs_dir: RunsOption = None,
) -> None:
    """Learn a policy without a planner (SAC), in the model or in simulation; Ctrl-C stops it, --resume continues."""
    from mbrl_controller.cli.progress import stop_flag
    from mbrl_controller.learning import policy_run as job
    from mbrl_controller.learning.policy_plan import PolicyRequest
    from mbrl_controller.models.origin import parse_mix

    request = PolicyRequest(
        chosen_task(task, contract),
        source=source,
        scheme=scheme,
        model=model,
        episodes=episodes,
        seed=seed,
        options=given_options("policy", options),
        goal_options=parse_overrides("--goal", goal),
        sim=sim,
        sim_options=given_options("sim", sim_set),
        contract=contract,
        models_dir=models_dir,
        runs_dir=runs_dir,
        name=run,
        resume=resume,
        mix=parse_mix(mix),
        promote=promote,
        notes=notes,
    )
    with stop_flag() as stop:
        result = job.run(request, stop.is_set, job.PolicyCallback(on_stage=say, on_row=lambda row: say(job.text(row))))
    if result.version is None:
        say(f"stopped; --resume continues ({result.folder})")
        raise typer.Exit(INTERRUPTED)
    say(f"{result.version.task} {result.version.name} has the policy; run folder: {result.folder}")
