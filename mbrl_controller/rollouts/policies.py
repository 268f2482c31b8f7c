# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Policies: the controller, and the baselines that learning is measured against."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.control.core import ControllerCore
from mbrl_controller.control.exploration import ExplorationNoise
from mbrl_controller.control.safety import SafetyState
from mbrl_controller.control.steps import Observation, Tick
from mbrl_controller.tasks.base import Goal
from mbrl_controller.tasks.spaces import Array

# Of google-research/pddm's configuration files; per step, per step, steps.
SLOWEST, FASTEST, HOLD = 0.05, 0.15, 2


class Policy(Protocol):
    """From an observation to joint targets [A] (rad)."""

    def reset(self, seed: int, observation: Observation) -> None:
        """A new episode begins."""
        ...

    def act(self, observation: Observation, goal: Goal, episode_time: float) -> tuple[Array, Tick | None]:
        """The command for this step, and the controller's tick where it acted."""
        ...


class ControllerPolicy:
    """The controller as the node runs it, optionally with exploration noise on its commands.

    The controller remembers the command with its noise.
    """

    def __init__(self, core: ControllerCore, exploration: float = 0.0, beta: float = 0.6) -> None:
        self.core = core
        self.exploration = exploration
        self.beta = beta
        self._noise = ExplorationNoise(len(core.contract.action))

    def reset(self, seed: int, observation: Observation) -> None:
        position = observation.state[self.core.task.joint_positions]
        self.core.safety.change(SafetyState.INACTIVE, "reset")
        self.core.safety.change(SafetyState.READY, "reset")
        self.core.safety.change(SafetyState.RUNNING, "episode begins")
        self.core.safety.forget_command()
        self.core.reset(seed, position)
        self._noise.reset(seed)

    def act(self, observation: Observation, goal: Goal, episode_time: float) -> tuple[Array, Tick | None]:
        noise = self._noise.sample(self.exploration, self.beta)
        tick = self.core.tick(observation, goal, episode_time, noise=noise, now=episode_time)
        command = self.core.safety.last_command  # stays in force where nothing is sent
        if command is None:
            raise RuntimeError(f"the controller sent nothing: {tick.reason}")
        return command, tick


class HoldPolicy:
    """Keeps the neutral pose: the baseline of doing nothing."""

    def __init__(self, contract: RobotContract) -> None:
        self.contract = contract

    def reset(self, seed: int, observation: Observation) -> None:
        """It has no state."""

    def act(self, observation: Observation, goal: Goal, episode_time: float) -> tuple[Array, Tick | None]:
        return self.contract.action.neutral, None


class RandomMotion:
    """The random motion with which PDDM collects its first data.

    a_t = a_{t-1} + v in normalised actions [-1, 1]; |v| is uniform in .05 to .15 with a random sign, redrawn every
    2 steps, and points inwards at the limits. The first action is uniform. A `scale` below 1 shrinks the motion towards
    the neutral pose, so that objects stay longer.
    """

    def __init__(self, size: int, seed: int, scale: float = 1.0) -> None:
        if not 0 < scale <= 1:
            raise ValueError(f"scale must lie in (0, 1], got {scale}")
        self.size, self.scale = size, scale
        self.reset(seed)

    def reset(self, seed: int) -> None:
        """Restart; the same seed gives the same motion."""
        self._rng = np.random.default_rng(seed)
        self._action = self._rng.uniform(-1, 1, self.size)
        self._velocity = np.zeros(self.size)
        self._step = 0

    def __call__(self) -> Array:
        """The next action [A] in [-scale, scale]."""
        if self._step > 0:
            if (self._step - 1) % HOLD == 0:
                speed = self._rng.uniform(SLOWEST, FASTEST, self.size)
                self._velocity = speed * self._rng.choice([-1.0, 1.0], self.size)
            inward = np.where(np.abs(self._action) >= 1, -np.sign(self._action), np.sign(self._velocity))
            self._velocity = np.abs(self._velocity) * inward
            self._action = np.clip(self._action + self._velocity, -1.0, 1.0)
        self._step += 1
        return self._action * self.scale


class RandomPolicy:
    """Random motion; see RandomMotion for `scale`."""

    def __init__(self, contract: RobotContract, scale: float = 1.0) -> None:
        self.contract = contract
        self.scale = scale
        self._joints = contract.task.joint_positions

    def reset(self, seed: int, observation: Observation) -> None:
        self._policy = RandomMotion(len(self.contract.action), seed=seed, scale=self.scale)

    def act(self, observation: Observation, goal: Goal, episode_time: float) -> tuple[Array, Tick | None]:
        target = self.contract.action.to_target(self._policy())
        return self.contract.action.limit(target, observation.state[self._joints]), None
