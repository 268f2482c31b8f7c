# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The tasks by name."""

from __future__ import annotations

import inspect
from typing import Any

from mbrl_controller.base.errors import ContractError
from mbrl_controller.tasks.baoding import Baoding
from mbrl_controller.tasks.base import Task
from mbrl_controller.tasks.valve import Valve

TASKS: dict[str, type[Task]] = {task.name: task for task in (Baoding, Valve)}


def make_task(name: str, joints: tuple[str, ...], options: dict[str, Any] | None = None) -> Task:
    """The task called `name` for a hand with these joints; raises ContractError for unknown names or options."""
    if name not in TASKS:
        raise ContractError(f"unknown task {name!r}; known tasks: {', '.join(sorted(TASKS))}")
    cls = TASKS[name]
    known = [p for p in inspect.signature(cls).parameters if p != "joints"]
    unknown = set(options or {}) - set(known)
    if unknown:
        raise ContractError(f"task {name}: unknown options {sorted(unknown)}; known: {', '.join(known)}")
    try:
        return cls(tuple(joints), **(options or {}))
    except (TypeError, ValueError, LookupError, ArithmeticError) as error:
        raise ContractError(f"task {name}: {error}") from error
