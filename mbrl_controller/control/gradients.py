# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Whether a planner that asks for gradients can have them: said before it plans for the first time."""

from __future__ import annotations

import numpy as np

from mbrl_controller.base.errors import ModelError, one_line
from mbrl_controller.models.differentiable import DifferentiableModel
from mbrl_controller.planning.base import Planner
from mbrl_controller.tasks.arrays import constant
from mbrl_controller.tasks.base import Task
from mbrl_controller.tasks.spaces import ActionSpace, Array

NOT_LEARNED = "it plans through a learned model, in fp32; here a planner that samples is needed, such as pddm"


def check_gradients(model: object, planner: Planner, task: Task, action: ActionSpace) -> None:
    """Raise ModelError unless returns of `model` under the `task` can be differentiated, if the `planner` asks for it.

    Args:
        model: that plans are made with.
        planner: asks for gradients or not.
        task: its reward is tried on the model's arrays, from a state of zeros.
        action: of the contract.
    """
    if not planner.needs_gradients:
        return
    gradients: DifferentiableModel | None = getattr(model, "gradients", None)
    if gradients is None:
        name = getattr(model, "version", "") or "the model"
        raise ModelError(f"planner {planner.name}: {name} has no gradients: {NOT_LEARNED}")
    state, goal = np.zeros(len(task.state), np.float32), np.zeros(len(task.goal), np.float32)

    def rewards(candidates: Array) -> Array:
        targets = action.to_target(candidates)
        states = gradients.rollout(state, targets)
        return task.reward(states, targets, constant(goal, states))[0, :, 0] + 0.0 * task.at_risk(states)[0, :, 0]

    try:
        gradients.differentiate(rewards, np.zeros((1, 1, len(action)), np.float32))
    except ModelError as error:
        raise ModelError(f"planner {planner.name}: task {task.name}: {error}") from error
    except Exception as error:  # whatever a task that was written for NumPy alone raises when given another's arrays
        raise ModelError(
            f"planner {planner.name}: task {task.name}: its reward cannot be differentiated: {one_line(error)}; write "
            "it in the functions of tasks/arrays.py, or plan with a planner that samples, such as pddm"
        ) from error
