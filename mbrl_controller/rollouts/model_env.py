# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A learned ensemble as a vectorised Gymnasium environment: episodes that no hand runs, for model-free learning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.control.config import SafetyConfig
from mbrl_controller.control.limits import allowed
from mbrl_controller.models.loading import LearnedEnsemble
from mbrl_controller.rollouts.env_spaces import GOAL_STEPS, action_box, check_goal_steps, observation_box, observe
from mbrl_controller.tasks.base import Goal, ObservingGoal, Task
from mbrl_controller.tasks.spaces import Array, Mask


@dataclass(frozen=True)
class Starts:
    """States from which rollouts begin, and how far into an episode each is."""

    states: Array  # [M, S]
    times: Array  # [M] s

    def __post_init__(self) -> None:
        if self.states.ndim != 2 or not len(self.states) or self.times.shape != self.states.shape[:1]:
            raise MbrlError(f"starts: expected states [M, S] with times [M], got {self.states.shape}")
        if not (np.isfinite(self.states).all() and np.isfinite(self.times).all()):
            raise MbrlError("starts: states and times must be finite")


class SeenGoal:
    """A goal as the task asks it, and as an agent sees it: waiting for the objects, where the controller would."""

    def __init__(self, task: Task, goal: Goal, lead: float, period: float, steps: tuple[int, ...]) -> None:
        self._asked = goal
        self._seen = task.waiting(goal, lead) if lead else goal
        self._ahead = period * np.array(steps)

    def observe(self, state: Array, time: float) -> tuple[Array, Array]:
        """What is asked at `time` (s) in `state` [S]: the goal [G], and the goals [K, G] that are seen ahead."""
        for goal in (self._asked,) if self._seen is self._asked else (self._asked, self._seen):
            if isinstance(goal, ObservingGoal):
                goal.observe(state, time)
        return self._asked.at(np.asarray(time)), self._seen.at(time + self._ahead)


