# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What a file says of the robot and task it is made for, and whether it fits others: names, units, limits, period."""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np

from mbrl_controller.tasks.base import Task
from mbrl_controller.tasks.spaces import ActionSpace


class Layout(Protocol):
    """What the descriptions of models and of heads have in common."""

    @property
    def task(self) -> str: ...
    @property
    def state_names(self) -> tuple[str, ...]: ...
    @property
    def state_units(self) -> tuple[str, ...]: ...
    @property
    def action_names(self) -> tuple[str, ...]: ...
    @property
    def action_lower(self) -> tuple[float, ...]: ...
    @property
    def action_upper(self) -> tuple[float, ...]: ...
    @property
    def action_max_rate(self) -> tuple[float, ...]: ...
    @property
    def control_period_s(self) -> float: ...


def layout_fields(task: Task, robot: str, action: ActionSpace) -> dict[str, Any]:
    """The entries of a description that say which task and robot a file is for."""
    return {
        "task": task.name,
        "robot": robot,
        "state_names": task.state.names,
        "state_units": task.state.units,
        "periodic": task.state.periodic,
        "action_names": action.names,
        "action_units": task.action.units,
        "action_lower": tuple(action.lower.tolist()),
        "action_upper": tuple(action.upper.tolist()),
        "action_max_rate": tuple(action.max_rate.tolist()),
        "control_period_s": action.period,
    }


def misfits(own: Layout, task: Task, action: ActionSpace) -> list[str]:
    """Every difference between a description and the task and action space; empty if it fits."""
    wrong = []
    if own.task != task.name:
        wrong.append(f"it was trained for task {own.task!r}, not {task.name!r}")
    wrong += name_differences("state", own.state_names, task.state.names)
    wrong += name_differences("action", own.action_names, action.names)
    if not wrong and own.state_units != task.state.units:
        wrong.append("its state units differ from the task's")
    if not math.isclose(own.control_period_s, action.period, rel_tol=1e-6):
        wrong.append(f"its control period is {own.control_period_s} s, the contract's {action.period} s")
    if not wrong:
        for what, mine, other in (
            ("lower limits", own.action_lower, action.lower),
            ("upper limits", own.action_upper, action.upper),
            ("rate limits", own.action_max_rate, action.max_rate),
        ):
            if not np.allclose(mine, other, rtol=1e-6, atol=1e-9):
                joints = [n for n, a, b in zip(action.names, mine, other, strict=True) if not np.isclose(a, b)]
                wrong.append(f"its {what} differ from the contract's for {', '.join(joints)}")
    return wrong


def name_differences(what: str, own: tuple[str, ...], other: tuple[str, ...]) -> list[str]:
    """What `own` names lack or have beside `other` names, for an error; empty: the same names in the same order."""
    if own == other:
        return []
    missing = [n for n in other if n not in own]
    extra = [n for n in own if n not in other]
    if missing or extra:
        text = f"its {what} lacks [{', '.join(missing)}]" if missing else f"its {what}"
        return [text + (f" has unknown [{', '.join(extra)}]" if extra else "")]
    return [f"its {what} has the same names in another order"]
