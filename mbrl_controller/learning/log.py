# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The log of a run: one line of JSON for each finished step, only ever appended to."""

from __future__ import annotations

import os
from enum import Enum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mbrl_controller.base.deprecated import renamed_fields, silent
from mbrl_controller.base.errors import MbrlError
from mbrl_controller.tasks.metrics import SHARED

LOG_FILE = "log.jsonl"
TIMES = {"wall_s", "total_s", "ended"}  # a repetition with the same seed does not reproduce these


class StepKind(str, Enum):
    """The kinds of steps; the values are those of the log."""

    START = "start"
    RANDOM = "random"
    TRAIN = "train"
    ACCEPT = "accept"
    EVALUATE = "evaluate"
    COLLECT = "collect"

    __str__ = str.__str__
    __format__ = str.__format__  # type: ignore[assignment]  # as a plain string, in every version of Python


class Row(BaseModel):
    """A finished step. Figures of episodes are those of the step: collected episodes, or validation in `evaluate`.

    The figures of the task's own metrics have no field here: they are in `figures` under their keys.
    """

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, float | None] = Field(init=False)
    _new_names = renamed_fields({"points": "env_steps"}, warn=silent)

    step: StepKind
    round: int  # 0: random motion, or the version that the run starts from
    env_steps: int  # control steps of experience so far
    robot_minutes: float  # their duration
    wall_s: float  # of this step
    total_s: float  # of all steps so far
    ended: str  # UTC, ISO 8601
    version: str = ""  # that was trained or judged, or that acted

    start: str = ""  # of a training: fresh or warm
    transitions: int | None = None  # it learnt from; fewer than env_steps: without what follows a drop
    weights: str = ""  # digest of the network it gave
    one_step_nrmse: float | None = None  # on held-out episodes, in units of one step's change
    horizon_nrmse: float | None = None

    episodes: int | None = None
    dropped: int | None = None  # of the episodes
    kept_rate: float | None = None
    goal_rate: float | None = None
    return_mean: float | None = None
    accepted: bool | None = None  # of the step accept: whether this version collects

    def figures(self) -> dict[str, float]:
        """The figures of its episodes by key, as far as they are known: those of all tasks, and the task's own."""
        shared = {name: getattr(self, name) for name in ("episodes", *SHARED)}
        return {name: value for name, value in (shared | self.__pydantic_extra__).items() if value is not None}

    def same(self) -> dict[str, object]:
        """All that a repetition with the same plan reproduces."""
        return self.model_dump(exclude=TIMES, exclude_none=True)


class RunLog:
    """The rows of a run. A last line that a crash cut is dropped; its step runs again."""

    def __init__(self, path: Path) -> None:
        """Raises MbrlError for a line, other than a cut last one, that is not a row."""
        self.path = path
        self.rows = read_rows(path)

    def append(self, row: Row) -> None:
        """Add a row, on the disk when this returns."""
        whole = b"".join(_whole_lines(self.path))
        with self.path.open("ab") as file:
            file.truncate(len(whole))
            file.write(row.model_dump_json(exclude_none=True).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self.rows.append(row)

    def find(self, step: StepKind, number: int) -> Row | None:
        """The row of a step, None if it is not finished."""
        return next((r for r in self.rows if r.step == step and r.round == number), None)

    def of(self, step: StepKind) -> list[Row]:
        """The rows of one kind of step, oldest first."""
        return [row for row in self.rows if row.step == step]

    @property
    def last(self) -> Row | None:
        """The newest row."""
        return self.rows[-1] if self.rows else None


def read_rows(path: Path) -> list[Row]:
    """The finished rows of a log, which may be in use; empty where there is no file. Raises MbrlError."""
    rows = []
    for number, line in enumerate(_whole_lines(path), start=1):
        try:
            rows.append(Row.model_validate_json(line))
        except ValidationError as error:
            raise MbrlError(f"{path}: line {number} is damaged") from error
    return rows


def _whole_lines(path: Path) -> list[bytes]:
    try:
        lines = path.read_bytes().splitlines(keepends=True)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise MbrlError(f"{path}: cannot be read: {error.strerror}") from error
    return [line for line in lines if line.endswith(b"\n")]
