# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""`mbrl demo` and `mbrl soak`: the nodes as child processes."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Annotated

import typer

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.base.extras import how_to_install
from mbrl_controller.cli.chosen_task import chosen_task
from mbrl_controller.cli.completion import complete_planners
from mbrl_controller.cli.console import LiveLine, console, error_console
from mbrl_controller.cli.errors import report_errors
from mbrl_controller.cli.option_groups import given_options
from mbrl_controller.cli.options import (
    PLANNERS,
    ActingOption,
    ContractOption,
    JsonOption,
    LoopRateOption,
    MixOption,
    ModelOption,
    RealtimeOption,
    SeedOption,
    SimOption,
    SimSetOption,
    StressCoresOption,
    TaskArgument,
)
from mbrl_controller.cli.tables import print_entries, print_resources, print_timing
from mbrl_controller.tasks.metrics import texts

if TYPE_CHECKING:
    from mbrl_controller.stack.demo_recorder import DemoRecord
    from mbrl_controller.stack.timing import LoopTimingStats

DEMO_EVERY_S, SOAK_EVERY_S = 5.0, 60.0  # between lines where there is no terminal


@report_errors
def demo(
    task: TaskArgument = None,
    seconds: Annotated[float, typer.Option(min=1.0, help="how long to control, s")] = 30.0,
    rate: Annotated[float | None, typer.Option(help="control rate, Hz; must be the model's own (default)")] = None,
    headless: Annotated[bool, typer.Option("--headless", help="no panel")] = False,
    model: ModelOption = "current",
    planner: Annotated[
        str | None,
        typer.Option(
            help=f"planner: {PLANNERS} (default: pddm, or random while the task has no model)",
            autocompletion=complete_planners,
        ),
    ] = None,
    policy: ActingOption = "auto",
    seed: SeedOption = 0,
    contract: ContractOption = None,
    sim: SimOption = "nominal",
    sim_set: SimSetOption = None,
    mix: MixOption = "",
    json: JsonOption = None,
) -> None:
    """Run a simulated hand, the controller and the logger as real ROS 2 processes, with the panel in the browser."""
    from mbrl_controller.stack.demo import run
    from mbrl_controller.stack.launcher import SimulatedHand

    if not headless and importlib.util.find_spec("mjviser") is None:
        error_console.print(f"no panel: {how_to_install('viewer')} (or --headless)", markup=False, soft_wrap=True)
        headless = True
    hand = SimulatedHand(contract, sim, given_options("sim", sim_set), mix)
    with LiveLine(demo_line, DEMO_EVERY_S) as live:
        report, finished = run(
            chosen_task(task, contract),
            seconds=seconds,
            rate=rate,
            viewer=not headless,
            model=model,
            planner=planner,
            policy=policy,
            seed=seed,
            hand=hand,
            json_file=json,
            on_note=lambda text: console.print(text, soft_wrap=True),
            on_progress=live.show,
        )
    print_entries(report, hidden=["folder"])
    console.print(f"episodes in {report['folder']}", soft_wrap=True)
    if not finished:
        raise KeyboardInterrupt


@report_errors
def soak(
    task: TaskArgument = None,
    minutes: Annotated[float, typer.Option(min=0.05, help="length of the run")] = 60.0,
    rate: LoopRateOption = None,
    stress_cores: StressCoresOption = 0,
    realtime: RealtimeOption = True,
    model: ModelOption = "current",
    seed: SeedOption = 0,
    contract: ContractOption = None,
    sim: SimOption = "nominal",
    sim_set: SimSetOption = None,
    mix: MixOption = "",
    json: JsonOption = None,
) -> None:
    """Run the nodes for hours: missed ticks, memory, threads, open files and log size over time.

    A rate other than the model's own is for timing only: a plan still counts in the model's period.
    """
    from mbrl_controller.stack.launcher import SimulatedHand
    from mbrl_controller.stack.soak import FINISHED, INTERRUPTED, run

    hand = SimulatedHand(contract, sim, given_options("sim", sim_set), mix)
    with LiveLine(timing_line, SOAK_EVERY_S) as live:
        report = run(
            chosen_task(task, contract),
            minutes=minutes,
            rate=rate,
            stress_cores=stress_cores,
            realtime=realtime,
            model=model,
            seed=seed,
            hand=hand,
            json_file=json,
            on_begin=lambda every, file: console.print(f"a sample every {every:g} s in {file}", soft_wrap=True),
            on_progress=live.show,
        )
    print_timing(report)
    print_resources(report)
    if report["ended"] == INTERRUPTED:
        raise KeyboardInterrupt
    if report["ended"] != FINISHED:
        raise MbrlError(report["ended"])


def demo_line(elapsed: float, record: DemoRecord) -> str:
    """The demo at this moment."""
    row = record.rows[-1]
    parts = [
        f"{elapsed:5.1f} s",
        f"tick {len(record.rows)}",
        f"missed {row['missed_ticks']:.0f}",
        f"late {1e3 * row['lateness']:.2f} ms",
        f"reward {row['reward']:.3g}",
    ]
    metrics = record.episodes[-1].metrics(record.task, record.period) if record.episodes else None
    if metrics is not None:
        parts.append(f"return {metrics.episode_return:.3g}")
        parts += texts(record.task.metric_specs, metrics)
    return " | ".join(part for part in parts if "nan" not in part)


def timing_line(elapsed: float, stats: LoopTimingStats) -> str:
    """The timing of the loop so far."""
    s = stats.summary()
    return (
        f"{elapsed:5.1f} s | tick {s['ticks']} | missed {s['missed']} | late plans {s['late_plans']} | lateness p99.9 "
        f"{s['lateness_p99_9_ms']:.3f} ms, max {s['lateness_max_ms']:.3f} ms"
    )
