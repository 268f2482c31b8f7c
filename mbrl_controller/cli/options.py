# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Options that several commands share, each defined once. Shell completion comes from the catalogs and configurations
that the commands use."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.cli.completion import (
    complete_contracts,
    complete_options,
    complete_planners,
    complete_sims,
    complete_tasks,
)

# In help texts, what stands for the names of a catalog.
TASKS, PLANNERS = "{tasks}", "{planners}"
Policy = Literal["auto", "controller", "distilled", "hold", "random"]
Backend = Literal["onnx", "torch"]
Precision = Literal["auto", "fp32", "int8"]


def _contract_file(text: str) -> Path:
    """A path, or a file of a package's config/."""
    from mbrl_controller.base.shares import config_file

    try:
        return config_file(text)
    except MbrlError as error:
        raise typer.BadParameter(str(error)) from error


# what is done
TaskArgument = Annotated[
    str | None, typer.Argument(help=f"{TASKS} (default: that of --contract)", autocompletion=complete_tasks)
]
TaskOption = Annotated[str | None, typer.Option("--task", help=TASKS, autocompletion=complete_tasks)]
NamedTask = Annotated[str, typer.Argument(help=TASKS, autocompletion=complete_tasks)]
ContractOption = Annotated[
    Path | None,
    typer.Option(
        parser=_contract_file,
        metavar="FILE",
        help="robot contract: a path, or a file of config/ (default: the task's)",
        autocompletion=complete_contracts,
    ),
]
GoalOption = Annotated[
    list[str] | None, typer.Option("--goal", help="fix part of the goal, NAME=VALUE: direction=clockwise, period=4")
]
SecondsOption = Annotated[float | None, typer.Option(help="length of an episode, s (default: the task's)")]
SeedOption = Annotated[int, typer.Option(min=0, help="seed of the planner and of the simulated hand")]
EpisodesOption = Annotated[int, typer.Option(min=1, help="episodes, on the seeds from --seed on")]
ProcessesOption = Annotated[int | None, typer.Option(min=1, help="parallel episodes (default: one per core)")]
OnOption = Annotated[
    str,
    typer.Option(
        "--on", help="what episodes and runs run on: processes (of this machine), ray, or ray://HOST:PORT (extra scale)"
    ),
]
# who acts
PolicyOption = Annotated[
    Policy,
    typer.Option(
        help="what moves the hand: controller (plans), distilled (the version's policy alone), a floor to compare, or "
        "auto: as the task's defaults say, and the controller where a planner, a goal or another hand is named"
    ),
]
ActingOption = Annotated[
    Literal["auto", "controller", "distilled"],
    typer.Option(
        help="what moves the hand: the controller, which plans, the version's distilled policy alone, or auto: as the "
        "task's defaults say, and the controller where a planner or another hand is named"
    ),
]
ModelOption = Annotated[str, typer.Option(help="model version, as `mbrl models list` names it")]
ModelsOption = Annotated[
    Path | None, typer.Option("--models-dir", help="registry (default: models/ below MBRL_HOME or ~/.mbrl)")
]
DynamicsOption = Annotated[
    Literal["learned", "oracle", "identified", "residual"],
    typer.Option(
        help="what the planner predicts with: the model; the simulator from its true state; or the simulator with the "
        "version's fitted physics from the measured state (--model nominal: as the scene is written), for residual "
        "corrected by the version's network"
    ),
]
BackendOption = Annotated[Backend, typer.Option(help="what serves the model; torch: on a GPU if there is one")]
PrecisionOption = Annotated[Precision, typer.Option(help="of the model served; auto: int8 where the version has it")]
PlannerOption = Annotated[str, typer.Option(help=f"planner: {PLANNERS}", autocompletion=complete_planners)]
PlannerSetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--planner-set",
        help="planner option NAME=VALUE: num_samples=700, sigma=0.9; `mbrl options planner` lists all",
        autocompletion=complete_options("planner"),
    ),
]
ControllerSetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--controller-set",
        help="controller option NAME=VALUE: drop_cost=80, risk.kind=mean; `mbrl options controller` lists all",
        autocompletion=complete_options("controller"),
    ),
]
MixOption = Annotated[
    str,
    typer.Option(
        help="what may be mixed, with commas: robots (a model, or episodes, of another robot), worlds (real, simulated)"
    ),
]
# the simulated hand
SimOption = Annotated[
    str,
    typer.Option(
        help="nominal; perturbed: noise, latency, other masses; or a preset of sim/presets/, such as foreign_elliptic",
        autocompletion=complete_sims,
    ),
]
SimSetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--sim-set",
        help="simulation option NAME=VALUE, over those of --sim: friction=0.2; `mbrl options sim` lists all",
        autocompletion=complete_options("sim"),
    ),
]
# the run
TrainingSetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="training option NAME=VALUE: hidden=[64,64]; `mbrl options training` lists all",
        autocompletion=complete_options("training"),
    ),
]
LearnSetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="option NAME=VALUE: training.batch=64, collect.plain.episodes=9; `mbrl options learn` lists all",
        autocompletion=complete_options("learn"),
    ),
]
JsonOption = Annotated[Path | None, typer.Option("--json", help="write the figures to this file")]
LoopRateOption = Annotated[float | None, typer.Option(min=1.0, max=500.0, help="loop rate, Hz (default: the model's)")]
StressCoresOption = Annotated[int, typer.Option(min=0, help="processes that load the machine during the run")]
RealtimeOption = Annotated[bool, typer.Option(help="ask for SCHED_FIFO and locked memory")]
