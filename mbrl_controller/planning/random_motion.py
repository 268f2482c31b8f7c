# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The random motion with which PDDM collects its first data, and the planner that moves a hand by it.

a_t = a_{t-1} + v in normalised actions [-1, 1]; |v| is uniform in .05 to .15 with a random sign, redrawn every 2 steps,
and points inwards at the limits.
"""

from __future__ import annotations

import numpy as np
from pydantic import Field

from mbrl_controller.base.units import Number
from mbrl_controller.planning.base import Objective, Planner, PlannerState, PlanResult, shift
from mbrl_controller.planning.sampling import SamplingConfig
from mbrl_controller.tasks.spaces import Array

# Of google-research/pddm's configuration files; per step, per step, steps.
SLOWEST, FASTEST, HOLD = 0.05, 0.15, 2
# A joint outside the exploration range returns at the fastest speed of a motion in this range, or in its own if larger.
RETURN_RANGE = 0.1
ROUNDING = 1e-6  # of an action that went through joint angles


def draw_velocity(rng: np.random.Generator, size: int) -> Array:
    """A velocity [size] per step."""
    speed = rng.uniform(SLOWEST, FASTEST, size)
    velocity: Array = speed * rng.choice([-1.0, 1.0], size)
    return velocity


def step(action: Array, velocity: Array, limit: float = 1.0) -> tuple[Array, Array]:
    """The next action [A] in [-limit, limit], and the velocity [A], turned inwards where the limit is reached."""
    inward = np.where(np.abs(action) >= limit, -np.sign(action), np.sign(velocity))
    velocity = np.abs(velocity) * inward
    return np.clip(action + velocity, -limit, limit), velocity


class RandomMotion:
    """Random motion from a random pose on. A `scale` below 1 shrinks it towards the neutral pose, so that objects stay
    longer."""

    def __init__(self, size: int, seed: int, scale: float = 1.0) -> None:
        if not 0 < scale <= 1:
            raise ValueError(f"scale must lie in (0, 1], got {scale}")
        self.size, self.scale = size, scale
        self.reset(seed)

    def reset(self, seed: int) -> None:
        """Restart; the same seed gives the same motion."""
        self._rng = np.random.default_rng(seed)
        self._action: Array = self._rng.uniform(-1, 1, self.size)
        self._velocity: Array = np.zeros(self.size)
        self._step = 0

    def __call__(self) -> Array:
        """The next action [A] in [-scale, scale]."""
        if self._step > 0:
            if (self._step - 1) % HOLD == 0:
                self._velocity = draw_velocity(self._rng, self.size)
            self._action, self._velocity = step(self._action, self._velocity)
        self._step += 1
        return self._action * self.scale


class RandomConfig(SamplingConfig):
    """Only the range and the horizon matter; the others are taken so that a file of parameters fits every planner."""

    exploration_range: Number = Field(
        default=0.3, ge=0, le=1, description="share of the range around the neutral pose within which the hand moves"
    )


class RandomPlanner(Planner):
    """Moves the hand at random, without a model: for the first data of a hand.

    It goes on from the command that was executed last, so at first from the hand's own position. With a smaller
    `exploration_range` it moves less far, and slower in proportion. A joint outside of the range returns to it first,
    straight and about as slowly.
    """

    name = "random"
    config_type = RandomConfig
    needs_model = False

    def plan(
        self, objective: Objective, state: PlannerState, deadline: float | None = None
    ) -> tuple[PlanResult, PlannerState]:
        """The motion's next actions; neither `objective` nor `deadline` is asked."""
        self._check_shape(state)
        actions = self._motion(state)
        plan = PlanResult(actions, predicted_return=np.nan, iterations=0, evaluated=0, valid=True)
        return plan, PlannerState(shift(actions), actions[0].copy(), state.seed, state.tick + 1)

    def _motion(self, state: PlannerState) -> Array:
        """Actions [H, A]: the same at the next control step, one step on, where they are executed as planned."""
        action = state.last_action
        velocity = self._velocity(state.seed, state.tick)
        if state.tick % HOLD:  # held: the limits may have turned it
            planned = np.sign(state.mean[0] - state.last_action)
            velocity = np.where(planned != 0, planned * np.abs(velocity), velocity)
        actions: list[Array] = []
        for tick in range(state.tick, state.tick + self.config.horizon):
            if actions and tick % HOLD == 0:
                velocity = self._velocity(state.seed, tick)
            action, velocity = self._step(action, velocity)
            actions.append(action)
        return np.array(actions)

    def _step(self, action: Array, velocity: Array) -> tuple[Array, Array]:
        limit = self.config.exploration_range
        inside, velocity = step(np.clip(action, -limit, limit), velocity, limit)
        returning = np.abs(action) - FASTEST * max(limit, RETURN_RANGE)
        back = np.sign(action) * np.maximum(returning, limit)
        return np.where(np.abs(action) > limit + ROUNDING, back, inside), velocity

    def _velocity(self, seed: int, tick: int) -> Array:
        """The velocity [A] drawn for a control step."""
        key = np.array([seed % 2**64, tick // HOLD], np.uint64)
        rng = np.random.Generator(np.random.Philox(key=key))
        return float(self.config.exploration_range) * draw_velocity(rng, self.action_size)
