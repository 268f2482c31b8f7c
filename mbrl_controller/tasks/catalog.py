# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The tasks by name: what installed packages offer as `mbrl_controller.tasks`, ours among them (setup.py)."""

from __future__ import annotations

import inspect
from typing import Any

from mbrl_controller.base.errors import ContractError
from mbrl_controller.base.plugins import Catalog, subclass_of
from mbrl_controller.tasks.base import Task
from mbrl_controller.tasks.metrics import check_specs
from mbrl_controller.tasks.spaces import ActionSpace


def _usable(found: Any) -> type[Task]:
    attributes = ("name", "goal_unit", "episode_s", "drop_cost")
    task: type[Task] = subclass_of(Task, attributes)(found)  # type: ignore[type-abstract]
    if not isinstance(task.metric_specs, property):
        check_specs(task.metric_specs)
    return task


TASKS: Catalog[type[Task]] = Catalog("mbrl_controller.tasks", "task", _usable, ContractError)


def make_task(
    name: str, joints: tuple[str, ...], options: dict[str, Any] | None = None, space: ActionSpace | None = None
) -> Task:
    """The task called `name` for a hand with these joints; raises ContractError for unknown names or options.

    A task whose constructor takes `space` gets the joints' limits.
    """
    cls = TASKS[name]
    parameters = inspect.signature(cls).parameters
    given: dict[str, Any] = {"space": space} if "space" in parameters else {}
    known = [p for p in parameters if p not in ("joints", "space")]
    unknown = set(options or {}) - set(known)
    if unknown:
        raise ContractError(f"task {name}: unknown options {sorted(unknown)}; known: {', '.join(known)}")
    try:
        return cls(tuple(joints), **given, **(options or {}))
    except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError) as error:
        raise ContractError(f"task {name}: {error}") from error
