# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""`mbrl evaluate`, `compare`, `film` and `collect`: episodes in simulation, without ROS."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mbrl_controller.base.overrides import parse_overrides
from mbrl_controller.cli.chosen_task import chosen_task
from mbrl_controller.cli.console import episode_bar, say
from mbrl_controller.cli.errors import report_errors
from mbrl_controller.cli.option_groups import given_options
from mbrl_controller.cli.options import (
    BackendOption,
    ContractOption,
    ControllerSetOption,
    DynamicsOption,
    EpisodesOption,
    GoalOption,
    JsonOption,
    MixOption,
    ModelOption,
    ModelsOption,
    OnOption,
    PlannerOption,
    PlannerSetOption,
    PolicyOption,
    PrecisionOption,
    ProcessesOption,
    SecondsOption,
    SeedOption,
    SimOption,
    SimSetOption,
    TaskArgument,
)


@report_errors
def evaluate(
    task: TaskArgument = None,
    model: ModelOption = "current",
    episodes: EpisodesOption = 20,
    seed: SeedOption = 0,
    seconds: SecondsOption = None,
    planner: PlannerOption = "pddm",
    planner_set: PlannerSetOption = None,
    controller_set: ControllerSetOption = None,
    dynamics: DynamicsOption = "learned",
    backend: BackendOption = "onnx",
    precision: PrecisionOption = "auto",
    policy: PolicyOption = "auto",
    sim: SimOption = "nominal",
    sim_set: SimSetOption = None,
    processes: ProcessesOption = None,
    on: OnOption = "processes",
    models_dir: ModelsOption = None,
    mix: MixOption = "",
    contract: ContractOption = None,
    goal: GoalOption = None,
    json: JsonOption = None,
    late_share: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="share of the plans that are late on purpose: what acts then?")
    ] = 0.0,
    card: Annotated[bool, typer.Option("--card", help="keep the figures on the version's card")] = False,
) -> None:
    """Score a model or a floor on fixed seeds, in simulation and faster than real time."""
    from mbrl_controller.cli.tables import print_evaluation
    from mbrl_controller.models.origin import parse_mix
    from mbrl_controller.rollouts import evaluate as job
    from mbrl_controller.rollouts.config import RolloutConfig

    config = RolloutConfig(
        chosen_task(task, contract),
        model=model,
        seconds=seconds,
        planner=planner,
        planner_options=given_options("planner", planner_set),
        core_options=given_options("controller", controller_set),
        dynamics=dynamics,
        backend=backend,
        precision=precision,
        policy=policy,
        late_share=late_share,
        sim=sim,
        sim_options=given_options("sim", sim_set),
        models_dir=models_dir,
        mix=parse_mix(mix),
        contract=contract,
        goal_options=parse_overrides("--goal", goal),
    )
    with episode_bar(episodes) as on_episode:
        report = job.run(
            config,
            episodes=episodes,
            seed=seed,
            processes=processes,
            on=on,
            json_file=json,
            on_card=card,
            on_episode=on_episode,
        )
    print_evaluation(report)


@report_errors
def compare(
    first: Annotated[Path, typer.Argument(metavar="FIRST", help="report of mbrl evaluate --json")],
    others: Annotated[list[Path], typer.Argument(metavar="REPORT...", help="reports on the same seeds")],
    json: JsonOption = None,
) -> None:
    """Compare evaluations seed by seed: differences from the first report, with 95 % intervals over the pairs."""
    from mbrl_controller.base.files import write_json
    from mbrl_controller.cli.tables import print_comparison
    from mbrl_controller.rollouts.comparison import compare_reports

    rows = compare_reports(first, others)
    for row in rows:
        print_comparison(row)
    if json is not None:
        write_json(json, {"first": str(first), "rows": rows})


@report_errors
def film(
    file: Annotated[Path, typer.Argument(help="an animated .gif, or a .png of the start")],
    task: TaskArgument = None,
    model: ModelOption = "current",
    seed: SeedOption = 0,
    seconds: SecondsOption = None,
    planner: PlannerOption = "pddm",
    planner_set: PlannerSetOption = None,
    controller_set: ControllerSetOption = None,
    dynamics: DynamicsOption = "learned",
    policy: PolicyOption = "auto",
    sim: SimOption = "nominal",
    sim_set: SimSetOption = None,
    models_dir: ModelsOption = None,
    mix: MixOption = "",
    contract: ContractOption = None,
    goal: GoalOption = None,
) -> None:
    """Film an episode in simulation. Without a screen, set MUJOCO_GL=egl or osmesa."""
    from mbrl_controller.control.task_config import contract_for
    from mbrl_controller.models.origin import parse_mix
    from mbrl_controller.rollouts import render as job
    from mbrl_controller.rollouts.config import RolloutConfig
    from mbrl_controller.tasks.metrics import texts

    config = RolloutConfig(
        chosen_task(task, contract),
        model=model,
        seconds=seconds,
        planner=planner,
        planner_options=given_options("planner", planner_set),
        core_options=given_options("controller", controller_set),
        dynamics=dynamics,
        policy=policy,
        sim=sim,
        sim_options=given_options("sim", sim_set),
        models_dir=models_dir,
        mix=parse_mix(mix),
        contract=contract,
        goal_options=parse_overrides("--goal", goal),
    )
    record = job.run(config, file, seed=seed)
    specs = contract_for(config.task, contract).task.metric_specs
    say(", ".join([f"{file}: {record.metrics.time_kept:g} s", *texts(specs, record.metrics)]))


@report_errors
def collect(
    task: TaskArgument = None,
    episodes: EpisodesOption = 30,
    seed: SeedOption = 0,
    policy: PolicyOption = "controller",
    model: ModelOption = "current",
    dynamics: DynamicsOption = "learned",
    precision: PrecisionOption = "auto",
    exploration: Annotated[float, typer.Option(min=0.0, help="noise on the controller's action (of its range)")] = 0.0,
    random_scale: Annotated[float, typer.Option(help="size of random actions (of their range)")] = 1.0,
    sim: SimOption = "nominal",
    sim_set: SimSetOption = None,
    seconds: SecondsOption = None,
    session: Annotated[str | None, typer.Option(help="session name; an interrupted one goes on where it was")] = None,
    episodes_dir: Annotated[
        Path | None, typer.Option(help="log folder (default: episodes/ below MBRL_HOME or ~/.mbrl)")
    ] = None,
    planner: PlannerOption = "pddm",
    planner_set: PlannerSetOption = None,
    controller_set: ControllerSetOption = None,
    models_dir: ModelsOption = None,
    mix: MixOption = "",
    contract: ContractOption = None,
    goal: GoalOption = None,
    processes: ProcessesOption = None,
    on: OnOption = "processes",
) -> None:
    """Log episodes from simulation, faster than real time, as the logger would have written them."""
    from mbrl_controller.models.origin import parse_mix
    from mbrl_controller.rollouts import collect as job
    from mbrl_controller.rollouts.config import RolloutConfig

    config = RolloutConfig(
        chosen_task(task, contract),
        policy=policy,
        model=model,
        dynamics=dynamics,
        precision=precision,
        exploration=exploration,
        random_scale=random_scale,
        sim=sim,
        sim_options=given_options("sim", sim_set),
        seconds=seconds,
        planner=planner,
        planner_options=given_options("planner", planner_set),
        core_options=given_options("controller", controller_set),
        models_dir=models_dir,
        mix=parse_mix(mix),
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
            on=on,
            on_episode=on_episode,
        )
    say(f"{done.episodes} episodes, {done.transitions:,} transitions in {done.folder}")
