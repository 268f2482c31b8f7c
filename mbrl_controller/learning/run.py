# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Random motion, or episodes of a version to start from; then rounds: train on all data, evaluate, collect.

The run's folder holds its plan, episodes, registry, and a log row for each finished step. A run that was stopped or
killed at any moment resumes there, to the result it would have had.
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
from mbrl_controller.base.engine import PROCESSES, checked_engine
from mbrl_controller.base.errors import MbrlError
from mbrl_controller.base.os_process import usable_cores
from mbrl_controller.base.resources import home_dir
from mbrl_controller.base.run_folder import PLAN_FILE, mark_done, new_run, newest_unfinished, only_process
from mbrl_controller.learning.callbacks import LearnCallback
from mbrl_controller.learning.config import LearnPlan
from mbrl_controller.learning.eta import eta_seconds
from mbrl_controller.learning.log import LOG_FILE, Row, RunLog, StepKind
from mbrl_controller.learning.rounds import RoundRunner, StoppedError
from mbrl_controller.learning.run_logger import RunLogger
from mbrl_controller.learning.task_plan import make_plan
from mbrl_controller.models.card import Version
from mbrl_controller.models.registry import Registry
from mbrl_controller.models.spec import describe_validation
from mbrl_controller.rollouts.pool import EpisodePool
from mbrl_controller.stack.launcher import require_modules


@dataclass(frozen=True)
class LearnResult:
    """How a run ended or stopped."""

    folder: Path
    plan: LearnPlan
    rows: list[Row]
    finished: bool  # False: stopped; it can be resumed

    @property
    def best(self) -> Row | None:
        """The evaluation with the highest goal rate, and of equals the highest return; None before the first.

        By return alone, one dropped ball would decide."""
        judged = [row for row in self.rows if row.step is StepKind.EVALUATE and row.return_mean is not None]
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
    on: str = PROCESSES,
) -> LearnResult:
    """Learn `task` from nothing, or from a version (`base.version` of the settings).

    Args:
        task: to learn.
        seed: reproduces a run.
        settings: options of LearnPlan, nested or with dotted names.
        contract: of the robot; None: the task's.
        name: of the run's folder; None: the time (UTC).
        resume: continue the run `name`, or the newest unfinished one; it follows its plan and takes no other settings.
        runs_dir: None: runs/ below `home_dir()`.
        processes: episodes at a time; None: one for each core.
        should_stop: asked between steps and episodes and while training.
        callback: hears of the progress.
        on: what episodes run on, as in base/engine.py.

    Raises:
        MbrlError: something does not exist or fit, or failed.
    """
    checked_engine(on)  # before there is a folder
    base = (runs_dir or home_dir() / "runs") / "learn" / task
    if resume:
        if settings or contract or seed:
            raise MbrlError("a resumed run follows its own plan: give no seed and no other settings")
        folder = base / name if name else newest_unfinished(base)  # a finished run has nothing left to do
    else:
        plan = make_plan(task, seed=seed, contract=contract, settings=settings)
        folder = new_run(base, plan.model_dump_json(indent=2), name)
    return go_on(folder, processes, should_stop, callback, on)


def go_on(
    folder: Path,
    processes: int | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    callback: LearnCallback | None = None,
    on: str = PROCESSES,
) -> LearnResult:
    """Do what is left of the run in `folder`, as its plan says.

    Args:
        folder: of the run, with its plan.
        processes: episodes at a time; None: one for each core.
        should_stop: asked between steps and episodes and while training.
        callback: hears of the progress.
        on: what episodes run on, as in base/engine.py.

    Raises:
        MbrlError: there is no such run, it is active elsewhere, or something failed.
    """
    plan = read_plan(folder)
    with only_process(folder / ".lock", f"{folder}: this run is active in another process"):
        pool = EpisodePool(processes or usable_cores(), on)
        return _Run(folder, plan, pool, should_stop, callback or LearnCallback()).run()


