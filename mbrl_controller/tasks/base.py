# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The base of all tasks: pure array functions of state, action and goal. No ROS, no MuJoCo, no networks.

A new reward needs no retraining, because models predict physics, not rewards.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np

from mbrl_controller.base.errors import ContractError, GoalError
from mbrl_controller.base.overrides import comma_hint
from mbrl_controller.tasks.goal_options import GoalOption
from mbrl_controller.tasks.markers import Markers
from mbrl_controller.tasks.metrics import EpisodeMetrics, Metric
from mbrl_controller.tasks.spaces import Array, Mask, VectorSpec
from mbrl_controller.tasks.symmetry import Symmetry as Symmetry


class Goal(Protocol):
    """The goal as a function of time."""

    def at(self, times: Array) -> Array:
        """Goal vectors [..., G] at `times` [...] in seconds since the episode began."""
        ...


@runtime_checkable
class ObservingGoal(Goal, Protocol):
    """A goal that depends on the states. In an episode, `observe` gets each state before the next `at`."""

    def observe(self, state: Array, time: float) -> None:
        """The state [S] at `time` (s since the episode began)."""
        ...


@dataclass(frozen=True)
class WaypointGoal:
    """Goals that change at given times: `values[i]` [G] is valid from `times[i]` (s) on, the last one for ever."""

    times: Array
    values: Array

    def at(self, times: Array) -> Array:
        row = np.searchsorted(self.times, np.asarray(times, dtype=float) + 1e-9, side="right") - 1
        return np.asarray(self.values)[np.clip(row, 0, len(self.times) - 1)]


def constant_goal(value: Array) -> WaypointGoal:
    """A goal [G] that never changes."""
    return WaypointGoal(np.zeros(1), np.asarray(value, dtype=float)[None])


class Task(ABC):
    """A task for one hand. `joints` are the hand's joint names, in the contract's order.

    Shapes: state [..., S], action [..., A] (joint targets, rad), goal [..., G]; leading axes broadcast.
    """

    name: str
    state: VectorSpec
    action: VectorSpec
    goal: VectorSpec
    goal_unit: str
    episode_s: float
    drop_cost: float
    metric_specs: tuple[Metric, ...] = ()  # what `metrics` measures; return, drops and goals need no entry
    symmetries: tuple[Symmetry, ...] = ()
    goal_options: tuple[GoalOption, ...] = ()  # what `sample_goal` takes, for forms
    # How it is planned, trained and learnt, in the form of an entry of config/tasks.yaml, which comes before this.
    defaults: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, joints: tuple[str, ...]) -> None:
        self.joints = tuple(joints)
        self.action = VectorSpec(self.joints, ("rad",) * len(self.joints))

    @abstractmethod
    def reward(self, state: Array, action: Array, goal: Array) -> Array:
        """Reward [...] of one step in which `action` led to `state` under `goal`, without the cost of a drop."""

    @abstractmethod
    def dropped(self, state: Array) -> Mask:
        """Whether the object is lost [...], which ends the episode."""

    def at_risk(self, state: Array) -> Mask:
        """Whether a planner should treat the object as lost [...]; earlier than `dropped`, as a margin."""
        return self.dropped(state)

    @abstractmethod
    def sample_goal(self, rng: np.random.Generator, /, **options: Any) -> Goal:
        """A random goal for an episode; options fix parts of it (for example `direction`)."""

    def waiting(self, goal: Goal, lead: float) -> Goal:
        """The goal that a planner sees: a time-driven `goal` waits when it is `lead` (rad) ahead of the objects."""
        return goal

    @abstractmethod
    def check_goal(self, goal: Array) -> None:
        """Raises GoalError with the entry and its range if goals [..., G] are outside it."""

    @abstractmethod
    def metrics(self, states: Array, actions: Array, goals: Array, period: float) -> EpisodeMetrics:
        """Metrics of an episode: states [T+1, S], actions [T, A], goals [T+1, G], one row every `period` seconds.

        Its `values` are those of `metric_specs`, by name.
        """

    def aimed(self, state: Array, goal: Array) -> Array | None:
        """The state [S] some steps after `state` [S] on the way to `goal` [G], as far as the task can say: the object
        where it is to be, all else as it is. None: it does not say, so nothing is proposed towards it."""
        return None

    def markers(self, goal: Array) -> Markers:
        """Where goal [G] wants the objects and how turned, for display: markers, or points [K, 3] (m); may be none.

        All in the contract's frame.
        """
        return ()

    def turn_objects(self, positions: Array, angle: float) -> Array:
        """Start positions [K, 3] (m) of the objects, in their names' order, turned by `angle` (rad) around the palm.

        Raises ContractError if the task has no objects that turn.
        """
        raise ContractError(f"{self.name}: it has no objects whose start could be turned")

    @property
    def joint_positions(self) -> np.ndarray:
        """Indices of the action joints' positions in the state, in action order."""
        return self.state.indices([f"{joint}.position" for joint in self.joints])

    def check_goal_shape(self, goal: Array) -> Array:
        """The goal as a finite float array; raises GoalError for a wrong size or a non-finite entry."""
        value = np.asarray(goal, dtype=float)
        if value.ndim < 1 or value.shape[-1] != len(self.goal):
            raise GoalError(
                f"{self.name}: a goal has {len(self.goal)} entries ({', '.join(self.goal.names)}), "
                f"got shape {value.shape}"
            )
        if not np.isfinite(value).all():
            raise GoalError(f"{self.name}: the goal has non-finite entries: {value.tolist()}")
        return value

    def total_return(self, states: Array, actions: Array, goals: Array) -> float:
        """Return of an episode; from a drop on, each step costs `drop_cost`."""
        rewards = self.reward(states[1:], actions, goals[1:])
        lost = np.maximum.accumulate(self.dropped(states[1:]))
        return float(rewards.sum() - self.drop_cost * lost.sum())

    def time_kept(self, states: Array, period: float) -> float:
        """Seconds until the first dropped state of `states` [T+1, S], or the episode's length."""
        lost = np.flatnonzero(self.dropped(states))
        return float(period * (lost[0] if len(lost) else len(states) - 1))


def goal_number(task: str, name: str, value: object) -> float:
    """A goal option as a number; raises GoalError with its name."""
    try:
        if isinstance(value, int | float | str):
            return float(value)
    except (ValueError, OverflowError):
        pass
    raise GoalError(f"{task}: {name} must be a number, got {value!r:.100}")


def check_number(name: str, value: object, most: float) -> None:
    """Raise ValueError, with its name, for a task option that is no number of at most `most`, as YAML may give."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= most:
        raise ValueError(f"{name}: expected a number of at most {most:.0f}, got {value!r}{comma_hint(value)}")
