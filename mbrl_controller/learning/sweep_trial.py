# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""One trial of a sweep: its options at each seed, an ordinary cell each, until it has a value or is clearly behind."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mbrl_controller.learning.callbacks import LearnCallback
from mbrl_controller.learning.config import LearnPlan
from mbrl_controller.learning.grid_cell import STOP_FILE, Cell, run_cell
from mbrl_controller.learning.log import Row, StepKind
from mbrl_controller.learning.sweep_search import Race

SEED_STEPS = 1000  # of reports: those of a run's rounds lie between two seeds


@dataclass(frozen=True)
class Trial:
    """What a process needs to run one."""

    number: int
    options: dict[str, Any]
    cells: tuple[Cell, ...]
    figure: str  # of its episodes, whose mean over seeds is the trial's value
    row_key: str  # of a learning run's evaluations, with which it is compared on the way
    race: Race


@dataclass(frozen=True)
class Ended:
    """How a trial ended: with a value, behind others (no value), or stopped, to go on later."""

    trial: Trial
    value: float | None = None
    stopped: bool = False
    reports: dict[int, float] = field(default_factory=dict)


class _Watching(LearnCallback):
    """Compares each evaluation of a run with those of other trials."""

    def __init__(self, trial: Trial, place: int) -> None:
        self._trial, self._place, self.behind = trial, place, False

    def should_stop(self) -> bool:
        """Whether the trial is behind, or a person wants the sweep to stop."""
        return self.behind or (self._trial.cells[self._place].grid / STOP_FILE).exists()

    def on_run_start(self, plan: LearnPlan, rows: list[Row]) -> None:
        """See LearnCallback."""
        for row in rows:
            self._look(row)

    def on_step_end(self, row: Row, left_s: float | None) -> None:
        """See LearnCallback."""
        self._look(row)

    def _look(self, row: Row) -> None:
        value = row.figures().get(self._trial.row_key)
        if row.step is StepKind.EVALUATE and value is not None and not self.behind:
            self.behind = self._trial.race.is_behind(SEED_STEPS * self._place + row.round, value)


def run_trial(trial: Trial) -> Ended:
    """Run its cells one after the other; raises MbrlError."""
    means: list[float] = []
    race = trial.race
    for place, cell in enumerate(trial.cells):
        watching = _Watching(trial, place)
        episodes = run_cell(cell, watching.should_stop, watching)
        if episodes is None:
            return Ended(trial, stopped=not watching.behind, reports=race.reports)
        means.append(float(np.mean([values.get(trial.figure, math.nan) for values in episodes])))
        last = place == len(trial.cells) - 1
        if not last and race.is_behind(SEED_STEPS * (place + 1), float(np.mean(means))):
            return Ended(trial, reports=race.reports)
    return Ended(trial, value=float(np.mean(means)), reports=race.reports)
