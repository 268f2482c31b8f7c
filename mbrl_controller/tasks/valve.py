"""Valve turning: a three-finger claw turns a valve to an angle. Reward as in PDDM's released environment."""

from __future__ import annotations

from typing import Any

import numpy as np

from mbrl_controller.errors import GoalError
from mbrl_controller.tasks.base import EpisodeMetrics, Goal, Task, constant_goal
from mbrl_controller.tasks.spaces import Array, VectorSpec, wrap_angle

REACHED = 0.1  # rad


class Valve(Task):
    """Turn the valve to the goal angle and keep it there.

    State: joint positions, joint velocities, the valve's angle (rad, periodic) and speed. Goal: the angle (rad).
    """

    name = "valve"
    goal_unit = "rad"
    episode_s = 4.0
    drop_cost = 0.0

    def __init__(self, joints: tuple[str, ...], *, valve: str = "valve") -> None:
        super().__init__(joints)
        names = [f"{j}.position" for j in joints] + [f"{j}.velocity" for j in joints]
        n = len(joints)
        self.state = VectorSpec(
            (*names, f"{valve}.position", f"{valve}.velocity"),
            ("rad",) * n + ("rad/s",) * n + ("rad", "rad/s"),
            periodic=(2 * n,),
        )
        self.goal = VectorSpec((f"{valve}.target",), ("rad",))
        self._angle = 2 * n

    def reward(self, state: Array, action: Array, goal: Array) -> Array:
        error = self._error(state, goal)
        return -10.0 * error + 1.0 * (error < 0.25) + 10.0 * (error < REACHED)

    def dropped(self, state: Array) -> Array:
        return np.zeros(state.shape[:-1], dtype=bool)

    def sample_goal(self, rng: np.random.Generator, **options: Any) -> Goal:
        """Options: `angle` (rad), or `direction` to fix the sign of the drawn angle, +-U(pi/2, pi) as in PDDM."""
        unknown = set(options) - {"angle", "direction"}
        if unknown:
            raise GoalError(f"{self.name}: unknown goal options {sorted(unknown)}; known: angle, direction")
        if "angle" in options:
            value = np.array([float(options["angle"])])
            self.check_goal(value)
            return constant_goal(value)
        signs = {"counterclockwise": 1.0, "clockwise": -1.0}
        if "direction" in options and options["direction"] not in signs:
            raise GoalError(f"{self.name}: direction must be one of {sorted(signs)}, got {options['direction']!r}")
        sign = signs[options["direction"]] if "direction" in options else rng.choice([-1.0, 1.0])
        return constant_goal(np.array([sign * rng.uniform(np.pi / 2, np.pi)]))

    def check_goal(self, goal: Array) -> None:
        value = self.check_goal_shape(goal)
        if (np.abs(value) > 2 * np.pi).any():
            raise GoalError(f"{self.name}: the goal angle must lie within +-2 pi rad, got {value.tolist()}")

    def metrics(self, states: Array, actions: Array, goals: Array, period: float) -> EpisodeMetrics:
        error = self._error(states, goals)
        turn = wrap_angle(np.diff(states[:, self._angle])).sum()
        asked = wrap_angle(goals[0, 0] - states[0, self._angle])
        return EpisodeMetrics(
            episode_return=self.total_return(states, actions, goals),
            time_kept=period * (len(states) - 1),
            dropped=False,
            degrees_turned=float(np.degrees(turn) * (np.sign(asked) or 1.0)),
            goal_error=float(error[1:].mean()),
            final_goal_error=float(error[-1]),
            goal_reached=bool((error < REACHED).any()),
            extra={"reached_and_held": float(error[-1] < REACHED)},
        )

    def _error(self, state: Array, goal: Array) -> Array:
        """Angle (rad) still to turn, the short way [...]."""
        return np.abs(wrap_angle(state[..., self._angle] - goal[..., 0]))