def read_plan(folder: Path) -> LearnPlan:
    """The plan of the run in `folder`; raises MbrlError."""
    path = folder / PLAN_FILE
    try:
        with old_files():
            return LearnPlan.model_validate_json(path.read_bytes())
    except OSError as error:
        raise MbrlError(f"{path}: cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise MbrlError(f"{path}: cannot be resumed: {describe_validation(error)}") from error


class _Run:
    def __init__(
        self,
        folder: Path,
        plan: LearnPlan,
        pool: EpisodePool,
        should_stop: Callable[[], bool],
        callback: LearnCallback,
    ) -> None:
        self.folder, self.plan, self.should_stop, self.callback = folder, plan, should_stop, callback
        self.log = RunLog(folder / LOG_FILE)
        self.pool = pool
        self.rounds = RoundRunner(folder, plan, self.log, self.pool, should_stop, callback)

    def run(self) -> LearnResult:
        callback = self.callback
        if self.plan.through_ros:
            require_modules(self.plan.hand == "real")
        callback.on_run_start(self.plan, self.log.rows)
        at_random, limit = self.plan.random_env_steps(self.rounds.contract), self.plan.env_steps
        if limit is not None and at_random > limit:
            callback.on_note(
                f"env_steps={limit} is less than the {at_random} steps of random motion, which all come first: "
                "set random_episodes or random_seconds for fewer"
            )
        title, specs = f"{self.plan.task} {self.folder.name}", self.rounds.contract.task.metric_specs
        logger = RunLogger(self.folder, title, self.log.rows, specs, callback.on_note)
        try:
            with self.pool:
                return self._steps(logger)
        finally:
            logger.close()

    def _steps(self, logger: RunLogger) -> LearnResult:
        for step, number in self._due():
            if self.log.find(step, number):
                continue
            if self.should_stop():
                return self._outcome(False)
            began = time.monotonic()
            try:
                figures = self.rounds.run(step, number)
            except StoppedError:
                return self._outcome(False)
            self.log.append(self._row(step, number, figures, time.monotonic() - began))
            logger.add(self.log.rows)
            self.callback.on_step_end(self.log.rows[-1], eta_seconds(self.plan, self.log.rows, self.rounds.contract))
        mark_done(self.folder)
        return self._outcome(True)

    def _due(self) -> Iterator[tuple[StepKind, int]]:
        """The steps in order; the experience decides which round is the last."""
        yield from self._first()
        for number in itertools.count(1):
            yield StepKind.TRAIN, number
            if self.plan.hand == "real":  # the episodes that a version collects are its evaluation
                yield StepKind.COLLECT, number
                yield StepKind.EVALUATE, number
                if self.plan.is_last(number, self._env_steps(), self.rounds.contract):
                    return
                continue
            if self.plan.acceptance_test != "always":
                yield StepKind.ACCEPT, number
            last = self.plan.is_last(number, self._env_steps(), self.rounds.contract)
            if last or number % self.plan.evaluate_every == 0:
                yield StepKind.EVALUATE, number
            if last:
                return
            yield StepKind.COLLECT, number

    def _first(self) -> Iterator[tuple[StepKind, int]]:
        """What comes before the first training: of a run from a version, all of a round but that."""
        if not self.plan.base.version:
            yield StepKind.RANDOM, 0
            return
        yield StepKind.START, 0
        if self.plan.hand == "real":
            yield StepKind.COLLECT, 0
            yield StepKind.EVALUATE, 0
            return
        if self.plan.acceptance_test != "always":
            yield StepKind.ACCEPT, 0
        yield StepKind.EVALUATE, 0
        yield StepKind.COLLECT, 0

    def _env_steps(self) -> int:
        """Experience so far: when `_due` continues, all earlier steps are in the log."""
        return self.log.rows[-1].env_steps

    def _row(self, step: StepKind, number: int, figures: dict[str, Any], wall_s: float) -> Row:
        before = self.log.last
        env_steps = (before.env_steps if before else 0) + figures.pop("steps", 0)
        return Row(
            step=step,
            round=number,
            env_steps=env_steps,
            robot_minutes=env_steps * self.rounds.contract.action.period / 60,
            wall_s=wall_s,
            total_s=(before.total_s if before else 0.0) + wall_s,
            ended=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            **figures,
        )

    def _outcome(self, finished: bool) -> LearnResult:
        return LearnResult(self.folder, self.plan, list(self.log.rows), finished)
