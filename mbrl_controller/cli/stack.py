# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""`mbrl demo` and `mbrl soak`: the nodes as child processes."""

from __future__ import annotations

from typing import Annotated

import typer

from mbrl_controller.cli.errors import report_errors
from mbrl_controller.cli.options import (
    JsonOption,
    LoopRateOption,
    ModelOption,
    RealtimeOption,
    SeedOption,
    StressCoresOption,
    TaskArgument,
)


@report_errors
def demo(
    task: TaskArgument = "baoding",
    seconds: Annotated[float, typer.Option(min=1.0, help="how long to control, s")] = 30.0,
    rate: Annotated[float | None, typer.Option(help="control rate, Hz; must be the model's own (default)")] = None,
    headless: Annotated[bool, typer.Option("--headless", help="no viewer")] = False,
    model: ModelOption = "current",
    seed: SeedOption = 0,
    json: JsonOption = None,
) -> None:
    """A simulated hand, the controller and the logger as real ROS 2 processes, with a live view."""
    from mbrl_controller.stack import demo as job

    job.run(task, seconds=seconds, rate=rate, headless=headless, model=model, seed=seed, json_file=json)


@report_errors
def soak(
    task: TaskArgument = "baoding",
    minutes: Annotated[float, typer.Option(min=0.05, help="how long")] = 60.0,
    rate: LoopRateOption = None,
    stress_cores: StressCoresOption = 0,
    realtime: RealtimeOption = True,
    model: ModelOption = "current",
    seed: SeedOption = 0,
    json: JsonOption = None,
) -> None:
    """The service for hours: missed ticks, memory, threads, open files and the log over time.

    A rate other than the model's own is for timing only: plans still count in the model's period.
    """
    from mbrl_controller.stack import soak as job

    job.run(
        task, minutes=minutes, rate=rate, busy_cores=stress_cores, realtime=realtime, model=model, seed=seed,
        json_file=json,
    )  # fmt: skip
