# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What every stage of a distillation needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mbrl_controller.models.registry import Registry
from mbrl_controller.training.callbacks import DistilCallback
from mbrl_controller.training.distil_plan import DistilInputs, DistilPlan


@dataclass(frozen=True)
class DistilRun:
    """A run: its plan, where it keeps what is done, and who hears of it."""

    plan: DistilPlan
    inputs: DistilInputs
    folder: Path
    registry: Registry
    callback: DistilCallback
    should_stop: Callable[[], bool]
    processes: int

    def round_folder(self, number: int) -> Path:
        """Where a round's states, plans and policy are kept."""
        return self.folder / f"round-{number:02d}"
