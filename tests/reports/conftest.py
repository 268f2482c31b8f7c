# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Sessions as the logger writes them, and a page as a program reads it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mbrl_controller.base.resources import share_dir
from mbrl_controller.contract.contract import RobotContract, load_contract
from mbrl_controller.contract.state_assembly import split_state
from mbrl_controller.episodes import ros_messages
from mbrl_controller.episodes.metadata import EpisodeInfo
from mbrl_controller.episodes.source_messages import source_message
from mbrl_controller.episodes.writer import EpisodeWriter
from mbrl_controller.tasks.spaces import Array

STEPS = 20
VOID = {"meta", "br", "hr", "img", "link", "input"}


@dataclass
class Written:
    """An episode's file and what went into it."""

    path: Path
    states: Array  # [T+1, S]
    commands: Array  # [T, A]
    goals: Array  # [T+1, G]
    ticks: dict[str, Array] = field(default_factory=dict)


@pytest.fixture(scope="session")
def claw() -> RobotContract:
    return load_contract(share_dir() / "config" / "claw_valve.yaml")


def diagnostics(stamp_ns: int, state: str, reason: str, limit: object) -> Any:
    """The controller's status as it tells it, at a time."""
    types = ros_messages.typestore().types

    def make(kind: str, **values: Any) -> Any:
        return types[kind](**values)

    values = {"safety state": state, "reason": reason, "disagreement limit": str(limit)}
    status = make(
        "diagnostic_msgs/msg/DiagnosticStatus",
        level=0,
        name="controller: control",
        message=state,
        hardware_id="",
        values=[make("diagnostic_msgs/msg/KeyValue", key=k, value=v) for k, v in values.items()],
    )
    seconds, rest = divmod(stamp_ns, ros_messages.NANO)
    time = make("builtin_interfaces/msg/Time", sec=seconds, nanosec=rest)
    header = make("std_msgs/msg/Header", stamp=time, frame_id="")
    return make("diagnostic_msgs/msg/DiagnosticArray", header=header, status=[status])


@pytest.fixture
def write(claw: RobotContract, tmp_path: Path) -> Callable[..., Written]:
    def written(
        number: int = 0,
        session: str = "s",
        version: str = "v0001",
        ticks: Mapping[str, Sequence[float] | Array] | None = None,
        statuses: Sequence[tuple[int, str, str, object]] = (),
        folder: Path | None = None,
        close: bool = True,
        reason: str = "timeout",
        info: Mapping[str, Any] | None = None,
        steps: int = STEPS,
    ) -> Written:
        """An episode of the valve at 10 Hz, each at its own time; statuses: (tick, state, reason, limit)."""
        rng = np.random.default_rng(number)
        start, period = (1 + number) * 100 * ros_messages.NANO, round(claw.action.period * ros_messages.NANO)
        states = rng.uniform(-0.3, 0.3, (steps + 1, len(claw.task.state)))
        commands = rng.uniform(claw.action.lower, claw.action.upper, (steps, len(claw.action)))
        goals = rng.uniform(-1, 1, (steps + 1, len(claw.task.goal)))
        path = (folder or tmp_path / "valve" / session) / f"episode_{number:04d}.mcap"
        given = {"session": session, "episode": number, "model_version": version, "source": "logger", **(info or {})}
        writer = EpisodeWriter(path, claw, EpisodeInfo(**given), flush_s=0.0, fsync=False)
        name = writer.info.topics
        columns = {k: np.asarray(v, dtype=float) for k, v in (ticks or {}).items()}
        if ticks is not None:
            columns = {"stamp": start / 1e9 + 0.1 * np.arange(steps), "epoch": np.zeros(steps)} | columns

        def event(kind: str, at: int) -> None:
            content = {"event": kind, "stamp": at / 1e9, "reason": reason if kind == "end" else "", "session": session}
            writer.write(name["episode"], ros_messages.json_string(content), at)

        event("begin", start)
        for k in range(steps + 1):
            at = start + k * period
            for source, values in zip(claw.sources, split_state(claw, states[k]), strict=True):
                writer.write(name[source.key], source_message(source, values, at), at)
            goal = ros_messages.trajectory(claw.task.goal.names, goals[k : k + 1], (0.0,), at)
            writer.write(name["goal"], goal, at)
            if k < steps:
                writer.write(name["command"], ros_messages.joint_state(claw.action.names, commands[k], at), at)
                if columns:
                    row = ros_messages.multi_array([c[k] for c in columns.values()], list(columns))
                    writer.write(name["tick"], row, at)
            for tick, state, why, limit in statuses:
                if tick == k:
                    writer.write("/diagnostics", diagnostics(at, state, why, limit), at)
        event("end", start + steps * period)
        if close:
            path = writer.close(reason)
        else:
            writer.abandon()
            path = path.with_name(f"{path.name}.part")
        return Written(path, states, commands, goals, columns)

    return written


class Page(HTMLParser):
    """Tables, texts, elements and attributes of a page; fails where elements do not end as they began."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.tables: list[list[list[str]]] = []
        self.text = ""
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag in VOID:
            return
        self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" in self.open:
            return
        self.text += data
        if {"td", "th"} & set(self.open):
            self.tables[-1][-1][-1] += data

    def table(self, first: str) -> dict[str, list[str]]:
        """The rows of the table that has a cell beginning with `first`, by their first cells."""
        (found,) = [rows for rows in self.tables if any(c.startswith(first) for row in rows for c in row[:1])][:1]
        return {row[0]: row[1:] for row in found}


@pytest.fixture(scope="session")
def page() -> Callable[[str], Page]:
    return Page
