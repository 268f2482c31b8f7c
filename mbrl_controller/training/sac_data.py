# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What SAC learns from besides its own steps: logged transitions under goals drawn anew, and where rollouts begin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mbrl_controller.base.errors import DatasetError
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.dynamics.data import TransitionSet
from mbrl_controller.rollouts.env_spaces import observe
from mbrl_controller.rollouts.model_env import SeenGoal, Starts
from mbrl_controller.tasks.spaces import Array, Mask

GOAL_SAMPLES = 200  # by which the goals that are seen are scaled


@dataclass(frozen=True)
class GoalSampling:
    """Which goals a policy is to reach, and how it sees them."""

    contract: RobotContract
    options: dict[str, object]
    steps: tuple[int, ...]  # control periods ahead
    lead: float  # rad, of the controller

    def draw(self, rng: np.random.Generator) -> SeenGoal:
        """A goal for one rollout."""
        task = self.contract.task
        goal = task.sample_goal(rng, **self.options)
        return SeenGoal(task, goal, self.lead, self.contract.action.period, self.steps)

    def seen(self, states: Array, seed: int) -> Array:
        """Goals [M, K, G] as they are seen in some of `states` [N, S], by which an input is scaled."""
        rng = np.random.default_rng(seed)
        length, found = self.contract.task.episode_s, []
        for _ in range(GOAL_SAMPLES):
            state, time = states[rng.integers(len(states))], rng.uniform(0, length)
            found.append(self.draw(rng).observe(state, time)[1])
        return np.array(found)


@dataclass(frozen=True)
class RealRows:
    """Logged transitions [M] as an agent sees them."""

    before: Array  # observations [M, O]
    after: Array  # [M, O]
    actions: Array  # [M, A] normalised
    rewards: Array  # [M]
    ends: Mask  # [M]


def starts_of(data: TransitionSet, contract: RobotContract, from_start: bool) -> Starts:
    """The states of the log, or those alone at which an episode begins; raises DatasetError where there is none."""
    rows = np.arange(len(data))
    if from_start:
        rows = np.flatnonzero(data.step == 0)
    if not len(rows):
        raise DatasetError("no logged episode has its start: use scheme C, which begins anywhere in the log")
    times = (data.step[rows] * contract.action.period) % contract.task.episode_s
    return Starts(np.array(data.state[rows]), times)


def real_rows(
    data: TransitionSet, goals: GoalSampling, per_transition: int, lost_steps: int, rng: np.random.Generator
) -> RealRows:
    """Each transition under `per_transition` goals drawn anew: a reward is a function of state, action and goal.

    Args:
        data: of the log.
        goals: which, and how they are seen.
        per_transition: how many.
        lost_steps: how many steps' drop_cost a lost object costs.
        rng: draws the goals.
    """
    contract = goals.contract
    task, period = contract.task, contract.action.period
    rows = np.repeat(np.arange(len(data)), per_transition)
    asked, seen, later = [], [], []
    for row in rows:
        goal, time = goals.draw(rng), float((data.step[row] * period) % task.episode_s)
        seen.append(goal.observe(data.state[row], time)[1])
        wanted, ahead = goal.observe(data.next_state[row], time + period)
        asked.append(wanted)
        later.append(ahead)
    state, command, after = data.state[rows], data.action[rows], data.next_state[rows]
    ends = np.asarray(task.at_risk(after))
    reward = np.asarray(task.reward(after, command, np.array(asked)), dtype=float)
    return RealRows(
        before=observe(state, np.array(seen)),
        after=observe(after, np.array(later)),
        actions=contract.action.to_normalised(command),
        rewards=reward - task.drop_cost * lost_steps * ends,
        ends=ends,
    )
