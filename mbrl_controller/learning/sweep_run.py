# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""`mbrl sweep`: options are searched, batch by batch; the best ones are judged once more, on other episodes.

The sweep's folder has its plan, Optuna's journal of the finished trials, and the run folders. The same command goes on
where it was stopped or killed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from optuna.trial import FrozenTrial

from mbrl_controller.base.engine import PROCESSES, checked_engine, workers
from mbrl_controller.base.errors import MbrlError
from mbrl_controller.base.files import write_atomically, write_json
from mbrl_controller.base.os_process import usable_cores
from mbrl_controller.base.resources import home_dir
from mbrl_controller.base.run_folder import NAME, mark_done, only_process
from mbrl_controller.contract.contract import parse_contract
from mbrl_controller.learning.grid_cell import STOP_FILE, Cell, Values, judged
from mbrl_controller.learning.grid_plan import CONFIRMATION_SEEDS
from mbrl_controller.learning.grid_record import better_of
from mbrl_controller.learning.grid_run import begin, begins_with, cell_name, run_cells, stop_file
from mbrl_controller.learning.grid_statistics import estimate
from mbrl_controller.learning.sweep_plan import SweepPlan
from mbrl_controller.learning.sweep_search import Search
from mbrl_controller.learning.sweep_trial import Ended, Trial, run_trial

RECORD_FILE, FIGURE_FILE, BEST_FILE = "record.json", "figure.png", "best.yaml"


@dataclass(frozen=True)
class SweepResult:
    """Where a sweep is, and its record; None: it was stopped, and the same command goes on."""

    folder: Path
    record: dict[str, Any] | None


def run(
    plan: SweepPlan,
    name: str,
    *,
    runs_dir: Path | None = None,
    models_dir: Path | None = None,
    processes: int | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    on_trial: Callable[[str, int, int], None] = lambda name, done, total: None,
    on: str = PROCESSES,
) -> SweepResult:
    """Run what is missing of a sweep, and write its record, figure and best options.

    Args:
        plan: what is searched.
        name: of its folder; one that is there goes on, if it has the same plan.
        runs_dir: None: runs/ below `home_dir()`.
        models_dir: registry of a version that acts; None: the user's.
        processes: trials at a time, of one batch; None: one for each core.
        should_stop: asked several times a second.
        on_trial: called with a finished trial in words, and how many are done and in all.
        on: what trials run on, as in base/engine.py; its machines must share the sweep's folder.

    Raises:
        MbrlError: something does not exist or fit, or every trial failed; what is done is kept.
    """
    checked_engine(on)
    if not NAME.match(name):
        raise MbrlError(f"run name {name!r}: use letters, digits, '_', '.', '-'")
    folder = (runs_dir or home_dir() / "runs") / "sweep" / name
    about = begins_with(plan.task, plan.source, models_dir)
    this = _Sweep(plan, folder, models_dir, str(about.get("version", "")), processes, on)
    begin(folder, json.dumps({**plan.model_dump(mode="json", by_alias=True), **about}, indent=2))
    with only_process(folder / ".lock", f"{folder}: this sweep is active in another process"):
        search = Search(folder, plan, this.better)
        with stop_file(folder / STOP_FILE, should_stop):
            if not this.trials(search, should_stop, on_trial):
                return SweepResult(folder, None)
        best = search.best()
        if best is None:
            errors = [trial.user_attrs.get("error", "ended early") for trial in search.finished]
            raise MbrlError(f"{folder}: no trial has a value; the last: {errors[-1]}")
        confirmed = this.confirm(search.options(best.params), best.number, should_stop)
        if confirmed is None:
            return SweepResult(folder, None)
        found = this.record(search, best, confirmed) | about
        write_json(folder / RECORD_FILE, found)
        chosen = {"task": plan.task, "from": str(plan.source), "set": {**plan.options, **search.options(best.params)}}
        write_atomically(folder / BEST_FILE, yaml.safe_dump(chosen, sort_keys=False).encode())
        from mbrl_controller.learning.sweep_figure import draw

        draw(folder / FIGURE_FILE, found)
        mark_done(folder)
        return SweepResult(folder, json.loads((folder / RECORD_FILE).read_text()))


