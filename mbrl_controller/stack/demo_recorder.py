# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What happens in a demo: a node that records ticks, states, commands and goals, and the figures made from them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import JointState
from trajectory_msgs.msg import JointTrajectory

from mbrl_controller.base.errors import MessageError
from mbrl_controller.contract import ros_types
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.contract.frames import TF_STATIC
from mbrl_controller.contract.state_assembly import StateAssembler
from mbrl_controller.nodes import qos
from mbrl_controller.nodes.controller_output import SOURCES
from mbrl_controller.nodes.messages import message_class
from mbrl_controller.stack.monitor import StackMonitor
from mbrl_controller.tasks.base import Task
from mbrl_controller.tasks.metrics import EpisodeMetrics, measured
from mbrl_controller.tasks.spaces import Array

FRESH = [float(SOURCES.index(name)) for name in ("plan", "policy")]  # `source` of a tick's row


@dataclass
class DemoEpisode:
    """One episode as seen on the topics."""

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
    """Rows of the ticks, and episodes. The recorder fills it tick by tick, on its thread."""

    def __init__(self, task: Task, period: float) -> None:
        self.task, self.period = task, period
        self.rows: list[dict[str, float]] = []
        self.episodes: list[DemoEpisode] = []
        self.first_plan: float | None = None  # time.monotonic() at the first planned command

    def add(self, row: dict[str, float], seen: tuple[Array, Array, Array] | None, now: float) -> None:
        """Add a tick's row, and its state, command and goal (None unless all were received)."""
        self.rows.append(row)
        if row["source"] in FRESH and self.first_plan is None:
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
        """Figures of the whole demo; None where there is no value."""
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
            **{
                metric.label + (f" ({metric.unit})" if metric.unit else ""): _mean(
                    [m.values.get(metric.name, np.nan) for m in metrics]
                )
                for metric in measured(self.task.metric_specs, metrics)
            },
        }


class DemoRecorder(StackMonitor):
    """Fills a record with the rows, states, commands and goals of the ticks."""

    hears = frozenset({"tick", "command", "goal"})

    def __init__(self, contract: RobotContract, record: DemoRecord) -> None:
        super().__init__(contract, lambda row: record.add(row, self._seen(), time.monotonic()))
        self._assembler = StateAssembler(contract)
        self._newest: dict[str, bytes] = {}
        self._command: Array | None = None
        self._goal: Array | None = None

    def _listen(self) -> None:
        for source in self.contract.sources:
            # Raw bytes: only those of a tick are parsed, since parsing all would take time from the planner.
            kind, profile = message_class(source.type), qos.sensor(source)
            if self._assembler.readers[source.key].has_memory:  # made of all messages
                self._node.create_subscription(kind, source.topic, partial(self._update, source.key), profile)
                continue
            self._node.create_subscription(kind, source.topic, self._keep(source.key), profile, raw=True)
        if self.contract.looks_up_frames:
            transforms = message_class(ros_types.TRANSFORMS)
            self._node.create_subscription(transforms, TF_STATIC, self._take_frames, qos.STATIC_FRAMES)
        self._node.create_subscription(JointState, "controller/command", self._on_command, qos.RECORD)
        self._node.create_subscription(JointTrajectory, "controller/goal", self._on_goal, qos.RECORD)
        super()._listen()

    def _keep(self, key: str) -> Callable[[bytes], None]:
        def keep(data: bytes) -> None:
            self._newest[key] = data

        return keep

    def _take_frames(self, message: Any) -> None:
        with suppress(MessageError):
            self._assembler.frames.take(message)

    def _update(self, key: str, message: Any) -> None:
        with suppress(MessageError):  # the controller reports the reason
            self._assembler.update(key, message, time.time())

    def _on_command(self, message: Any) -> None:
        self._command = np.array(message.position)

    def _on_goal(self, message: Any) -> None:
        self._goal = np.array(message.points[0].positions)

    def _seen(self) -> tuple[Array, Array, Array] | None:
        """State [S], command [A] (rad) and goal [G] of the tick whose row has arrived."""
        if self._command is None or self._goal is None:
            return None
        try:
            for source in self.contract.sources:
                if source.key in self._newest:
                    message = deserialize_message(self._newest[source.key], message_class(source.type))
                    self._assembler.update(source.key, message, time.time())
            return self._assembler.vector()[0], self._command, self._goal
        except MessageError:
            return None  # the controller reports the reason


def _p99_ms(values: Array) -> float | None:
    return float(1e3 * np.percentile(values, 99)) if len(values) else None


def _mean(values: list[float]) -> float | None:
    finite = [value for value in values if np.isfinite(value)]
    return float(np.mean(finite)) if finite else None
