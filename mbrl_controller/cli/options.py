# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ModelOption = Annotated[str, typer.Option(help="model version, as `mbrl models list` names it")]
JsonOption = Annotated[Path | None, typer.Option("--json", help="write the figures to this file")]
SeedOption = Annotated[int, typer.Option(min=0, help="seed of the planner and of the simulated hand")]
LoopRateOption = Annotated[
    float | None, typer.Option(min=1.0, max=500.0, help="of the loop, Hz (default: the model's own)")
]
BusyCoresOption = Annotated[int, typer.Option(min=0, help="processes that load the machine meanwhile")]
RealtimeOption = Annotated[bool, typer.Option(help="ask for SCHED_FIFO and locked memory")]
