# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Random motion first, then rounds of learning from all that there is and collecting with what was learnt.

Everything lies in the run's folder: plan, episodes, a registry of its own, and a log row for each finished step. A run
that was stopped or killed at any moment goes on from there, to the result it would have had.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mbrl_controller.base.deprecated import old_files
from mbrl_controller.base.errors import MbrlError
from mbrl_controller.base.os_process import usable_cores
from mbrl_controller.base.resources import home_dir
from mbrl_controller.base.run_folder import PLAN_FILE, mark_done, new_run, newest_unfinished, only_process
from mbrl_controller.learning.callbacks import LearnCallback
from mbrl_controller.learning.config import LearnPlan, make_plan
from mbrl_controller.learning.eta import time_left
from mbrl_controller.learning.live import Live
from mbrl_controller.learning.log import LOG_FILE, Records, Row
from mbrl_controller.learning.rounds import StoppedError, Work
from mbrl_controller.models.registry import Registry, Version
from mbrl_controller.rollouts.pool import EpisodePool
from mbrl_controller.stack.launcher import require_modules


@dataclass(frozen=True)
class Learned:
    """How a run ended, or stands."""

    folder: Path
    plan: LearnPlan
    rows: list[Row]
    finished: bool  # False: stopped; resuming goes on

    @property
    def best(self) -> Row | None:
        """The held-out evaluation with the most goals reached, among equals that with the highest return; None before
        the first. A return alone would be decided by one dropped ball."""
        judged = [row for row in self.rows if row.step == "evaluate" and row.return_mean is not None]
        return max(judged, key=lambda row: (row.goal_rate or 0.0, row.return_mean or 0.0), default=None)

    def best_version(self) -> Version | None:
        """The version of `best`, in the run's own registry."""
        return Registry(self.folder / "models").resolve(self.plan.task, self.best.version) if self.best else None


def run(
    task: str,
    *,
    seed: int = 0,
    settings: dict[str, Any] | None = None,
    contract: Path | None = None,
    name: str | None = None,
    resume: bool = False,
    runs_dir: Path | None = None,
    processes: int | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    callback: LearnCallback | None = None,
) -> Learned:
    """Learn `task` from nothing. `settings`: options of LearnPlan. `name`: of the run's folder, else the time.

    `resume` goes on with the run `name`, or the newest unfinished one, and takes nothing else. `should_stop` is asked
    between steps and episodes and while training. Raises MbrlError.
    """
    base = (runs_dir or home_dir() / "runs") / "learn" / task
    if resume:
        if settings or contract or seed:
            raise MbrlError("a resumed run follows its own plan: give no seed and no other settings")
        folder = base / name if name else newest_unfinished(base)  # a finished run has nothing left to do
        plan = read_plan(folder)
    else:
        plan = make_plan(task, seed=seed, contract=contract, settings=settings)
        folder = new_run(base, plan.model_dump_json(indent=2), name)
    with only_process(folder / ".lock", f"{folder}: this run is going on in another process"):
        return _Run(folder, plan, processes, should_stop, callback or LearnCallback()).run()


def read_plan(folder: Path) -> LearnPlan:
    """The plan of the run in `folder`; raises MbrlError."""
    path = folder / PLAN_FILE
    try:
        with old_files():
            return LearnPlan.model_validate_json(path.read_bytes())
    except OSError as error:
        raise MbrlError(f"{path}: cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise MbrlError(f"{path}: cannot be resumed: {error}") from error


class _Run:
    def __init__(
        self,
        folder: Path,
        plan: LearnPlan,
        processes: int | None,
        should_stop: Callable[[], bool],
        callback: LearnCallback,
    ) -> None:
        self.folder, self.plan, self.should_stop, self.callback = folder, plan, should_stop, callback
        self.records = Records(folder / LOG_FILE)
        self.pool = EpisodePool(processes or usable_cores())
        self.work = Work(folder, plan, self.records, self.pool, should_stop, callback)

    def run(self) -> Learned:
        callback = self.callback
        if self.plan.through_ros:
            require_modules()
        callback.on_run_start(self.plan, self.records.rows)
        live = Live(self.folder, f"{self.plan.task} {self.folder.name}", self.records.rows, callback.on_note)
        try:
            with self.pool:
                return self._steps(live)
        finally:
            live.close()

    def _steps(self, live: Live) -> Learned:
        for step, number in self._due():
            if self.records.find(step, number):
                continue
            if self.should_stop():
                return self._outcome(False)
            began = time.monotonic()
            try:
                figures = self.work.do(step, number)
            except StoppedError:
                return self._outcome(False)
            self.records.append(self._row(step, number, figures, time.monotonic() - began))
            live.row(self.records.rows)
            self.callback.on_step_end(
                self.records.rows[-1], time_left(self.plan, self.records.rows, self.work.contract)
            )
        mark_done(self.folder)
        return self._outcome(True)

    def _due(self) -> Iterator[tuple[str, int]]:
        """The steps in their order; how many there are is known when their experience is."""
        yield "random", 0
        for number in itertools.count(1):
            yield "train", number
            if self.plan.accept != "always":
                yield "accept", number
            last = self.plan.is_last(number, self._points(), self.work.contract)
            if last or number % self.plan.evaluate_every == 0:
                yield "evaluate", number
            if last:
                return
            yield "collect", number

    def _points(self) -> int:
        """Experience so far; a step that is asked for has all before it in the log."""
        return self.records.rows[-1].points

    def _row(self, step: str, number: int, figures: dict[str, Any], wall_s: float) -> Row:
        before = self.records.last
        points = (before.points if before else 0) + figures.pop("steps", 0)
        return Row(
            step=step,
            round=number,
            points=points,
            robot_minutes=points * self.work.contract.action.period / 60,
            wall_s=wall_s,
            total_s=(before.total_s if before else 0.0) + wall_s,
            ended=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            **figures,
        )

    def _outcome(self, finished: bool) -> Learned:
        return Learned(self.folder, self.plan, list(self.records.rows), finished)
