# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Segments as a table: a row for each state, and named columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.episodes.export_writer import ExportReport
from mbrl_controller.episodes.segments import Segment

TABLE = "columns.json"  # what the columns mean, beside the table


@dataclass(frozen=True)
class Column:
    """A column; `kind`: text, int, bool or float."""

    name: str
    kind: str
    unit: str
    what: str


def columns(contract: RobotContract) -> list[Column]:
    """All columns, in order."""
    task, action = contract.task, contract.action
    return [
        Column("recording", "text", "", "permanent name of the recorded episode"),
        Column("world", "text", "", "where it was recorded: real, a simulated world, or empty where nobody noted it"),
        Column("model_version", "text", "", "that commanded it; empty: none, or others did"),
        Column("segment", "int", "", "number of the stretch without a gap, over all of the table"),
        Column("row", "int", "", "number in the segment"),
        Column("stamp_ns", "int", "ns", "time of the tick by the recording's clock"),
        Column("time", "float", "s", "since the segment's begin"),
        *(
            Column(f"state.{name}", "float", unit, "at the tick")
            for name, unit in zip(task.state.names, task.state.units, strict=True)
        ),
        *(
            Column(f"action.{name}", "float", "rad", "target sent at the tick; none in a segment's last row")
            for name in action.names
        ),
        *(
            Column(f"goal.{name}", "float", unit, "asked at the tick; empty where none was logged")
            for name, unit in zip(task.goal.names, task.goal.units, strict=True)
        ),
        Column("reward", "float", "", "of the step that begins at the tick, without the cost of a drop"),
        Column("dropped", "bool", "", "whether the object is lost at the end of that step"),
    ]


def describe(contract: RobotContract, of: Sequence[Column], report: ExportReport) -> dict[str, Any]:
    """What columns.json says."""
    return {
        "task": contract.task.name,
        "robot": contract.file.robot,
        "control_period_s": contract.action.period,
        "columns": [vars(column) for column in of],
        "left_out": dict(report.left_out),
        "bridged": report.bridged,
        "contract": contract.text,
    }


def table(segment: Segment, number: int) -> list[Any]:
    """The columns' values: lists of text, arrays [T+1] of numbers; NaN where there is none.

    Args:
        segment: the rows.
        number: of the segment, over all of the table.
    """
    T, info = len(segment), segment.episode.info
    actions = np.concatenate([segment.actions, np.full((1, segment.actions.shape[1]), np.nan)])
    return [
        [segment.episode.key] * (T + 1),
        [info.world] * (T + 1),
        [info.model_version] * (T + 1),
        np.full(T + 1, number),
        np.arange(T + 1),
        segment.stamps,
        segment.times,
        *segment.states.T,
        *actions.T,
        *segment.goals.T,
        np.append(segment.rewards, np.nan),
        np.append(segment.dropped, False),
    ]
