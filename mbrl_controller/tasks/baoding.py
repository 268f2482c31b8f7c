# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Baoding balls: turn two balls around each other in the palm.

Reward, drop height and targets follow PDDM's released environment (google-research/pddm); docs/tasks.md lists
what is the same and what differs. All positions are in the contract's object frame: x across the palm, y along the
fingers, z up, in metres.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mbrl_controller.base.errors import GoalError
from mbrl_controller.tasks.arrays import as_array, namespace
from mbrl_controller.tasks.ball_goals import (
    NEAR,
    PLACES,
    BallPlacementGoal,
    PhaseTrackingGoal,
    RotatingTargets,
)
from mbrl_controller.tasks.base import Goal, Symmetry, Task, check_number, goal_number
from mbrl_controller.tasks.goal_options import GoalOption
from mbrl_controller.tasks.metrics import EpisodeMetrics, Metric
from mbrl_controller.tasks.spaces import Array, Mask, VectorSpec, wrap_angle

BALLS = ("ball_a", "ball_b")
SHORTEST = 0.5  # s, period of the targets
MOST = 1000.0  # m, s or rad; a larger option is a mistake


class Baoding(Task):
    """Two balls follow two targets that turn in the palm.

    State: the hand's joint positions, then position and velocity of each ball. Goal: x and y of both targets.
    """

    name = "baoding"
    goal_unit = "m"
    episode_s = 10.0
    drop_cost = 500.0
    metric_specs = (
        Metric("degrees_turned", "deg", "up", (90.0, 180.0), decimals=0, description="in the targets' direction"),
        Metric("goal_error", "m", "down", drawn=False, decimals=4, description="mean over the episode and both balls"),
        Metric(
            "final_goal_error", "m", "down", drawn=False, decimals=4, description="when a ball drops, or at the end"
        ),
    )
    goal_options = (
        GoalOption("direction", "of the targets, seen from above", choices=("counterclockwise", "clockwise")),
        GoalOption("period", "of one turn of the targets", "s", SHORTEST, 20.0),
        GoalOption("lead", "the targets wait when so far ahead of the balls", "rad", 0.0, 3.14),
        GoalOption("phase", "of the targets at the start", "rad", -6.28, 6.28),
        GoalOption("place", "bring ball_a to one place instead", choices=("any", "0", "1", "2", "3")),
    )
    position_weight = 5.0  # per metre, each ball
    wrist_cost = 10.0
    wrist_limit = 0.15  # rad
    marker_height = 0.26  # m, above the balls

    def __init__(
        self,
        joints: tuple[str, ...],
        *,
        wrist_joint: str | None = None,
        center: tuple[float, float] = (0.0, 0.0),
        radii: tuple[float, float] = (0.03, 0.036),
        phase: float = 0.75 * np.pi,
        period: float = 6.0,
        drop_height: float = 0.06,
        risk_height: float = 0.15,
        reach: float = 0.1,
    ) -> None:
        super().__init__(joints)
        axes = ("x", "y", "z")
        names = [f"{joint}.position" for joint in joints]
        for ball in BALLS:
            names += [f"{ball}.position.{axis}" for axis in axes] + [f"{ball}.velocity.{axis}" for axis in axes]
        n = len(joints)
        self.state = VectorSpec(tuple(names), ("rad",) * n + (("m",) * 3 + ("m/s",) * 3) * 2)
        self.goal = VectorSpec(tuple(f"{ball}.target.{axis}" for ball in BALLS for axis in "xy"), ("m",) * 4)
        self._xy = [slice(n + 6 * ball, n + 6 * ball + 2) for ball in (0, 1)]
        self._z = (n + 2, n + 8)
        if wrist_joint is not None and wrist_joint not in joints:
            raise ValueError(f"wrist_joint {wrist_joint!r} is not one of the hand's joints")
        self._wrist = None if wrist_joint is None else joints.index(wrist_joint)
        for name, pair in {"center": center, "radii": radii}.items():
            if not isinstance(pair, list | tuple) or len(pair) != 2:  # YAML gives lists
                raise ValueError(f"{name}: expected two numbers, with decimal points, got {pair!r}")
        (x, y), (along_x, along_y) = center, radii
        numbers = [("center", x), ("center", y), ("radii", along_x), ("radii", along_y), ("phase", phase)]
        numbers += [("period", period), ("reach", reach), ("drop_height", drop_height), ("risk_height", risk_height)]
        for name, number in numbers:
            check_number(name, number, MOST)
        if not (along_x > 0 and along_y > 0 and reach > 0 and period > SHORTEST):
            raise ValueError(f"radii and reach must be positive, and period above {SHORTEST} s")
        self.center, self.radii = (x, y), (along_x, along_y)
        self.phase, self.period = phase, period
        self.drop_height, self.risk_height, self.reach = drop_height, risk_height, reach
        hand, a, b = list(range(n)), list(range(n, n + 6)), list(range(n + 6, n + 12))
        # The balls are interchangeable.
        self.symmetries = (Symmetry("swap balls", tuple(hand + b + a), tuple(range(n)), goal=(2, 3, 0, 1)),)

    def reward(self, state: Array, action: Array, goal: Array) -> Array:
        distance = self._distance(state, goal, 0) + self._distance(state, goal, 1)
        reward = -self.position_weight * distance
        if self._wrist is not None:
            reward = reward - self.wrist_cost * (state[..., self._wrist] > self.wrist_limit)
        return reward

    def dropped(self, state: Array) -> Mask:
        a, b = self._z
        return as_array((state[..., a] < self.drop_height) | (state[..., b] < self.drop_height))

    def at_risk(self, state: Array) -> Mask:
        """A ball below the palm has left it, long before the height at which PDDM counts a drop."""
        a, b = self._z
        return as_array((state[..., a] < self.risk_height) | (state[..., b] < self.risk_height))

    def sample_goal(self, rng: np.random.Generator, /, **options: Any) -> Goal:
        """A random goal. Options: `direction`; `period` (s); `phase` (rad; default: within +-0.3 of the task's own;
        `observed`: the balls' phase in the first state); `lead` (rad; the targets wait when this far ahead of the
        balls). Or `place` alone: ball_a goes to one of four places (0 to 3, or `any`), ball_b anywhere."""
        if "place" in options:
            return self._placed(rng, options)
        known = ("direction", "lead", "period", "phase")
        unknown = set(options) - set(known)
        if unknown:
            raise GoalError(f"{self.name}: unknown goal options {sorted(unknown)}; known: {', '.join(known)}, place")
        direction = options.get("direction", "counterclockwise")
        if direction not in ("counterclockwise", "clockwise"):
            raise GoalError(f"{self.name}: direction must be counterclockwise or clockwise, got {direction!r}")
        period = goal_number(self.name, "period", options.get("period", self.period))
        if not period > SHORTEST:
            raise GoalError(f"{self.name}: period must be above {SHORTEST} s, got {period}")
        lead = None if options.get("lead") is None else goal_number(self.name, "lead", options["lead"])
        if lead is not None and not 0 < lead < np.pi:
            raise GoalError(f"{self.name}: lead must lie between 0 and pi rad, got {lead}")
        begin = options.get("phase") == "observed"
        fixed = "phase" in options and not begin
        phase = goal_number(self.name, "phase", options["phase"]) if fixed else self.phase + rng.uniform(-0.3, 0.3)
        if not abs(phase) <= MOST:
            raise GoalError(f"{self.name}: phase must lie within +-{MOST:.0f} rad, got {phase}")
        targets = RotatingTargets(self.center, self.radii, phase, period, direction)
        if begin or lead is not None:
            return PhaseTrackingGoal(targets, self.ball_angle, begin=begin, lead=lead)
        return targets

    def waiting(self, goal: Goal, lead: float) -> Goal:
        return PhaseTrackingGoal(goal, self.ball_angle, lead=lead) if isinstance(goal, RotatingTargets) else goal

    def _placed(self, rng: np.random.Generator, options: dict[str, Any]) -> Goal:
        place = options["place"]
        if len(options) > 1:
            raise GoalError(f"{self.name}: `place` cannot be combined with other options, got {sorted(options)}")
        if place == "any":
            place = int(rng.integers(len(PLACES)))
        if isinstance(place, bool) or place not in range(len(PLACES)):
            raise GoalError(f"{self.name}: place must be 0 to {len(PLACES) - 1} or any, got {place!r}")
        return BallPlacementGoal(PLACES[place], self._xy[1])

    def ball_angle(self, state: Array) -> float:
        """The balls' angle (rad) on the targets' ellipse in a state [S]: of ball_a as seen from ball_b."""
        x, y = (state[self._xy[0]] - state[self._xy[1]]) / np.array(self.radii)
        return float(np.arctan2(y, x))

    def turn_objects(self, positions: Array, angle: float) -> Array:
        """Positions turned on ellipses with the targets' shape and centre, so that they stay in the palm."""
        turned = np.array(positions)
        x, y = ((turned[:, :2] - self.center) / self.radii).T
        cos, sin = np.cos(angle), np.sin(angle)
        turned[:, :2] = np.column_stack([cos * x - sin * y, sin * x + cos * y]) * self.radii + self.center
        return turned

    def check_goal(self, goal: Array) -> None:
        value = self.check_goal_shape(goal)
        offset = np.abs(value.reshape(*value.shape[:-1], 2, 2) - np.array(self.center))
        if (offset > self.reach).any():
            raise GoalError(
                f"{self.name}: target more than {self.reach} m from the palm's centre {self.center}: {value.tolist()}"
            )

    def metrics(self, states: Array, actions: Array, goals: Array, period: float) -> EpisodeMetrics:
        kept = self.time_kept(states, period)
        end = round(kept / period) + 1
        moved = (goals != goals[0]).any(axis=0)
        placed = bool(moved[2:].any() and not moved[:2].any())  # ball_a has a place to go to, ball_b has none
        error = self._distance(states, goals, 0)
        error = (error if placed else (error + self._distance(states, goals, 1)) / 2)[:end]
        dropped = bool(self.dropped(states).any())
        on_palm = end
        while dropped and on_palm > 1 and self.at_risk(states[on_palm - 1]):
            on_palm -= 1  # a ball that leaves the palm sideways does not count as turned
        turned = self._signed_turn(states[:on_palm], goals[:on_palm])
        return EpisodeMetrics(
            episode_return=self.total_return(states, actions, goals),
            time_kept=kept,
            dropped=dropped,
            goal_reached=not dropped and bool(error[-1] <= NEAR if placed else turned >= 180.0),
            values={
                "degrees_turned": turned,
                "goal_error": float(error[1:].mean()) if len(error) > 1 else float("nan"),
                "final_goal_error": float(error[-1]),
            },
        )

    def markers(self, goal: Array) -> Array:
        return np.column_stack([np.reshape(goal, (2, 2)), np.full(2, self.marker_height)])

    def _distance(self, state: Array, goal: Array, ball: int) -> Array:
        # Column by column: a planner evaluates thousands of states, and NumPy is slow along an axis of two.
        column = self._xy[ball].start
        x = state[..., column] - goal[..., 2 * ball]
        y = state[..., column + 1] - goal[..., 2 * ball + 1]
        distance: Array = namespace(state).sqrt(x * x + y * y)
        return distance

    def _signed_turn(self, states: Array, goals: Array) -> float:
        """Degrees by which the line between the balls turned, positive in the targets' direction."""
        if len(states) < 2:
            return 0.0
        line = states[:, self._xy[1]] - states[:, self._xy[0]]
        turn = wrap_angle(np.diff(np.arctan2(line[:, 1], line[:, 0]))).sum()
        # Only the sign is used, and it is the same as that of the ellipse's parameter.
        aim = goals[:, 2:] - goals[:, :2]
        asked = wrap_angle(np.diff(np.arctan2(aim[:, 1], aim[:, 0]))).sum()
        return float(np.degrees(turn) * (np.sign(asked) or 1.0))
