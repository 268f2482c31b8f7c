# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""One episode in simulation, without ROS and without waiting: every control step follows the one before at once."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np

from mbrl_controller.control.steps import Observation
from mbrl_controller.rollouts.policies import Policy
from mbrl_controller.simulation.env import HandEnv
from mbrl_controller.tasks.base import EpisodeMetrics, Goal, ObservingGoal
from mbrl_controller.tasks.spaces import Array


@dataclass(frozen=True)
class EpisodeRecord:
    """What happened in an episode of T steps; it ends early where the task's object was dropped."""

    seed: int
    states: Array  # [T+1, S], true
    observed: Array  # [T+1, S], as the sensors gave them
    stamps: Array  # [T+1] s since the start at which `observed` was measured
    commands: Array  # [T, A] rad
    goals: Array  # [T+1, G]
    plan_s: Array  # [T] s spent planning
    predicted_returns: Array  # [T]; NaN without a planner
    disagreements: Array  # [T]
    metrics: EpisodeMetrics


def run_episode(hand: HandEnv, policy: Policy, goal: Goal, seed: int, seconds: float) -> EpisodeRecord:
    """An episode of at most `seconds`, started from `seed`; the same arguments give the same record."""
    simulation = hand.simulation
    task, period = simulation.contract.task, simulation.contract.action.period
    steps = round(seconds / period)
    stamp, sensed = hand.reset(seed)
    policy.reset(seed, Observation(sensed, stamp))
    observed, stamps, states = [sensed], [stamp], [simulation.state()]
    commands: list[Array] = []
    asked: list[Array] = []
    solutions, spent = [], []

    def show() -> None:
        """What an observing goal asks for now: later it will not know any more."""
        if isinstance(goal, ObservingGoal):
            goal.observe(sensed, period * len(commands))
            asked.append(goal.at(np.asarray(period * len(commands))))

    for step in range(steps):
        show()
        began = time.perf_counter()
        command, tick = policy.act(Observation(sensed, stamp), goal, step * period)
        spent.append(time.perf_counter() - began)
        stamp, sensed = hand.step(command)
        observed.append(sensed)
        stamps.append(stamp)
        states.append(simulation.state())
        commands.append(command)
        solutions.append(tick.solution if tick else None)
        if task.dropped(states[-1]):
            break
    show()
    goals = np.array(asked) if asked else goal.at(period * np.arange(len(states)))
    metrics = task.metrics(np.array(states), np.array(commands), goals, period)
    return EpisodeRecord(
        seed=seed,
        states=np.array(states),
        observed=np.array(observed),
        stamps=np.array(stamps),
        commands=np.array(commands),
        goals=goals,
        plan_s=np.array(spent),
        predicted_returns=np.array([s.plan.predicted_return if s else np.nan for s in solutions]),
        disagreements=np.array([s.disagreement if s else np.nan for s in solutions]),
        metrics=_charge_full_length(metrics, task.drop_cost, steps - len(commands)),
    )


def _charge_full_length(metrics: EpisodeMetrics, drop_cost: float, missing: int) -> EpisodeMetrics:
    """A drop is charged until the episode would have ended, so that ending early is no advantage."""
    return replace(metrics, episode_return=metrics.episode_return - drop_cost * missing)
