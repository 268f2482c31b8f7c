# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What worker processes do for a distillation: label stretches of the log, and let planner or policy act in simulation.

A piece of work depends on its numbers alone, never on the process that does it or on what that did before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mbrl_controller.control.steps import Observation, Tick
from mbrl_controller.tasks.base import Goal
from mbrl_controller.tasks.spaces import Array, Mask
from mbrl_controller.training.demonstrations import Demonstrations, goals_ahead, join
from mbrl_controller.training.distil_config import DistilConfig
from mbrl_controller.training.labelling import Teacher, TeacherSpec
from mbrl_controller.training.log_stretches import Stretch

if TYPE_CHECKING:
    from mbrl_controller.rollouts.episode import EpisodeRunner, EpisodeSpec
    from mbrl_controller.rollouts.policies import Policy

FIRST_SEED = 1_000_000_000  # of simulated episodes: above all that others are collected or judged on
SEEDS_OF_RUN, SEEDS_OF_ROUND = 10_000_000, 100_000
NOISES = 3  # kinds of episodes: without noise, with it, and with twice as much
PLANNER, GOALS = 21, 22  # streams of random numbers


@dataclass(frozen=True)
class Work:
    """What all pieces of one round have in common; plain data."""

    teacher: TeacherSpec
    config: DistilConfig
    rows: int  # how many control periods ahead goals are noted
    round: int
    actors: tuple[EpisodeSpec, ...] = ()  # who acts, on each hand; none: the states come from the log


@dataclass(frozen=True)
class Piece:
    """One piece of work: stretches of the log with the number of the first, or the numbers of episodes to simulate."""

    work: Work
    first: int
    stretches: tuple[Stretch, ...] = ()
    episodes: int = 0


def do(piece: Piece) -> Demonstrations:
    """Do a piece of work, in this process; there may be no usable state in it. Raises MbrlError."""
    global _worker
    if _worker is None or _worker.work != piece.work:
        _worker = _Worker(piece.work)
    if piece.stretches:
        made = [_worker.label(stretch, piece.first + i) for i, stretch in enumerate(piece.stretches)]
    else:
        made = [_worker.act(piece.first + i) for i in range(piece.episodes)]
    return join([part for part in made if len(part)] or made[:1])


_worker: _Worker | None = None  # in a worker process: of the work that it did last


class _Worker:
    def __init__(self, work: Work) -> None:
        self.work, self.config = work, work.config
        self.teacher = Teacher(work.teacher)
        self.contract = self.teacher.contract
        self.task, self.period = self.contract.task, self.contract.action.period
        self._runners: dict[int, EpisodeRunner] = {}  # by the number of the hand

    def label(self, stretch: Stretch, number: int) -> Demonstrations:
        """What the planner would do along a stretch, with the goal that it had or one drawn for it."""
        rng = self._rng(GOALS, number)
        own = stretch.goal is not None and rng.random() < self.config.logged_goals
        begin = stretch.begin if own else rng.uniform(0.0, self.task.episode_s)
        goal: Goal = stretch.goal if own else self._goal(rng, number)  # type: ignore[assignment]
        goals = self._ahead(goal, stretch.states, begin)
        plans, found = self.teacher.plans(stretch.states, goals, stretch.commands, self._seed(PLANNER, number))
        return _demonstrations(stretch.states, goals, plans, found, number)

    def act(self, number: int) -> Demonstrations:
        """An episode in simulation, and what the planner did in its states, or would have done."""
        from mbrl_controller.rollouts.episode import EpisodeRunner, run_episode
        from mbrl_controller.rollouts.policies import ControllerPolicy

        kind, hand = divmod(number, len(self.work.actors))
        spec = self.work.actors[hand]
        if hand not in self._runners:
            self._runners[hand] = EpisodeRunner(spec)
        runner = self._runners[hand]
        policy = runner.policy
        assert isinstance(policy, ControllerPolicy)
        policy.exploration = self.config.exploration * (kind % NOISES)
        recorder = _Recorder(policy)
        seed = FIRST_SEED + SEEDS_OF_RUN * self.config.seed + SEEDS_OF_ROUND * self.work.round + number
        goal = self._goal(self._rng(GOALS, number), kind)
        made = run_episode(runner.hand, recorder, goal, seed, spec.seconds or self.task.episode_s)
        lost = np.flatnonzero(self.task.at_risk(made.observed[:-1]))
        end = int(lost[0]) if len(lost) else len(made.commands)
        states = made.observed[:end]
        # A goal remembers what it observed: the same one is drawn again.
        goals = self._ahead(self._goal(self._rng(GOALS, number), kind), states, 0.0)
        if spec.policy == "controller":
            plans, found = recorder.plans(end, self.teacher.horizon)
        else:
            plans, found = self.teacher.plans(states, goals, made.commands, self._seed(PLANNER, number))
        return _demonstrations(states, goals, plans, found, number)

    def _ahead(self, goal: Goal, states: Array, begin: float) -> Array:
        lead = self.work.teacher.core.max_goal_lead
        return goals_ahead(self.task, goal, states, self.period, self.work.rows, lead, begin)

    def _goal(self, rng: np.random.Generator, kind: int) -> Goal:
        options: dict[str, Any] = self.config.goals[kind // NOISES % len(self.config.goals)]
        return self.task.sample_goal(rng, **options)

    def _rng(self, stream: int, number: int) -> np.random.Generator:
        return np.random.default_rng([self.config.seed, self.work.round, stream, number])

    def _seed(self, stream: int, number: int) -> int:
        return int(self._rng(stream, number).integers(2**62))


class _Recorder:
    """A policy that remembers the planner's plans."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._ticks: list[Tick | None] = []

    def reset(self, seed: int, observation: Observation) -> None:
        """See Policy."""
        self._ticks.clear()
        self._policy.reset(seed, observation)

    def act(self, observation: Observation, goal: Goal, episode_time: float) -> tuple[Array, Tick | None]:
        """See Policy."""
        command, tick = self._policy.act(observation, goal, episode_time)
        self._ticks.append(tick)
        return command, tick

    def plans(self, count: int, horizon: int) -> tuple[Array, Mask]:
        """The first `count` plans [count, H, A], and which of them were followed."""
        made = [tick.solution.plan for tick in self._ticks[:count] if tick is not None and tick.solution is not None]
        if len(made) < count:
            raise RuntimeError("the planner did not plan in every step")
        if not count:
            return np.zeros((0, horizon, 1)), np.zeros(0, dtype=bool)
        return np.array([plan.actions for plan in made]), np.array([plan.valid for plan in made])


def _demonstrations(states: Array, goals: Array, plans: Array, found: Mask, number: int) -> Demonstrations:
    """Those of one sequence, without states for which the planner found nothing."""
    good = found & np.isfinite(states).all(-1) & np.isfinite(plans).all((1, 2))
    return Demonstrations(
        states[good].astype(np.float32),
        goals[good].astype(np.float32),
        plans[good].astype(np.float32),
        np.full(int(good.sum()), number, dtype=np.int64),
    )
