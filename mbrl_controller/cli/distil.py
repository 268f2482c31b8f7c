# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""`mbrl distil`: from the planner to a policy and a value."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mbrl_controller.base.os_process import usable_cores
from mbrl_controller.cli.chosen_task import chosen_task
from mbrl_controller.cli.completion import complete_options
from mbrl_controller.cli.console import console, say
from mbrl_controller.cli.errors import INTERRUPTED, report_errors
from mbrl_controller.cli.option_groups import given_options
from mbrl_controller.cli.options import (
    ContractOption,
    ControllerSetOption,
    GoalOption,
    JsonOption,
    MixOption,
    ModelOption,
    ModelsOption,
    PlannerOption,
    PlannerSetOption,
    ProcessesOption,
    SimOption,
    SimSetOption,
    TaskArgument,
)

DistilSetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="option NAME=VALUE: states=50000, discount=0.95; `mbrl options distil` lists all",
        autocompletion=complete_options("distil"),
    ),
]


@report_errors
def distil(
    task: TaskArgument = None,
    model: ModelOption = "current",
    episodes: Annotated[
        list[Path] | None, typer.Option(help="files or folders to take states from, repeatable (default: the log)")
    ] = None,
    log: Annotated[bool, typer.Option("--log/--no-log", help="no-log: the planner acts in simulation instead")] = True,
    states: Annotated[int | None, typer.Option(min=20, help="states that the planner labels, in all")] = None,
    rounds: Annotated[int | None, typer.Option(min=0, help="rounds in which the policy acts in simulation")] = None,
    options: DistilSetOption = None,
    planner: PlannerOption = "pddm",
    planner_set: PlannerSetOption = None,
    controller_set: ControllerSetOption = None,
    goal: GoalOption = None,
    sim: SimOption = "nominal",
    sim_set: SimSetOption = None,
    contract: ContractOption = None,
    promote: Annotated[bool, typer.Option("--promote", help="make the new version the current one")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="go on with the run that was stopped")] = False,
    notes: Annotated[str, typer.Option(help="kept on the version's card")] = "",
    processes: ProcessesOption = None,
    models_dir: ModelsOption = None,
    runs_dir: Annotated[
        Path | None, typer.Option("--runs-dir", help="folder of runs (default: runs/ below MBRL_HOME or ~/.mbrl)")
    ] = None,
    mix: MixOption = "",
    json: JsonOption = None,
) -> None:
    """Teach a policy what the planner does, and a value what follows: a new version with the same model.

    Ctrl-C stops it; --resume goes on, also after a crash or kill.
    """
    from mbrl_controller.base.errors import MbrlError
    from mbrl_controller.base.files import write_json
    from mbrl_controller.base.overrides import parse_overrides
    from mbrl_controller.cli.distil_progress import DistilDisplay
    from mbrl_controller.cli.progress import stop_flag
    from mbrl_controller.models.origin import parse_mix
    from mbrl_controller.training import distil as job
    from mbrl_controller.training.distil_plan import DistilRequest

    if episodes and not log:
        raise MbrlError("--no-log takes no states from a log: leave out --episodes")
    task = chosen_task(task, contract)
    given = {name: value for name, value in (("states", states), ("rounds", rounds)) if value is not None}
    request = DistilRequest(
        task,
        model=model,
        episodes=episodes if log else (),
        models_dir=models_dir,
        contract=contract,
        planner=planner,
        planner_options=given_options("planner", planner_set),
        core_options=given_options("controller", controller_set),
        goal_options=parse_overrides("--goal", goal),
        sim=sim,
        sim_options=given_options("sim", sim_set),
        options=given_options("distil", options) | given,
        mix=parse_mix(mix),
        promote=promote,
        resume=resume,
        notes=notes,
        runs_dir=runs_dir,
    )
    with stop_flag() as stop, DistilDisplay() as callback:
        result = job.run(request, stop.is_set, callback, processes or usable_cores())
    if result.version is None:
        say(f"stopped; mbrl distil {task} --resume goes on with {result.run_folder}")
        raise typer.Exit(INTERRUPTED)
    for kind, figures in (("policy", result.policy), ("value", result.value)):
        for name, value in sorted(figures.items()):
            console.print(f"{kind} {name} {value:.4g}", highlight=False)
    name, places = result.version.name, f" --models-dir {models_dir}" if models_dir else ""
    say(f"{task} {name} is {'current' if promote else 'added'}: {result.version.folder}")
    say(f"  mbrl evaluate {task} --model {name} --policy distilled{places}")
    if not promote:
        say(f"  mbrl models promote {task} {name}{places}")
    if json is not None:
        write_json(json, {"task": task, "version": name, "policy": result.policy, "value": result.value})
