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
from mbrl_controller.planning.random_motion import RandomMotion
from mbrl_controller.simulation.env import Corrections
from mbrl_controller.tasks.base import Goal
from mbrl_controller.tasks.spaces import Array


class Policy(Protocol):
    """From an observation to joint targets [A] (rad)."""

    def reset(self, seed: int, observation: Observation) -> None:
        """A new episode begins."""
        ...

    def act(self, observation: Observation, goal: Goal, episode_time: float) -> tuple[Array, Tick | None]:
        """The command for this step, and the controller's tick where it acted."""
        ...


class ControllerPolicy:
    """The controller as the node runs it, optionally with exploration noise on its commands, or with some plans late.

    The controller remembers the command with its noise. Which plans are late, the episode's seed decides.
    """

    def __init__(
        self, core: ControllerCore, exploration: float = 0.0, beta: float = 0.6, late_share: float = 0.0
    ) -> None:
        self.core = core
        self.exploration = exploration
        self.beta = beta
        self.late_share = late_share
        self._noise = ExplorationNoise(len(core.contract.action))

    def reset(self, seed: int, observation: Observation) -> None:
        position = observation.state[self.core.task.joint_positions]
        self.core.safety.change(SafetyState.INACTIVE, "reset")
        self.core.safety.change(SafetyState.READY, "reset")
        self.core.safety.change(SafetyState.RUNNING, "episode begins")
        self.core.safety.forget_command()
        self.core.reset(seed, position)
        self._noise.reset(seed)
        self._lateness = np.random.default_rng([seed, 3])

    @property
    def corrections(self) -> Corrections | None:
        """By the plan's feedback, if the controller's options ask for it."""
        config = self.core.config
        return Corrections(config.feedback_rate, self._correct) if config.feedback else None

    def _correct(self, now: float, stamp: float, state: Array) -> Array | None:
        tick = self.core.correct(Observation(state, stamp), now)
        return None if tick is None else tick.command

    def act(self, observation: Observation, goal: Goal, episode_time: float) -> tuple[Array, Tick | None]:
        noise = self._noise.sample(self.exploration, self.beta)
        late = bool(self._lateness.random() < self.late_share)
        tick = self.core.tick(observation, goal, episode_time, noise=noise, now=episode_time, late=late)
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
