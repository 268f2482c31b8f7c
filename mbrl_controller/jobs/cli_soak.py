"""`mbrl soak`: its options and help text."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mbrl_controller.jobs.reporting import report_errors


@report_errors
def soak(
    task: Annotated[str, typer.Argument(help="baoding or valve")] = "baoding",
    minutes: Annotated[float, typer.Option(min=0.05, help="how long")] = 60.0,
    rate: Annotated[
        float | None, typer.Option(min=1.0, max=500.0, help="of the loop, Hz (default: the model's own)")
    ] = None,
    busy_cores: Annotated[int, typer.Option(min=0, help="processes that load the machine meanwhile")] = 0,
    realtime: Annotated[bool, typer.Option(help="ask for SCHED_FIFO and locked memory")] = True,
    model: Annotated[str, typer.Option(help="model version, as `mbrl models list` names it")] = "current",
    seed: Annotated[int, typer.Option(min=0, help="seed of the planner and of the simulated hand")] = 0,
    json: Annotated[Path | None, typer.Option("--json", help="write the figures to this file")] = None,
) -> None:
    """The service for hours: missed ticks, memory, threads, open files and the log over time.

    A rate other than the model's own is for timing only: plans still count in the model's period.
    """
    from mbrl_controller.jobs import soak as job

    job.run(
        task, minutes=minutes, rate=rate, busy_cores=busy_cores, realtime=realtime, model=model, seed=seed,
        json_file=json,
    )  # fmt: skip