class _Sweep:
    """A sweep at work."""

    def __init__(
        self, plan: SweepPlan, folder: Path, models_dir: Path | None, version: str, processes: int | None, on: str
    ) -> None:
        self.plan, self.folder, self._models_dir = plan, folder, models_dir
        self._source = plan.source._replace(name=version) if version else plan.source
        self._processes, self._on = processes, on
        first = plan.learn_plan({}, plan.seeds[0])  # what is wrong with the options of all is said here
        specs = parse_contract(first.contract, "", first.contract_folder).task.metric_specs
        figure = plan.evaluate.metric
        try:
            self.better = better_of(specs, figure)
        except ValueError as error:
            raise MbrlError(f"evaluate.metric: {error}, {', '.join(m.name for m in specs if m.better)}") from error
        self._row_key = {metric.name: metric.median_key for metric in specs}.get(figure, figure)
        self._unit = next((metric.unit for metric in specs if metric.name == figure), "")

    def trials(
        self, search: Search, should_stop: Callable[[], bool], on_trial: Callable[[str, int, int], None]
    ) -> bool:
        """Run the trials that are missing, batch by batch; whether all have ended.

        Args:
            search: what to try, and what is known.
            should_stop: asked between trials.
            on_trial: called with a finished trial in words, and how many are done and in all.
        """
        plan = self.plan
        while (done := len(search.finished)) < plan.trials:
            end = min((done // plan.batch + 1) * plan.batch, plan.trials)
            options = {number: search.options_of(number) for number in range(done, end)}
            jobs: dict[int, Trial | str] = {number: self._job(search, number, o) for number, o in options.items()}
            runnable = [job for job in jobs.values() if isinstance(job, Trial)]
            amount = min(self._processes or usable_cores(), max(1, len(runnable)))
            with workers(run_trial, amount, self._on) as pool:
                results = pool.results(runnable)
                for number, job in jobs.items():
                    if should_stop():
                        return False
                    ended = None if isinstance(job, str) else next(results)
                    if ended is not None and ended.stopped:
                        return False
                    self._note(search, number, options[number], ended, job)
                    on_trial(_text(number, search.finished[-1]), number + 1, plan.trials)
        return True

    def confirm(
        self, options: dict[str, Any], number: int, should_stop: Callable[[], bool]
    ) -> dict[int, list[Values]] | None:
        """The episodes of the best trial on seeds that nothing was chosen by; None: stopped.

        Args:
            options: of the trial.
            number: of the trial.
            should_stop: asked several times a second.
        """
        cells = {
            cell.plan.seed: replace(cell, name=f"best-{cell.name}", learnt_as=cell.name, first_seed=CONFIRMATION_SEEDS)
            for cell in self._cells(number, options)
        }
        if not run_cells(self.folder, list(cells.values()), self._processes, should_stop, lambda *_: None, self._on):
            return None
        return {seed: judged(cell) for seed, cell in cells.items()}

    def record(self, search: Search, best: FrozenTrial, confirmed: dict[int, list[Values]]) -> dict[str, Any]:
        """All that is known at the end, as data for a file."""
        plan, judged_again = self.plan, estimate(confirmed, self.plan.evaluate.metric)
        return {
            "task": plan.task,
            "from": plan.source.kind,
            "set": plan.options,
            "search": {name: entry.model_dump(mode="json") for name, entry in plan.search.items()},
            "seeds": list(plan.seeds),
            "evaluate": plan.evaluate.model_dump(),
            "better": "up" if self.better > 0 else "down",
            "unit": self._unit,
            "trials": [
                {
                    "trial": trial.number,
                    **search.options(trial.params),
                    "value": trial.value,
                    "ended": trial.state.name.lower(),
                    **({"error": trial.user_attrs["error"]} if "error" in trial.user_attrs else {}),
                }
                for trial in search.finished
            ],
            "best": {"trial": best.number, "set": search.options(best.params), "value": best.value},
            "confirmed": None
            if judged_again is None
            else {
                "first_seed": CONFIRMATION_SEEDS,
                "mean": judged_again.mean,
                "ci95": judged_again.ci95,
                "runs": judged_again.runs,
                "episodes": judged_again.episodes,
            },
        }

    def _job(self, search: Search, number: int, options: dict[str, Any]) -> Trial | str:
        """What runs as trial `number`, or why it cannot."""
        try:
            cells = self._cells(number, options)
        except MbrlError as error:
            return str(error)
        figure = self.plan.evaluate.metric
        return Trial(number, options, tuple(cells), figure, self._row_key, search.race(number))

    def _cells(self, number: int, options: dict[str, Any]) -> Sequence[Cell]:
        judging, plan = self.plan.evaluate, self.plan
        return [
            Cell(
                self.folder,
                cell_name(f"t{number:04d}", seed),
                plan.learn_plan(options, seed),
                self._source,
                self._models_dir,
                judging.episodes,
                judging.seed,
                judging.judge,
            )
            for seed in plan.seeds
        ]

    def _note(
        self, search: Search, number: int, options: dict[str, Any], ended: Ended | None, job: Trial | str
    ) -> None:
        """Add a trial to the journal."""
        error = job if isinstance(job, str) else ""
        value = None if ended is None else ended.value
        if value is not None and not np.isfinite(value):
            value, error = None, f"trial {number}: an episode has no {self.plan.evaluate.metric}"
        search.add(options, value, {} if ended is None else ended.reports, error)


def _text(number: int, trial: FrozenTrial) -> str:
    ended = f"{trial.value:.4g}" if trial.value is not None else trial.user_attrs.get("error", "ended early")
    return f"trial {number}: {ended}"
