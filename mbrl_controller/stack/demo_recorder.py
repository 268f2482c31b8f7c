# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What a demo came to: rows of ticks, episodes with their metrics, and the figures at the end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mbrl_controller.tasks.base import EpisodeMetrics, Task
from mbrl_controller.tasks.spaces import Array

PLAN = 3.0  # the tick row's `source`: a fresh plan


@dataclass
class DemoEpisode:
    """One episode as it was seen on the topics."""

    number: int
    states: list[Array] = field(default_factory=list)  # [T+1][S]
    commands: list[Array] = field(default_factory=list)  # [T+1][A] rad; the last one leads out of the episode
    goals: list[Array] = field(default_factory=list)  # [T+1][G]

    def metrics(self, task: Task, period: float) -> EpisodeMetrics | None:
        """Metrics so far; None before the first step."""
        if len(self.states) < 2:
            return None
        return task.metrics(np.array(self.states), np.array(self.commands[:-1]), np.array(self.goals), period)


class DemoRecord:
    """Filled by the monitor, tick by tick, on its thread."""

    def __init__(self, task: Task, period: float) -> None:
        self.task, self.period = task, period
        self.rows: list[dict[str, float]] = []
        self.episodes: list[DemoEpisode] = []
        self.first_plan: float | None = None  # time.monotonic() at the first planned command

    def add(self, row: dict[str, float], seen: tuple[Array, Array, Array] | None, now: float) -> None:
        """A tick's row, with the state, command and goal that it belongs to, if all were there."""
        self.rows.append(row)
        if row["source"] == PLAN and self.first_plan is None:
            self.first_plan = now
        if seen is None or not np.isfinite(row["episode_time"]):
            return
        if not self.episodes or self.episodes[-1].number != row["episode"]:
            self.episodes.append(DemoEpisode(int(row["episode"])))
        episode = self.episodes[-1]
        for series, value in zip((episode.states, episode.commands, episode.goals), seen, strict=True):
            series.append(value)

    def column(self, name: str) -> Array:
        """The finite values of one entry of the rows."""
        values: Array = np.array([row[name] for row in list(self.rows)])
        return values[np.isfinite(values)]

    def summary(self) -> dict[str, Any]:
        """The figures at the end; None where there is nothing to tell."""
        found = [episode.metrics(self.task, self.period) for episode in self.episodes]
        metrics = [m for m in found if m is not None]
        last: Mapping[str, float] = self.rows[-1] if self.rows else {}
        ticks, missed = len(self.rows), int(last.get("missed_ticks", 0))
        return {
            "ticks": ticks,
            "missed ticks": missed,
            "late plans": int(last.get("late_plans", 0)),
            "lateness p99 (ms)": _p99_ms(self.column("lateness")),
            "execution p99 (ms)": _p99_ms(self.column("previous_execution")),
            "plan p99 (ms)": _p99_ms(self.column("plan_duration")),
            "episodes": len(metrics),
            "drops": sum(m.dropped for m in metrics),
            "return per episode": _mean([m.episode_return for m in metrics]),
            "reward per step": _mean(self.column("reward").tolist()),
            "degrees turned per episode": _mean([m.degrees_turned for m in metrics]),
            f"goal error ({self.task.goal_unit})": _mean([m.goal_error for m in metrics]),
            f"final goal error ({self.task.goal_unit})": _mean([m.final_goal_error for m in metrics]),
        }


def _p99_ms(values: Array) -> float | None:
    return float(1e3 * np.percentile(values, 99)) if len(values) else None


def _finite(values: list[float]) -> list[float]:
    return [value for value in values if np.isfinite(value)]


def _mean(values: list[float]) -> float | None:
    return float(np.mean(finite)) if (finite := _finite(values)) else None
