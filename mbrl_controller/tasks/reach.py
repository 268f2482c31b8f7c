# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Reach: bring the joints to a pose and keep them there. For a hand alone: the first task of a new contract."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mbrl_controller.base.errors import GoalError
from mbrl_controller.tasks.arrays import namespace, nowhere
from mbrl_controller.tasks.base import Goal, Task, constant_goal, goal_number
from mbrl_controller.tasks.goal_options import GoalOption
from mbrl_controller.tasks.metrics import EpisodeMetrics, Metric
from mbrl_controller.tasks.spaces import ActionSpace, Array, Mask, VectorSpec

SPREAD = 0.5  # of the way from neutral to the limits, within which goals are drawn: far poses make fingers collide


class Reach(Task):
    """Bring the joints to a goal pose and keep them there: needs a hand and no object.

    State: joint positions, with `velocity` joint velocities too, then the `sensors`. Goal: a position for each joint.
    """

    name = "reach"
    goal_unit = "rad"
    episode_s = 4.0
    drop_cost = 0.0
    goal_options = (GoalOption("spread", "of the way from neutral to the limits", "", 0.0, 1.0),)
    metric_specs = (
        Metric(
            "goal_error", "rad", "down", drawn=False, decimals=3, description="mean over the joints and the episode"
        ),
        Metric("final_goal_error", "rad", "down", decimals=3, description="mean over the joints, at the end"),
    )

    def __init__(
        self,
        joints: tuple[str, ...],
        space: ActionSpace,
        *,
        velocity: bool = False,
        sensors: Mapping[str, str] | None = None,
        reached: float = 0.1,
    ) -> None:
        """
        Args:
            joints: the hand's joints.
            space: their limits and neutral pose, from which goals are drawn.
            velocity: whether the state has joint velocities; at the control rates of a hand positions suffice.
            sensors: names and units of further values, such as tactile ones, that are predicted but not rewarded.
            reached: largest error of any joint (rad) at which the goal counts as reached.
        """
        super().__init__(joints)
        if not reached > 0:
            raise ValueError(f"reached must be positive, got {reached}")
        self._space, self._reached = space, reached
        sensors = sensors or {}
        n = len(joints)
        moving = [f"{joint}.velocity" for joint in joints] if velocity else []
        self.state = VectorSpec(
            (*(f"{joint}.position" for joint in joints), *moving, *(f"{name}.value" for name in sensors)),
            ("rad",) * n + ("rad/s",) * len(moving) + tuple(map(str, sensors.values())),
        )
        self.goal = VectorSpec(tuple(f"{joint}.target" for joint in joints), ("rad",) * n)

    def reward(self, state: Array, action: Array, goal: Array) -> Array:
        error = self._errors(state, goal)
        xp = namespace(error)
        reward: Array = -10.0 * xp.mean(error, axis=-1) + 1.0 * (xp.max(error, axis=-1) < self._reached)
        return reward

    def dropped(self, state: Array) -> Mask:
        return nowhere(state)

    def sample_goal(self, rng: np.random.Generator, /, **options: Any) -> Goal:
        """A random pose. Options: `spread` (0 to 1, of the way from neutral to the limits), or joints by name (rad)."""
        unknown = set(options) - {"spread", *self.joints}
        if unknown:
            known = ", ".join(("spread", *self.joints))
            raise GoalError(f"{self.name}: unknown goal options {sorted(unknown)}; known: {known}")
        spread = goal_number(self.name, "spread", options.get("spread", SPREAD))
        if not 0 <= spread <= 1:
            raise GoalError(f"{self.name}: spread must lie in [0, 1], got {spread}")
        pose = self._space.to_target(spread * rng.uniform(-1, 1, len(self.joints)))
        for i, joint in enumerate(self.joints):
            if joint in options:
                pose[i] = goal_number(self.name, joint, options[joint])
        self.check_goal(pose)
        return constant_goal(pose)

    def check_goal(self, goal: Array) -> None:
        value = self.check_goal_shape(goal).reshape(-1, len(self.joints))
        outside = (value < self._space.lower) | (value > self._space.upper)
        if outside.any():
            row, i = np.argwhere(outside)[0]
            low, high = self._space.lower[i], self._space.upper[i]
            raise GoalError(f"{self.name}: {self.goal.names[i]} = {value[row, i]:.6g} rad is outside [{low}, {high}]")

    def metrics(self, states: Array, actions: Array, goals: Array, period: float) -> EpisodeMetrics:
        error = self._errors(states, goals)
        worst = error.max(-1)
        return EpisodeMetrics(
            episode_return=self.total_return(states, actions, goals),
            time_kept=period * (len(states) - 1),
            dropped=False,
            goal_reached=bool((worst < self._reached).any()),
            values={"goal_error": float(error[1:].mean()), "final_goal_error": float(error[-1].mean())},
        )

    def _errors(self, state: Array, goal: Array) -> Array:
        """Distance of each joint from its target (rad) [..., A]."""
        errors: Array = namespace(state).abs(state[..., : len(self.joints)] - goal)
        return errors
