# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Demonstrations: states in a row, the goals ahead of each, and what the planner would do there."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mbrl_controller.base.errors import DatasetError
from mbrl_controller.base.files import write_atomically
from mbrl_controller.tasks.base import Goal, ObservingGoal, Task
from mbrl_controller.tasks.spaces import Array

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class Demonstrations:
    """T states of one or several sequences, SI units; `sequence` numbers them, in order."""

    state: Float32  # [T, S]
    goal: Float32  # [T, L, G]; row i is the goal, as the planner sees it, i + 1 control periods after the state
    plan: Float32  # [T, H, A], normalised
    sequence: NDArray[np.int64]  # [T]

    def __post_init__(self) -> None:
        T = len(self.sequence)
        ranks = {"state": 2, "goal": 3, "plan": 3, "sequence": 1}
        wrong = [f"{name} {getattr(self, name).shape}" for name, rank in ranks.items()
                 if getattr(self, name).ndim != rank or len(getattr(self, name)) != T]  # fmt: skip
        if wrong:
            raise DatasetError(f"demonstrations of {T} states: {', '.join(wrong)} do not fit")

    def __len__(self) -> int:
        return len(self.sequence)

    def first(self, count: int) -> Demonstrations:
        """The first `count` states."""
        return Demonstrations(*(getattr(self, field.name)[:count] for field in fields(self)))

    def save(self, path: Path) -> None:
        """Write to `path`, whole or not at all; the same demonstrations are the same bytes."""
        content = io.BytesIO()
        np.savez(content, **{field.name: getattr(self, field.name) for field in fields(self)})
        write_atomically(path, content.getvalue())

    @classmethod
    def load(cls, path: Path) -> Demonstrations:
        """Read what `save` wrote; raises DatasetError for a damaged file."""
        try:
            with np.load(path, allow_pickle=False) as found:
                return cls(*(found[field.name] for field in fields(cls)))
        except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile) as error:
            raise DatasetError(f"{path}: cannot be read: {error}; delete it to make it again") from error


def join(parts: Sequence[Demonstrations]) -> Demonstrations:
    """All of them, their sequences numbered anew in order; raises DatasetError without any."""
    if not parts:
        raise DatasetError("there are no demonstrations")
    numbers, begin = [], 0
    for part in parts:
        distinct, number = np.unique(part.sequence, return_inverse=True)
        numbers.append(begin + number.astype(np.int64))
        begin += len(distinct)
    return Demonstrations(
        np.concatenate([part.state for part in parts]),
        np.concatenate([part.goal for part in parts]),
        np.concatenate([part.plan for part in parts]),
        np.concatenate(numbers),
    )


def goals_ahead(
    task: Task, goal: Goal, states: Array, period: float, rows: int, lead: float = 0.0, begin: float = 0.0
) -> Array:
    """Goals [T, rows, G] as the planner sees them along `states` [T, S], one every `period` (s).

    Args:
        task: whose goal it is.
        goal: of the episode; where it observes, it observes these states.
        states: in their order.
        period: control period, s.
        rows: how many periods ahead; row i is i + 1 periods after the state.
        lead: the controller's max_goal_lead, rad; 0: none.
        begin: s since the episode began, of the first state.
    """
    planned = task.waiting(goal, lead) if lead else goal
    ahead = np.empty((len(states), rows, len(task.goal)))
    for t, state in enumerate(states):
        now = begin + t * period
        for seen in (goal,) if planned is goal else (goal, planned):
            if isinstance(seen, ObservingGoal):
                seen.observe(state, now)
        ahead[t] = planned.at(now + period * np.arange(1, rows + 1))
    return ahead