class LearnedVectorEnv(VectorEnv[Any, Any, Any]):
    """Rollouts of a task in an ensemble, N at a time. Each keeps to one member, drawn at its start.

    Observations, actions, rewards and limits are those of HandGymEnv, with true states for measured ones. A rollout is
    truncated after `steps`; it terminates where a planner would take the object for lost (`at_risk`), which costs
    `lost_steps` times the task's drop_cost. It then begins anew in the same step, with the last observation in
    `info["final_obs"]`.

    `info` has the `command` [N, A] (rad) that was sent and the `state` [N, S] that it led to.
    """

    metadata = {"autoreset_mode": AutoresetMode.SAME_STEP, "render_modes": []}  # noqa: RUF012

    def __init__(
        self,
        ensemble: LearnedEnsemble,
        contract: RobotContract,
        starts: Starts,
        num_envs: int,
        steps: int,
        *,
        goal_options: Mapping[str, Any] | None = None,
        goal_steps: Sequence[int] = GOAL_STEPS,
        max_goal_lead: float = 0.0,
        lost_steps: int = 1,
    ) -> None:
        """
        Args:
            ensemble: a loaded model that fits the contract.
            contract: of the robot.
            starts: where rollouts begin, drawn with equal chances.
            num_envs: rollouts at a time (N).
            steps: control periods of a rollout.
            goal_options: fix parts of the goals, which are drawn anew for each rollout.
            goal_steps: control periods ahead at which the goal is seen.
            max_goal_lead: of the controller (rad), by which targets wait for the objects.
            lost_steps: how many steps' drop_cost a lost object costs.

        Raises:
            MbrlError: a size or an option is out of range.
        """
        if num_envs < 1 or steps < 1 or lost_steps < 0:
            raise MbrlError(f"num_envs {num_envs} and steps {steps} must be at least 1, lost_steps {lost_steps} 0")
        self.contract, self.task_spec, self.starts, self.ensemble = contract, contract.task, starts, ensemble
        if starts.states.shape[1] != len(contract.task.state):
            raise MbrlError(f"starts: states have {starts.states.shape[1]} entries, not {len(contract.task.state)}")
        self.num_envs, self.steps, self.goal_steps = num_envs, steps, check_goal_steps(goal_steps)
        self.single_action_space = action_box(contract)
        self.single_observation_space = observation_box(contract, self.goal_steps)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self._goal_options, self._lead, self._lost_steps = dict(goal_options or {}), max_goal_lead, lost_steps
        self._max_jump = SafetyConfig().max_jump
        self._joints = contract.task.joint_positions
        G, K = len(contract.task.goal), len(self.goal_steps)
        self._state: Array = np.zeros((num_envs, len(contract.task.state)))
        self._command: Array = np.zeros((num_envs, len(contract.action)))  # last one, to which the next may jump
        self._asked, self._seen = np.zeros((num_envs, G)), np.zeros((num_envs, K, G))
        self._time = np.zeros(num_envs)  # s since the episode began
        self._step = np.zeros(num_envs, dtype=np.int64)  # of the rollout
        self.member = np.zeros(num_envs, dtype=np.int64)
        self._goals: list[SeenGoal] = []

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        """Begin N rollouts; one seed reproduces them all, and those that follow."""
        if isinstance(seed, list):
            raise MbrlError("reset: one seed, not a list: the rollouts share a stream of random numbers")
        super().reset(seed=seed, options=options)
        self._goals = [self._begin(i) for i in range(self.num_envs)]
        for i in range(self.num_envs):
            self._look(i)
        return observe(self._state, self._seen), {"state": self._state.copy()}

    def step(self, actions: Array) -> tuple[Array, Array, Mask, Mask, dict[str, Any]]:
        """Let one control period pass under normalised actions [N, A], clipped to [-1, 1]."""
        wanted = np.asarray(actions, dtype=float)
        if not self._goals:
            raise MbrlError("step: call reset first")
        if wanted.shape != self.action_space.shape or not np.isfinite(wanted).all():
            raise MbrlError(f"step: expected finite actions {self.action_space.shape}, got {wanted.shape}")
        task = self.task_spec
        command = self._allowed(self.contract.action.to_target(np.clip(wanted, -1.0, 1.0)))
        every = self.ensemble.predict(self._state, command)
        after = every[self.member, np.arange(self.num_envs)].astype(float)
        if not np.isfinite(after).all():
            raise MbrlError(f"{self.ensemble.path}: predicts states that are not finite")
        self._state, self._command = after, command
        self._step += 1
        self._time = self._time + self.contract.action.period
        for i in range(self.num_envs):
            self._look(i)
        lost = np.asarray(task.at_risk(after))
        reward = np.asarray(task.reward(after, command, self._asked), dtype=float)
        reward = reward - task.drop_cost * self._lost_steps * lost
        truncated = (self._step >= self.steps) & ~lost
        observation = observe(after, self._seen)
        info: dict[str, Any] = {"command": command.copy(), "state": after.copy()}
        ended = lost | truncated
        if ended.any():
            info |= {"final_obs": observation.copy(), "_final_obs": ended}
            for i in np.flatnonzero(ended).tolist():
                self._goals[i] = self._begin(i)
                self._look(i)
            observation = observe(self._state, self._seen)
        return observation, reward, lost, truncated, info

    def _begin(self, i: int) -> SeenGoal:
        """Draw start, member and goal of rollout i."""
        rng, starts = self.np_random, self.starts
        row = int(rng.integers(len(starts.states)))
        self.member[i] = rng.integers(self.ensemble.size)
        self._state[i], self._time[i], self._step[i] = starts.states[row], starts.times[row], 0
        self._command[i] = starts.states[row][self._joints]  # which bounds the first command by its rate alone
        goal = self.task_spec.sample_goal(rng, **self._goal_options)
        return SeenGoal(self.task_spec, goal, self._lead, self.contract.action.period, self.goal_steps)

    def _look(self, i: int) -> None:
        self._asked[i], self._seen[i] = self._goals[i].observe(self._state[i], float(self._time[i]))

    def _allowed(self, targets: Array) -> Array:
        """`targets` [N, A] (rad) within limits, rate and jump; where nothing is allowed, the last command."""
        window = allowed(self.contract.action, self._state[:, self._joints], self._command, self._max_jump)
        crossed = np.any(window.crossed, axis=1, keepdims=True)
        inside: Array = np.where(crossed, self._command, window.nearest(targets))
        return inside
