# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The task's metrics of a logged episode."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mbrl_controller.episodes.reader import Episode
from mbrl_controller.episodes.transitions import transitions
from mbrl_controller.tasks.metrics import EpisodeMetrics


@dataclass(frozen=True)
class LoggedEpisode:
    """Length and metrics of an episode, from its file."""

    steps: int  # commands within the episode
    metrics: EpisodeMetrics | None  # None: too little of it is usable


def logged_metrics(episode: Episode) -> LoggedEpisode:
    """Metrics over the usable transitions of an episode that was read with its goals."""
    rows = transitions(episode)
    steps = len(episode.commands) - rows.skipped.get("outside the episode", 0)
    if not len(rows) or not len(episode.goals):
        return LoggedEpisode(steps, None)
    contract = episode.contract
    period = contract.action.period
    zero = int(episode.commands.stamps[0]) if episode.begin_ns is None else episode.begin_ns
    times = zero + np.round(np.append(rows.step, rows.step[-1] + 1) * period * 1e9).astype(np.int64)
    at = np.searchsorted(episode.goals.stamps, times + 1_000_000, side="right") - 1
    goals = episode.goals.values[np.clip(at, 0, None)]
    states = np.concatenate([rows.state, rows.next_state[-1:]])
    return LoggedEpisode(steps, contract.task.metrics(states, rows.action, goals, period))
