# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Valve turning: a three-finger claw turns a valve to an angle. Reward as in PDDM's released environment."""

from __future__ import annotations

from typing import Any

import numpy as np

from mbrl_controller.base.errors import GoalError
from mbrl_controller.tasks.arrays import namespace, nowhere
from mbrl_controller.tasks.base import Goal, Symmetry, Task, constant_goal, goal_number
from mbrl_controller.tasks.goal_options import GoalOption
from mbrl_controller.tasks.metrics import EpisodeMetrics, Metric
from mbrl_controller.tasks.spaces import Array, Mask, VectorSpec, wrap_angle

REACHED = 0.1  # rad
AIM = 0.5  # rad, how far a claw turns the valve within some control periods


class Valve(Task):
    """Turn the valve to the goal angle and keep it there.

    State: joint positions, joint velocities, the valve's angle (rad, periodic) and speed. Goal: the angle (rad).
    """

    name = "valve"
    goal_unit = "rad"
    episode_s = 4.0
    drop_cost = 0.0
    goal_options = (
        GoalOption("direction", "of the turn", choices=("counterclockwise", "clockwise")),
        GoalOption("angle", "to turn to; instead of a direction", "rad", -6.28, 6.28),
    )
    metric_specs = (
        Metric("goal_error", "rad", "down", drawn=False, decimals=3, description="mean over the episode"),
        Metric("final_goal_error", "rad", "down", (REACHED,), decimals=3, description="at its end"),
        Metric("degrees_turned", "deg", "up", (90.0, 180.0), drawn=False, decimals=0, description="towards the goal"),
    )

    def __init__(
        self, joints: tuple[str, ...], *, valve: str = "valve", fold: int = 1, mirrored: tuple[str, ...] = ()
    ) -> None:
        """
        Args:
            joints: finger by finger, in the direction of positive rotation.
            valve: name of the valve's joint.
            fold: claw and valve are symmetric under 1/fold of a turn, which maps each finger to the next.
            mirrored: joints that change sign under a reflection through the first finger and the axis, if claw and
                valve are symmetric under it; empty: they are not.
        """
        super().__init__(joints)
        if fold < 1 or len(joints) % fold:
            raise ValueError(f"fold {fold} does not divide the {len(joints)} joints")
        if set(mirrored) - set(joints):
            raise ValueError(f"mirrored names unknown joints {sorted(set(mirrored) - set(joints))}")
        names = [f"{j}.position" for j in joints] + [f"{j}.velocity" for j in joints]
        n = len(joints)
        self.state = VectorSpec(
            (*names, f"{valve}.position", f"{valve}.velocity"),
            ("rad",) * n + ("rad/s",) * n + ("rad", "rad/s"),
            periodic=(2 * n,),
        )
        self.goal = VectorSpec((f"{valve}.target",), ("rad",), periodic=(0,))
        self._angle = 2 * n
        moves = [(turns, False) for turns in range(1, fold)]
        moves += [(turns, True) for turns in range(fold)] if mirrored else []
        self.symmetries = tuple(self._symmetry(turns, fold, mirrored if flip else ()) for turns, flip in moves)

    def _symmetry(self, turns: int, fold: int, mirrored: tuple[str, ...]) -> Symmetry:
        """A rotation by `turns`/`fold` of a turn, after the reflection if `mirrored` is not empty."""
        n = len(self.joints)
        fingers = np.arange(n).reshape(fold, -1)
        if mirrored:
            fingers = fingers[(-np.arange(fold)) % fold]
        moved = np.roll(fingers, turns, axis=0).ravel()
        sign = np.array([-1.0 if joint in mirrored else 1.0 for joint in self.joints])
        valve_sign = -1.0 if mirrored else 1.0
        offset = np.zeros(len(self.state))
        offset[self._angle] = 2 * np.pi * turns / fold
        return Symmetry(
            name=f"{'mirrored and ' if mirrored else ''}turned {turns}/{fold}",
            state=(*moved.tolist(), *(n + moved).tolist(), 2 * n, 2 * n + 1),
            action=tuple(moved.tolist()),
            state_sign=(*sign.tolist(), *sign.tolist(), valve_sign, valve_sign),
            action_sign=tuple(sign.tolist()),
            state_offset=tuple(offset.tolist()),
            goal=(0,),
            goal_sign=(valve_sign,),
            goal_offset=(float(offset[self._angle]),),
        )

    def reward(self, state: Array, action: Array, goal: Array) -> Array:
        error = self._error(state, goal)
        reward: Array = -10.0 * error + 1.0 * (error < 0.25) + 10.0 * (error < REACHED)
        return reward

    def dropped(self, state: Array) -> Mask:
        return nowhere(state)

    def aimed(self, state: Array, goal: Array) -> Array:
        """The valve turned towards the goal, by AIM at most."""
        aimed = np.array(state, dtype=float)
        aimed[self._angle] += np.clip(wrap_angle(goal[0] - state[self._angle]), -AIM, AIM)
        return aimed

    def sample_goal(self, rng: np.random.Generator, /, **options: Any) -> Goal:
        """A random goal, +-U(pi/2, pi) as in PDDM. Options: `angle` (rad), or `direction` to fix the sign."""
        unknown = set(options) - {"angle", "direction"}
        if unknown:
            raise GoalError(f"{self.name}: unknown goal options {sorted(unknown)}; known: angle, direction")
        if "angle" in options:
            value = np.array([goal_number(self.name, "angle", options["angle"])])
            self.check_goal(value)
            return constant_goal(value)
        signs = {"counterclockwise": 1.0, "clockwise": -1.0}
        if "direction" in options and options["direction"] not in list(signs):
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
            goal_reached=bool((error < REACHED).any()),
            values={
                "goal_error": float(error[1:].mean()),
                "final_goal_error": float(error[-1]),
                "degrees_turned": float(np.degrees(turn) * (np.sign(asked) or 1.0)),
            },
        )

    def _error(self, state: Array, goal: Array) -> Array:
        """Remaining angle (rad) [...], the short way round."""
        error: Array = namespace(state).abs(wrap_angle(state[..., self._angle] - goal[..., 0]))
        return error
