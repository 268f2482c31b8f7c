# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Options of `mbrl benchmark planner`, and what its parts have in common."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from mbrl_controller.base.engine import PROCESSES
from mbrl_controller.base.errors import MbrlError
from mbrl_controller.control.task_config import task_defaults
from mbrl_controller.models.registry import Registry
from mbrl_controller.tasks.catalog import TASKS

Table: TypeAlias = "tuple[str, list[dict[str, Any]]]"  # title and rows of plain values, for the cli to print

NO_TASK = "no task has a model: mbrl learn TASK --keep makes one"


class UnavailableError(MbrlError):
    """A part, or a row of it, cannot be measured on this machine; the message gives the reason."""


@dataclass(frozen=True)
class Settings:
    """The command's options."""

    task: str = "baoding"  # the parts plan with its current model
    contract: Path | None = None  # of the robot that `task` is planned for; None: the task's own
    quick: bool = False  # fewer repeats: right order of magnitude, no reliable percentiles
    peers_python: Path | None = None  # interpreter that has the peers' packages
    plot: Path | None = None  # picture of the part `samples`
    json_file: Path | None = None  # for the report; long parts keep finished rows beside it
    on: str = PROCESSES  # what episodes run on, as in base/engine.py

    @property
    def contract_file(self) -> str | None:
        """The contract's path as plain data, for a process of its own."""
        return str(self.contract) if self.contract else None


def measurable_tasks() -> list[str]:
    """The installed tasks that can be measured by their name: those with a contract of their own and a model."""
    registry = Registry()
    return [name for name in TASKS if task_defaults(name).contract and registry.versions(name)]
