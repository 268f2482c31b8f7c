# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Stretches of an episode without a gap: consecutive control periods, as other libraries take episodes to be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mbrl_controller.episodes.command_intervals import STAMP_SLACK, Stamps
from mbrl_controller.episodes.reader import Episode
from mbrl_controller.episodes.ros_messages import NANO
from mbrl_controller.episodes.transitions import UsedPeriods
from mbrl_controller.tasks.spaces import Array, Mask

MAX_GOAL_AGE = 2.0  # control periods; an older goal was no longer asked for


@dataclass(frozen=True)
class Segment:
    """T control periods, one after the other. SI units."""

    episode: Episode
    number: int  # among the segments of its episode
    zero: int  # ns: stamp of the recording's first command
    stamps: Stamps  # [T+1] ns: the begin of each period, and the end of the last one
    states: Array  # [T+1, S]
    actions: Array  # [T, A] joint targets (rad)
    goals: Array  # [T+1, G]; NaN where none was logged
    rewards: Array  # [T] of each period, without the cost of a drop; NaN without a goal
    dropped: Mask  # [T] whether the object is lost at the period's end

    def __len__(self) -> int:
        return len(self.actions)

    @property
    def key(self) -> str:
        """Permanent name: that of the recording, and the number."""
        return f"{self.episode.key}#{self.number}"

    @property
    def times(self) -> Array:
        """Seconds [T+1] since the segment's begin."""
        return np.asarray((self.stamps - self.stamps[0]) / NANO)

    @property
    def recorded_times(self) -> Array:
        """Seconds [T+1] since the recording's first command."""
        return np.asarray((self.stamps - self.zero) / NANO)

    @property
    def has_goals(self) -> bool:
        """Whether a goal is known throughout."""
        return bool(np.isfinite(self.goals).all())


def segments(episode: Episode, used: UsedPeriods) -> Iterator[Segment]:
    """The gapless stretches of an episode of which all was read; `used` are its periods."""
    task = episode.contract.task
    follows = used.begin[1:] == used.end[:-1]
    for number, rows in enumerate(np.split(np.arange(len(used)), np.flatnonzero(~follows) + 1)):
        if not len(rows):
            continue
        stamps = np.append(used.begin[rows], used.end[rows[-1]])
        states = np.concatenate([used.state[rows], used.next_state[rows[-1:]]])
        goals = _goals_at(episode, stamps)
        actions = used.action[rows]
        rewards = np.full(len(rows), np.nan)
        known = np.isfinite(goals[1:]).all(1)
        if known.any():
            rewards[known] = task.reward(states[1:][known], actions[known], goals[1:][known])
        dropped = np.asarray(task.dropped(states[1:]))
        yield Segment(episode, number, used.zero, stamps, states, actions, goals, rewards, dropped)


def _goals_at(episode: Episode, stamps: Stamps) -> Array:
    """The goals [N, G] asked at `stamps` (ns); NaN where there was none."""
    series = episode.goals
    found = np.full((len(stamps), len(episode.contract.task.goal)), np.nan)
    at = np.searchsorted(series.stamps, stamps + STAMP_SLACK, side="right") - 1
    known = at >= 0
    oldest = MAX_GOAL_AGE * episode.contract.action.period * NANO
    known[known] = stamps[known] - series.stamps[at[known]] <= oldest
    found[known] = series.values[at[known]]
    return found
