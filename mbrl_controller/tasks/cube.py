# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Cube reorientation: turn a cube in the palm to an orientation. Reward and drop as in PDDM's released environment."""

from __future__ import annotations

from typing import Any

import numpy as np

from mbrl_controller.base.errors import GoalError
from mbrl_controller.tasks import orientation
from mbrl_controller.tasks.arrays import as_array
from mbrl_controller.tasks.base import Goal, Task, check_number, constant_goal, goal_number
from mbrl_controller.tasks.goal_options import GoalOption
from mbrl_controller.tasks.markers import Marker, Markers
from mbrl_controller.tasks.metrics import EpisodeMetrics, Metric
from mbrl_controller.tasks.rigid_object import RigidObject
from mbrl_controller.tasks.spaces import Array, Mask, VectorSpec

TURN = 86.0  # deg; PDDM's goals are 1.5 rad about an axis
REACHED = 15.0  # deg
MARKER_HEIGHT = 0.31  # m, above the cube on the palm
# Rotation axes of the goals. PDDM names variants of 2, 4 and 8 goals; that the first ones are about z and x is known,
# the last four are ours.
GOAL_AXES = (
    (0, 0, 1), (0, 0, -1),
    (1, 0, 0), (-1, 0, 0),
    (0, 1, 0), (0, -1, 0), (1, 0, 1), (-1, 0, -1),
)  # fmt: skip


class Cube(Task):
    """Turn the cube to the goal's orientation without losing it.

    State: joint positions, then position, velocity, orientation (two axes) and angular velocity of the cube. Goal: the
    orientation (two axes), in the same frame.
    """

    name = "cube"
    goal_unit = "deg"
    episode_s = 10.0
    drop_cost = 1000.0
    angle_weight = 7.0  # per rad
    goal_options = (
        GoalOption("goals", "how many to choose from", choices=("2", "4", "8")),
        GoalOption("axis", "to turn about; instead of a choice", choices=("x", "y", "z")),
        GoalOption("degrees", "to turn by; instead of a choice", "deg", -180.0, 180.0),
    )
    metric_specs = (
        Metric("goal_error", "deg", "down", decimals=1, description="angle to the goal, mean until the end or drop"),
        Metric("final_goal_error", "deg", "down", (REACHED,), decimals=1, description="angle to the goal at the end"),
        Metric("time_to_goal", "s", "down", drawn=False, decimals=1, description="until first within 15 deg"),
    )

    def __init__(
        self,
        joints: tuple[str, ...],
        *,
        object_name: str = "cube",
        drop_height: float = 0.06,
        risk_height: float = 0.15,
    ) -> None:
        """
        Args:
            joints: of the hand.
            object_name: the contract's object.
            drop_height: m, of the cube's centre; below it the cube is lost.
            risk_height: m; below it a planner treats the cube as lost.
        """
        super().__init__(joints)
        for name, value in (("drop_height", drop_height), ("risk_height", risk_height)):
            check_number(name, value, 1000.0)
        self.cube = RigidObject(object_name, first=len(joints))
        self.state = self.cube.after(joints)
        self.goal = VectorSpec(
            tuple(f"{object_name}.target.{entry}" for entry in orientation.AXES), ("",) * len(orientation.AXES)
        )
        self.drop_height, self.risk_height = drop_height, risk_height

    def markers(self, goal: Array) -> Markers:
        """A cube of half the size above the palm, turned as the cube should be."""
        return [Marker(np.array([0.0, 0.0, MARKER_HEIGHT]), goal, "box", (0.032,) * 3)]

    def reward(self, state: Array, action: Array, goal: Array) -> Array:
        return -self.angle_weight * self.cube.angle(state, goal)

    def dropped(self, state: Array) -> Mask:
        return as_array(self.cube.height(state) < self.drop_height)

    def at_risk(self, state: Array) -> Mask:
        """A cube below the palm has left it, long before it lies on the floor."""
        return as_array(self.cube.height(state) < self.risk_height)

    def sample_goal(self, rng: np.random.Generator, /, **options: Any) -> Goal:
        """A random goal: 86 degrees about an axis of the frame, from the orientation of the frame. Options: `goals`
        (how many to choose from: 2, 4 or 8, the default); or `axis` (x, y or z) and `degrees`."""
        known = ("axis", "degrees", "goals")
        unknown = set(options) - set(known)
        if unknown:
            raise GoalError(f"{self.name}: unknown goal options {sorted(unknown)}; known: {', '.join(known)}")
        if "goals" in options and len(options) > 1:
            raise GoalError(f"{self.name}: `goals` cannot be combined with other options, got {sorted(options)}")
        if "axis" in options or "degrees" in options:
            axis = options.get("axis", "z")
            if axis not in ("x", "y", "z"):
                raise GoalError(f"{self.name}: axis must be x, y or z, got {axis!r}")
            degrees = goal_number(self.name, "degrees", options.get("degrees", TURN))
            if not abs(degrees) <= 180:
                raise GoalError(f"{self.name}: degrees must lie within +-180, got {degrees}")
            return _turned(np.eye(3)["xyz".index(axis)], degrees)
        count = options.get("goals", len(GOAL_AXES))
        if isinstance(count, bool) or count not in (2, 4, 8):
            raise GoalError(f"{self.name}: goals must be 2, 4 or 8, got {count!r}")
        return _turned(np.array(GOAL_AXES[int(rng.integers(count))]), TURN)

    def check_goal(self, goal: Array) -> None:
        value = self.check_goal_shape(goal)
        if (np.abs(orientation.orthonormal(value) - value) > 1e-3).any():
            raise GoalError(
                f"{self.name}: the goal's two axes must be unit vectors across each other: {value.tolist()}"
            )

    def metrics(self, states: Array, actions: Array, goals: Array, period: float) -> EpisodeMetrics:
        kept = self.time_kept(states, period)
        error = np.degrees(self.cube.angle(states, goals))[: round(kept / period) + 1]
        dropped = bool(self.dropped(states).any())
        reached = np.flatnonzero(error <= REACHED)
        values = {"goal_error": float(error.mean()), "final_goal_error": float(error[-1])}
        if len(reached):
            values["time_to_goal"] = float(period * reached[0])
        return EpisodeMetrics(
            episode_return=self.total_return(states, actions, goals),
            time_kept=kept,
            dropped=dropped,
            goal_reached=bool(len(reached)) and not dropped,
            values=values,
        )


def _turned(axis: Array, degrees: float) -> Goal:
    return constant_goal(orientation.about(axis, np.radians(degrees)))
