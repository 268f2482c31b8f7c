# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What a version's models of windows say while it controls. They change nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mbrl_controller.control.steps import Observation, Solution
from mbrl_controller.tasks.base import Task
from mbrl_controller.tasks.spaces import Array, parse_entry

if TYPE_CHECKING:
    from mbrl_controller.models.onnx_density import OnnxDensity
    from mbrl_controller.models.onnx_window import OnnxWindow


def novelty(model: object, state: Array, target: Array, after: Array) -> float:
    """How unusual a step is, as the negative log density of the model's `joint`; NaN without one.

    Args:
        model: a version, perhaps with `joint`.
        state: before the step [S].
        target: joint targets [A] (rad).
        after: state [S] that is predicted after it.
    """
    density: OnnxDensity | None = getattr(model, "joint", None)
    if density is None or density.steps != 1:
        return float("nan")
    return -float(density.log_density(state[None], after[None], target[None, None])[0])


def watched(
    model: object, task: Task, period: float, observation: Observation | None, solution: Solution | None
) -> dict[str, object]:
    """Values for diagnostics: the novelty of the step in force with its limit, and where the object is expected at the
    end of the window of `action_free`, whatever is commanded, with one deviation. Empty for a model without these."""
    values: dict[str, object] = {}
    density: OnnxDensity | None = getattr(model, "joint", None)
    if density is not None:
        values["novelty"] = solution.novelty if solution is not None else float("nan")
        values["novelty limit"] = float("nan") if density.spec.limit is None else -density.spec.limit
    free: OnnxWindow | None = getattr(model, "action_free", None)
    if free is not None:
        values[f"expected in {free.steps * period:.3g} s"] = _expected(free, task, observation)
    return values


def _expected(free: OnnxWindow, task: Task, observation: Observation | None) -> str:
    """`valve.position +0.02 (0.01) rad, ...`: changes of what no joint of the hand has, and their deviations."""
    if observation is None:
        return "no state yet"
    answer = free.answer(observation.state[None])
    change = task.state.difference(answer.expected[0, -1], observation.state)
    parts = []
    for i, name in enumerate(task.state.names):
        entry = parse_entry(name)
        if entry.quantity == "position" and entry.owner not in task.joints and np.isfinite(change[i]):
            parts.append(f"{name} {change[i]:+.2g} ({answer.spread[0, -1, i]:.2g}) {task.state.units[i]}")
    return ", ".join(parts) or "no object's position"
