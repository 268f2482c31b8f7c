# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Handwriting: the tip of a pencil follows a path on paper.

PDDM's own was not released; the reward is that of a recap of the paper, as far as it goes (docs/tasks.md).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mbrl_controller.base.errors import GoalError
from mbrl_controller.tasks import paths
from mbrl_controller.tasks.arrays import as_array, namespace
from mbrl_controller.tasks.base import Goal, Task, check_number, goal_number
from mbrl_controller.tasks.goal_options import GoalOption
from mbrl_controller.tasks.markers import Marker, Markers
from mbrl_controller.tasks.metrics import EpisodeMetrics, Metric
from mbrl_controller.tasks.rigid_object import RigidObject
from mbrl_controller.tasks.spaces import Array, Mask, VectorSpec

PATHS = ("random", "circle", "digit")
NEAR = 3.0  # mm; a path followed to within this on average is written
LIFTED = 0.03  # m above the paper; from there on the pencil counts as lost


class Handwriting(Task):
    """The pencil's tip follows a target in the plane z = 0 of the contract's frame.

    State: joint positions, then position (of its middle), velocity, orientation and angular velocity of the pencil,
    whose z axis runs from the tip to the other end. Goal: x and y of the target (m).
    """

    name = "handwriting"
    goal_unit = "m"
    episode_s = 10.0
    drop_cost = 100.0
    path_weight = 100.0  # per m between tip and target in the plane
    # Per m of the tip above or below the paper. The recap has 20; the oracle planner then lifts the tip by 4 mm.
    height_weight = 100.0
    tilt_cost = 10.0
    goal_options = (
        GoalOption("path", "what is drawn", choices=PATHS),
        GoalOption("digit", "of path=digit", choices=("any", *paths.DIGITS)),
        GoalOption("size", "reach of a random path, diameter, height", "m", 0.001, 0.048),
        GoalOption("seconds", "for the whole path", "s", 1.0, 60.0),
    )
    metric_specs = (
        Metric("goal_error", "mm", "down", (NEAR,), decimals=1, description="tip to target in the plane, mean"),
        Metric("height_error", "mm", "down", decimals=1, description="of the tip above or below the paper, mean"),
    )

    def __init__(
        self,
        joints: tuple[str, ...],
        *,
        object_name: str = "pencil",
        length: float = 0.16,
        center: tuple[float, float] = (0.0, 0.0),
        reach: float = 0.012,
        tilt: float = 0.6,
        lost_tilt: float = 1.1,
    ) -> None:
        """
        Args:
            joints: of the hand.
            object_name: the contract's object.
            length: m, from the tip to the other end.
            center: m, x and y of the tip at the start, where each path begins.
            reach: m, how far from there random paths go; goals may be five times as far.
            tilt: rad between the pencil and the paper's normal from which on it tips over, at a cost.
            lost_tilt: rad from which on the pencil is lost.
        """
        super().__init__(joints)
        numbers = {"length": length, "reach": reach, "tilt": tilt, "lost_tilt": lost_tilt}
        if not isinstance(center, list | tuple) or len(center) != 2:  # YAML gives lists
            raise ValueError(f"center: expected two numbers, with decimal points, got {center!r}")
        for name, value in [*numbers.items(), ("center", center[0]), ("center", center[1])]:
            check_number(name, value, 10.0)
        if not (length > 0 and reach > 0 and 0 < tilt < lost_tilt):
            raise ValueError("length, reach and tilt must be positive, and lost_tilt above tilt")
        self.pencil = RigidObject(object_name, first=len(joints))
        self.state = self.pencil.after(joints)
        self.goal = VectorSpec((f"{object_name}.tip.target.x", f"{object_name}.tip.target.y"), ("m", "m"))
        self.length, self.center, self.reach = float(length), (float(center[0]), float(center[1])), float(reach)
        self.tilt, self.lost_tilt = float(tilt), float(lost_tilt)

    def tip(self, state: Array) -> Array:
        """Position [..., 3] (m) of the tip."""
        tip: Array = self.pencil.position(state) - 0.5 * self.length * self.pencil.third_axis(state)
        return tip

    def markers(self, goal: Array) -> Markers:
        """The target on the paper."""
        return [Marker(np.array([goal[0], goal[1], 0.0]), size=(0.002,))]

    def reward(self, state: Array, action: Array, goal: Array) -> Array:
        tip, xp = self.tip(state), namespace(state)
        x, y = tip[..., 0] - goal[..., 0], tip[..., 1] - goal[..., 1]
        reward = -self.path_weight * xp.sqrt(x * x + y * y) - self.height_weight * xp.abs(tip[..., 2])
        reward = reward - self.tilt_cost * (self._upright(state) < np.cos(self.tilt))
        rewards: Array = as_array(reward)
        return rewards

    def dropped(self, state: Array) -> Mask:
        """The tip is off the paper by centimetres, or the pencil lies down."""
        lifted = namespace(state).abs(self.tip(state)[..., 2]) > LIFTED
        return as_array(lifted | (self._upright(state) < np.cos(self.lost_tilt)))

    def sample_goal(self, rng: np.random.Generator, /, **options: Any) -> Goal:
        """A path from where the tip starts, drawn in an episode's time. Options: `path` (random, circle or digit);
        `size` (m: reach of a random path, diameter of a circle, height of a digit); `digit` (0 to 9; default: any);
        `seconds` (for the whole path)."""
        known = ("digit", "path", "seconds", "size")
        unknown = set(options) - set(known)
        if unknown:
            raise GoalError(f"{self.name}: unknown goal options {sorted(unknown)}; known: {', '.join(known)}")
        kind = options.get("path", "digit" if "digit" in options else "random")
        if kind not in PATHS:
            raise GoalError(f"{self.name}: path must be one of {', '.join(PATHS)}, got {kind!r}")
        if "digit" in options and kind != "digit":
            raise GoalError(f"{self.name}: `digit` belongs to path=digit, got path={kind}")
        seconds = goal_number(self.name, "seconds", options.get("seconds", self.episode_s))
        size = goal_number(self.name, "size", options.get("size", self.reach if kind == "random" else 2 * self.reach))
        if not (0 < seconds < np.inf and 0 < size <= 4 * self.reach):
            raise GoalError(f"{self.name}: seconds must be positive and size within {4 * self.reach} m")
        points = self._points(rng, kind, size, options.get("digit"))
        return paths.at_constant_speed(points + np.array(self.center), seconds)

    def _points(self, rng: np.random.Generator, kind: str, size: float, name: object) -> Array:
        if kind == "random":
            return paths.random_curve(rng, size)
        if kind == "circle":
            return paths.circle(size / 2)
        names = list(paths.DIGITS)
        if name is None or name == "any":
            name = names[int(rng.integers(len(names)))]
        if isinstance(name, bool) or str(name) not in names:
            raise GoalError(f"{self.name}: digit must be 0 to 9 or any, got {name!r}")
        return paths.digit(str(name), size)

    def check_goal(self, goal: Array) -> None:
        value = self.check_goal_shape(goal)
        if (np.abs(value - np.array(self.center)) > 5 * self.reach).any():
            raise GoalError(
                f"{self.name}: target more than {5 * self.reach} m from the start {self.center}: {value.tolist()}"
            )

    def _upright(self, state: Array) -> Array:
        """Cosine [...] of the angle between the pencil and the paper's normal."""
        x_axis, y_axis = self.pencil.axes(state)[..., :3], self.pencil.axes(state)[..., 3:]
        upright: Array = as_array(x_axis[..., 0] * y_axis[..., 1] - x_axis[..., 1] * y_axis[..., 0])
        return upright

    def metrics(self, states: Array, actions: Array, goals: Array, period: float) -> EpisodeMetrics:
        kept = self.time_kept(states, period)
        end = round(kept / period) + 1
        tip = 1e3 * self.tip(states[:end])
        error = float(np.linalg.norm(tip[:, :2] - 1e3 * goals[:end], axis=-1).mean())
        dropped = bool(self.dropped(states).any())
        return EpisodeMetrics(
            episode_return=self.total_return(states, actions, goals),
            time_kept=kept,
            dropped=dropped,
            goal_reached=not dropped and error <= NEAR,
            values={"goal_error": error, "height_error": float(np.abs(tip[:, 2]).mean())},
        )
