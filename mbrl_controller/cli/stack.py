# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""`mbrl soak`: its options and help text."""

from __future__ import annotations

from typing import Annotated

import typer

from mbrl_controller.base.console import report_errors
from mbrl_controller.cli.options import (
    BusyCoresOption,
    JsonOption,
    LoopRateOption,
    ModelOption,
    RealtimeOption,
    SeedOption,
)


@report_errors
def soak(
    task: Annotated[str, typer.Argument(help="baoding or valve")] = "baoding",
    minutes: Annotated[float, typer.Option(min=0.05, help="how long")] = 60.0,
    rate: LoopRateOption = None,
    busy_cores: BusyCoresOption = 0,
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
        task, minutes=minutes, rate=rate, busy_cores=busy_cores, realtime=realtime, model=model, seed=seed,
        json_file=json,
    )  # fmt: skip
