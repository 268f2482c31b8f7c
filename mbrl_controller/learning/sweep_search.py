# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What a sweep tries next, and whether a trial ends early: Optuna's samplers and pruners over the finished trials.

The journal holds finished trials only. What is tried next follows from them, the seed and the number of the trial, so a
sweep that was killed tries the same again, and the number of processes changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.pruners import BasePruner, NopPruner, PercentilePruner
from optuna.samplers import TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState, create_trial

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.learning.sweep_plan import Choices, Pruning, Range, SweepPlan

optuna.logging.set_verbosity(optuna.logging.WARNING)
Direction = Literal["maximize", "minimize"]
JOURNAL_FILE = "journal.log"


class Search:
    """The finished trials of a sweep, on the disk, and what to try next."""

    def __init__(self, folder: Path, plan: SweepPlan, better: int) -> None:
        """Raises MbrlError for a journal that cannot be read.

        Args:
            folder: of the sweep.
            plan: what is searched.
            better: 1 where more of the figure is better, -1 where less is.
        """
        self._plan = plan
        self._direction: Direction = "maximize" if better > 0 else "minimize"
        self._distributions = {name: _distribution(entry) for name, entry in plan.search.items()}
        path = folder / JOURNAL_FILE
        try:
            storage = JournalStorage(JournalFileBackend(str(path)))
            self._study = optuna.create_study(
                storage=storage, study_name="sweep", direction=self._direction, load_if_exists=True
            )
        except (OSError, ValueError, KeyError) as error:
            raise MbrlError(f"{path}: cannot be used as a journal of trials: {error}") from error

    @property
    def finished(self) -> list[FrozenTrial]:
        """All trials that have ended, in their order."""
        return list(self._study.get_trials(deepcopy=False))

    def options_of(self, number: int) -> dict[str, Any]:
        """The options that trial `number` tries, chosen by the trials of earlier batches."""
        earlier = self.finished[: number // self._plan.batch * self._plan.batch]
        sampler = TPESampler(seed=self._plan.seed * 100_000 + number)
        chosen = self._in_memory(earlier, sampler=sampler).ask(self._distributions).params
        return self.options(chosen)

    def options(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Parameters as Optuna has them, as options."""
        choices = {name for name, entry in self._plan.search.items() if isinstance(entry, Choices)}
        return {name: json.loads(value) if name in choices else value for name, value in parameters.items()}

    def add(self, options: Mapping[str, Any], value: float | None, reports: Mapping[int, float], error: str) -> None:
        """The next trial has ended.

        Args:
            options: that it tried.
            value: of its figure; None: it ended early, or failed.
            reports: values on the way, by step.
            error: why it failed; empty if it did not.
        """
        state = TrialState.COMPLETE if value is not None else TrialState.FAIL if error else TrialState.PRUNED
        choices = {name for name, entry in self._plan.search.items() if isinstance(entry, Choices)}
        self._study.add_trial(
            create_trial(
                state=state,
                value=value,
                params={name: json.dumps(o) if name in choices else o for name, o in options.items()},
                distributions=self._distributions,
                intermediate_values=dict(reports),
                user_attrs={"error": error} if error else {},
            )
        )

    def race(self, number: int) -> Race:
        """What tells whether trial `number` is behind, compared with the trials of earlier batches."""
        earlier = self.finished[: number // self._plan.batch * self._plan.batch]
        return Race(self._direction, self._plan.prune, [trial for trial in earlier if trial.intermediate_values])

    def best(self) -> FrozenTrial | None:
        """The finished trial with the best value; None while there is none."""
        complete = [trial for trial in self.finished if trial.state is TrialState.COMPLETE]
        sign = 1 if self._direction == "maximize" else -1
        return max(complete, key=lambda trial: sign * _value(trial), default=None)

    def _in_memory(self, trials: Sequence[FrozenTrial], **options: Any) -> optuna.Study:
        study = optuna.create_study(direction=self._direction, **options)
        study.add_trials(trials)
        return study


class Race:
    """Whether a trial is behind others; plain data, so that it passes between processes."""

    def __init__(self, direction: Direction, pruning: Pruning, others: list[FrozenTrial]) -> None:
        self._direction, self._pruning, self._others = direction, pruning, others
        self.reports: dict[int, float] = {}

    def is_behind(self, step: int, value: float) -> bool:
        """Note a value of the trial at `step`; whether it should end."""
        self.reports[step] = value
        pruner: BasePruner = NopPruner()
        if self._pruning.keep < 1:
            pruner = PercentilePruner(100 * self._pruning.keep, n_startup_trials=self._pruning.after)
        study = optuna.create_study(direction=self._direction, pruner=pruner)
        study.add_trials(self._others)
        trial = study.ask()
        for at, known in sorted(self.reports.items()):
            trial.report(known, at)
        return trial.should_prune()


def _distribution(entry: Range | Choices) -> BaseDistribution:
    if isinstance(entry, Choices):
        return CategoricalDistribution([json.dumps(value) for value in entry.values])
    if entry.whole:
        return IntDistribution(int(entry.low), int(entry.high), log=entry.log)
    return FloatDistribution(float(entry.low), float(entry.high), log=entry.log)


def _value(trial: FrozenTrial) -> float:
    assert trial.value is not None  # it is complete
    return trial.value
