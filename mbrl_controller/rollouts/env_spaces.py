# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What an agent sees and does: the spaces of the Gymnasium environments, the same for a world and for a model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from gymnasium import spaces

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.models.heads import MAX_STEPS
from mbrl_controller.tasks.spaces import Array

GOAL_STEPS = (1, 5)  # a goal that moves is seen with its speed


def check_goal_steps(steps: Sequence[int]) -> tuple[int, ...]:
    """The control periods ahead at which the goal is seen; raises MbrlError unless they ascend within 1 to 50."""
    found = tuple(int(step) for step in steps)
    if not found or list(found) != sorted(set(found)) or not 1 <= found[0] <= found[-1] <= MAX_STEPS:
        raise MbrlError(f"goal_steps: expected ascending whole numbers from 1 to {MAX_STEPS}, got {tuple(steps)}")
    return found


def action_box(contract: RobotContract) -> spaces.Box:
    """Normalised joint targets [A]: 0 is the neutral pose, +-1 what `ActionSpace.to_target` says."""
    return spaces.Box(-1.0, 1.0, (len(contract.action),), np.float32)


def observation_box(contract: RobotContract, goal_steps: Sequence[int]) -> spaces.Box:
    """The state [S], then the goal [G] at each of `goal_steps`, in SI units.

    A joint's position is at most its range outside its limits; what has no limits in the contract has none here.
    """
    task, action = contract.task, contract.action
    size = len(task.state) + len(goal_steps) * len(task.goal)
    low, high = np.full(size, -np.inf), np.full(size, np.inf)
    span = action.upper - action.lower
    low[task.joint_positions], high[task.joint_positions] = action.lower - span, action.upper + span
    return spaces.Box(low, high, dtype=np.float64)


def observe(states: Array, goals: Array) -> Array:
    """Observations [..., O] of states [..., S] and the goals [..., K, G] that are seen."""
    seen = np.reshape(goals, (*np.shape(goals)[:-2], -1))
    return np.concatenate([states, seen], axis=-1).astype(np.float64)
