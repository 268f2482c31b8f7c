# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""An episode along a time line that begins at 0 s: its state, goal, command and plan at any time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from mbrl_controller.base.errors import EpisodeError
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.contract.state_assembly import join_samples
from mbrl_controller.episodes.metadata import EpisodeInfo
from mbrl_controller.episodes.plans import read_plans
from mbrl_controller.episodes.reader import Episode, read_episode
from mbrl_controller.episodes.ros_messages import NANO
from mbrl_controller.episodes.time_series import TimeSeries
from mbrl_controller.reports.status_log import Status, read_statuses
from mbrl_controller.tasks.spaces import Array

SLACK_S = 1e-6  # of a time that went through a slider
MAX_LEAD = 6  # control periods between a command and when it takes effect, at most


@dataclass(frozen=True)
class Plan:
    """Joint targets [H, A] (rad), a control period apart; the first one takes effect at `begin` (s)."""

    begin: float
    targets: Array


class Recording:
    """What is shown of one episode. Times are in s since its begin; rows before the first one are NaN."""

    def __init__(self, episode: Episode, plans: tuple[Plan, ...], statuses: tuple[Status, ...]) -> None:
        """See `load`. `statuses`: of the controller; their stamps are those of the log."""
        self.episode, self.statuses = episode, statuses
        contract = episode.contract
        self.period = contract.action.period
        self.zero = _zero(episode)
        self.commands = self._times(episode.commands)
        self.command_values = episode.commands.values
        self.goals = self._times(episode.goals)
        self.plans = tuple(plan for plan in plans if plan.begin >= -self.period)
        self.duration = max(self._end(), self.period)

    @classmethod
    def load(cls, path: Path) -> Recording:
        """Read an episode's file, complete or cut; raises EpisodeError where there is nothing to show."""
        episode = read_episode(path)
        if not len(episode.commands) and not any(len(rows) for rows in episode.sources.values()):
            raise EpisodeError(f"{path}: nothing to show: no states and no commands {episode.problem}".rstrip())
        zero = _zero(episode)
        plans = tuple(Plan((plan.stamp - zero) / NANO, plan.targets) for plan in read_plans(episode))
        topic = episode.info.topics.get("diagnostics", "/diagnostics")
        return cls(episode, plans, tuple(read_statuses(path, topic)))

    @property
    def contract(self) -> RobotContract:
        """Whose states and commands these are."""
        return self.episode.contract

    @property
    def info(self) -> EpisodeInfo:
        """Which episode it is."""
        return self.episode.info

    @cached_property
    def end_reason(self) -> str:
        """Why it ended, as the controller, the logger or the file says; empty if nobody does."""
        told = [str(e.get("reason", "")) for e in self.episode.events if e.get("event") == "end"]
        return (told[-1] if told else "") or self.episode.closed.get("reason", "")

    @cached_property
    def tick_times(self) -> Array:
        """[K] s of the ticks' rows; empty where they cannot be placed."""
        ticks, first = self.episode.ticks, next(iter(self.episode.ticks.values()), np.empty(0))
        if "stamp" in ticks:
            return ticks["stamp"] - self.zero / NANO
        return self.commands if len(first) == len(self.commands) else np.empty(0)  # in simulation each has a command

    @property
    def ticks(self) -> Mapping[str, Array]:
        """Label -> [K], the rows of `tick_times`."""
        return self.episode.ticks if len(self.tick_times) else {}

    def tick_at(self, time: float) -> Mapping[str, float]:
        """The tick in force; empty before the first."""
        at = _newest(self.tick_times, time)
        return {} if at < 0 else {label: float(column[at]) for label, column in self.ticks.items()}

    def states_at(self, times: Array) -> Array:
        """What was measured last at `times` [N]: [N, S]. NaN before a source's first measurement, and after the end."""
        asked = np.asarray(times, dtype=float)
        parts = []
        for source in self.contract.sources:
            series = self.episode.sources[source.key]
            at = np.searchsorted(self._times(series), asked + SLACK_S, side="right") - 1
            values = np.full((len(asked), len(source.entries())), np.nan)
            values[at >= 0] = series.values[at[at >= 0]]
            parts.append(values)
        states = join_samples(self.contract, parts)
        states[asked > self.duration + SLACK_S] = np.nan
        return states

    def state_at(self, time: float) -> Array:
        """What was measured last: [S]."""
        state: Array = self.states_at(np.array([time]))[0]
        return state

    def goal_at(self, time: float) -> Array | None:
        """The goal [G] that was asked; None where none was logged."""
        at = _newest(self.goals, time)
        return None if at < 0 else self.episode.goals.values[at]

    def commands_at(self, times: Array) -> Array:
        """The commands [N, A] (rad) in force; NaN before the first and after the end."""
        at = np.searchsorted(self.commands, np.asarray(times) + SLACK_S, side="right") - 1
        found = np.full((len(at), len(self.contract.action)), np.nan)
        known = (at >= 0) & (np.asarray(times) <= self.duration + SLACK_S)
        found[known] = self.command_values[at[known]]
        return found

    def plan_at(self, time: float) -> int | None:
        """Index of the plan whose first action is in force; None if there is none."""
        at = _newest(np.array([plan.begin for plan in self.plans]), time)
        return None if at < 0 else at

    @cached_property
    def lead(self) -> float:
        """s from a command to when it takes effect, by which plans are stamped later than the commands made of them.

        A file does not say it: it is the one at which the plans' first actions are most like the commands.
        """
        if not self.plans or not len(self.commands):
            return 0.0
        begins = np.array([plan.begin for plan in self.plans])
        first = np.array([plan.targets[0] for plan in self.plans])
        leads = self.period * np.arange(MAX_LEAD + 1)
        apart = [np.abs(first - self.commands_at(begins - lead)) for lead in leads]
        means = [float(np.nanmean(gap)) if np.isfinite(gap).any() else np.inf for gap in apart]
        return float(leads[int(np.argmin(means))])

    def _end(self) -> float:
        if self.episode.end_ns is not None:
            return (self.episode.end_ns - self.zero) / NANO
        if len(self.commands):
            return float(self.commands[-1]) + self.period
        return max(float(self._times(rows)[-1]) for rows in self.episode.sources.values() if len(rows))

    def _times(self, series: TimeSeries) -> Array:
        times: Array = (series.stamps - self.zero) / NANO
        return times


def _zero(episode: Episode) -> int:
    """Stamp (ns) of the time line's begin."""
    if episode.begin_ns:  # 0: of somebody's episode without a command
        return episode.begin_ns
    firsts = [int(rows.stamps[0]) for rows in episode.sources.values() if len(rows)]
    return int(episode.commands.stamps[0]) if len(episode.commands) else min(firsts, default=0)


def _newest(times: Array, time: float) -> int:
    """Index of the last of `times` at or before `time`; -1 without one."""
    return int(np.searchsorted(times, time + SLACK_S, side="right")) - 1
