# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Turn a cube on the open palm, about the vertical at a commanded rate or to an orientation."""

from __future__ import annotations

from typing import Any

import numpy as np
from mbrl_controller.base.errors import GoalError
from mbrl_controller.tasks import orientation
from mbrl_controller.tasks.arrays import as_array, namespace
from mbrl_controller.tasks.base import Goal, Symmetry, Task, constant_goal, goal_number
from mbrl_controller.tasks.markers import Marker, Markers
from mbrl_controller.tasks.metrics import EpisodeMetrics, Metric
from mbrl_controller.tasks.rigid_object import RigidObject
from mbrl_controller.tasks.spaces import Array, Mask, VectorSpec

from leap_cube.goals import UP, TurningGoal, WaitingGoal

FASTEST = 3.0  # rad/s
REACHED = 15.0  # deg
DIRECTIONS = {"counterclockwise": 1.0, "clockwise": -1.0}


class LeapCube(Task):
    """Turn the cube on the palm about the vertical, or to an orientation.

    State: joint positions, then position, velocity, orientation and angular velocity of the cube. Goal: its
    orientation. All in the palm's frame: origin in the middle of the palm's surface, x towards the fingers, z out of
    the palm, which is the vertical.
    """

    name = "leap_cube"
    goal_unit = "deg"
    episode_s = 10.0
    drop_cost = 50.0
    angle_weight = 5.0  # per rad
    offset_weight = 20.0  # per m
    marker_height = 0.13  # m
    metric_specs = (
        Metric("degrees_turned", "deg", "up", (90.0, 180.0), decimals=0, description="about the vertical, as asked"),
        Metric("goal_error", "deg", "down", decimals=1, description="angle to the goal, mean until the end or drop"),
        Metric("final_goal_error", "deg", "down", (REACHED,), decimals=1, description="angle to the goal at the end"),
    )

    def __init__(
        self,
        joints: tuple[str, ...],
        *,
        rate: float = 0.5,
        drop_height: float = -0.02,
        risk_height: float = 0.015,
        risk_offset: float = 0.05,
    ) -> None:
        """
        Args:
            joints: of the hand.
            rate: of the goal's turn, rad/s.
            drop_height: of the cube's centre over the palm (m); below it the cube is lost.
            risk_height, risk_offset: height over the palm and distance from its middle (m) beyond which a planner
                treats the cube as lost.
        """
        super().__init__(joints)
        if not 0 < rate <= FASTEST:
            raise ValueError(f"rate must lie in (0, {FASTEST}] rad/s, got {rate}")
        self.cube = RigidObject("cube", first=len(joints))
        names = tuple(f"{joint}.position" for joint in joints)
        self.state = VectorSpec((*names, *self.cube.names), ("rad",) * len(joints) + self.cube.units)
        self.goal = VectorSpec(tuple(f"cube.target.{part}" for part in orientation.AXES), ("",) * len(orientation.AXES))
        self.rate, self.drop_height = rate, drop_height
        self.risk_height, self.risk_offset = risk_height, risk_offset
        self.symmetries = tuple(self._relabelled(quarter) for quarter in (1, 2, 3))

    def _relabelled(self, quarters: int) -> Symmetry:
        """The cube looks and weighs the same after quarter turns about its own z axis: its x and y axis change names.

        After one quarter the new x axis is the old y axis, and the new y axis the old x axis, backwards.
        """
        entries, sign = np.arange(len(self.state)), np.ones(len(self.state))
        start = self.cube.part("orientation").start
        for _ in range(quarters):
            x, y = slice(start, start + 3), slice(start + 3, start + 6)
            entries[x], entries[y] = entries[y].copy(), entries[x].copy()
            sign[x], sign[y] = sign[y].copy(), -sign[x]
        joints = tuple(range(len(self.joints)))
        return Symmetry(f"cube turned {quarters}/4", tuple(entries.tolist()), joints, tuple(sign.tolist()))

    def reward(self, state: Array, action: Array, goal: Array) -> Array:
        return -self.angle_weight * self.cube.angle(state, goal) - self.offset_weight * self._offset(state)

    def dropped(self, state: Array) -> Mask:
        return as_array(self.cube.height(state) < self.drop_height)

    def at_risk(self, state: Array) -> Mask:
        """A cube that leaves the palm over its edge, long before it is below it."""
        return as_array((self.cube.height(state) < self.risk_height) | (self._offset(state) > self.risk_offset))

    def sample_goal(self, rng: np.random.Generator, /, **options: Any) -> Goal:
        """A goal that turns about the vertical. Options: `direction` (counterclockwise, the default, or clockwise),
        `rate` (rad/s), `lead` (rad; the goal waits when this far ahead of the cube). Or `axis` (x, y or z) and
        `degrees` (random if not given): an orientation to turn to, about an axis of the palm's frame."""
        turning, still = {"direction", "rate", "lead"}, {"axis", "degrees"}
        if unknown := set(options) - turning - still:
            known = ", ".join(sorted(turning | still))
            raise GoalError(f"{self.name}: unknown goal options {sorted(unknown)}; known: {known}")
        if set(options) & still:
            if both := set(options) & turning:
                raise GoalError(f"{self.name}: {', '.join(sorted(both))} cannot be combined with axis or degrees")
            return self._standing(rng, options)
        direction = options.get("direction", "counterclockwise")
        if direction not in list(DIRECTIONS):
            raise GoalError(f"{self.name}: direction must be one of {', '.join(DIRECTIONS)}, got {direction!r}")
        rate = goal_number(self.name, "rate", options.get("rate", self.rate))
        if not 0 < rate <= FASTEST:
            raise GoalError(f"{self.name}: rate must lie in (0, {FASTEST}] rad/s, got {rate}")
        goal = TurningGoal(DIRECTIONS[direction] * rate)
        if options.get("lead") is None:
            return goal
        lead = goal_number(self.name, "lead", options["lead"])
        if not 0 < lead < np.pi:
            raise GoalError(f"{self.name}: lead must lie between 0 and pi rad, got {lead}")
        return self.waiting(goal, lead)

    def _standing(self, rng: np.random.Generator, options: dict[str, Any]) -> Goal:
        axis = options.get("axis", "z")
        if axis not in ("x", "y", "z"):
            raise GoalError(f"{self.name}: axis must be x, y or z, got {axis!r}")
        drawn = rng.uniform(30.0, 90.0) * rng.choice([-1.0, 1.0])
        degrees = goal_number(self.name, "degrees", options.get("degrees", drawn))
        if not abs(degrees) <= 180:
            raise GoalError(f"{self.name}: degrees must lie within +-180, got {degrees}")
        return constant_goal(orientation.about(np.eye(3)["xyz".index(axis)], np.radians(degrees)))

    def waiting(self, goal: Goal, lead: float) -> Goal:
        return WaitingGoal(goal, self.cube.part("orientation"), lead) if isinstance(goal, TurningGoal) else goal

    def check_goal(self, goal: Array) -> None:
        value = self.check_goal_shape(goal)
        if (np.abs(orientation.orthonormal(value) - value) > 1e-3).any():
            raise GoalError(f"{self.name}: a goal is two unit vectors across each other, got {value.tolist()}")

    def metrics(self, states: Array, actions: Array, goals: Array, period: float) -> EpisodeMetrics:
        kept = self.time_kept(states, period)
        end = round(kept / period) + 1
        dropped = bool(self.dropped(states).any())
        error = np.degrees(self.cube.angle(states, goals))[:end]
        values = {"goal_error": float(error.mean()), "final_goal_error": float(error[-1])}
        on_palm = end
        while dropped and on_palm > 1 and self.at_risk(states[on_palm - 1]):
            on_palm -= 1  # a cube that leaves the palm does not count as turned
        axes = self.cube.axes(states[:on_palm])
        turning = bool((goals != goals[0]).any())
        if turning:
            asked = np.sign((orientation.rotation_vector(goals[:-1], goals[1:]) @ UP).sum())
            turned = (orientation.rotation_vector(axes[:-1], axes[1:]) @ UP).sum()
            values["degrees_turned"] = float(np.degrees(asked * turned))
        reached = values["degrees_turned"] >= 90.0 if turning else (error <= REACHED).any()
        return EpisodeMetrics(
            episode_return=self.total_return(states, actions, goals),
            time_kept=kept,
            dropped=dropped,
            goal_reached=bool(reached) and not dropped,
            values=values,
        )

    def markers(self, goal: Array) -> Markers:
        """A cube of half the size over the real one, turned as it should be."""
        return [Marker(np.array([0.0, 0.0, self.marker_height]), goal, "box", (0.035, 0.035, 0.035))]

    def _offset(self, state: Array) -> Array:
        """Distance [...] (m) of the cube from the middle of the palm, along it."""
        x, y = (state[..., self.cube.part("position").start + i] for i in (0, 1))
        offset: Array = namespace(state).sqrt(x * x + y * y)
        return offset
