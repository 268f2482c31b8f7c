# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The job between sessions: episodes to the next model version, or to the reason why there is none.

Everything happens in a run folder; the registry is touched once, at the end, by renames. A run that was stopped or
killed goes on with `resume`, to the result it would have had.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mbrl_controller.base.errors import DatasetError
from mbrl_controller.base.resources import home_dir
from mbrl_controller.base.run_folder import mark_done, new_run, newest_unfinished, only_process
from mbrl_controller.control.task_config import planner_defaults
from mbrl_controller.dynamics.data import TransitionSet
from mbrl_controller.dynamics.export import export_onnx
from mbrl_controller.dynamics.train_config import TrainConfig
from mbrl_controller.dynamics.trainer import EnsembleTrainer, EpochReport, FitResult, TrainCallbacks
from mbrl_controller.dynamics.validation import JUDGED, evaluate, longest_horizon
from mbrl_controller.episodes.data_schema import source_kinds
from mbrl_controller.models.onnx_ensemble import OnnxEnsemble
from mbrl_controller.models.registry import INT8_FILE, MODEL_FILE, ModelCard, Registry, Version, file_sha256
from mbrl_controller.models.spec import ModelSpec
from mbrl_controller.training.dataset import PART_S, Dataset, load_dataset
from mbrl_controller.training.quantise import PLANNER, Int8Verdict, add_int8
from mbrl_controller.training.report import write_report
from mbrl_controller.training.retrain_plan import (
    Precision,
    Prepared,
    RunPlan,
    command_of,
    make_plan,
    prepare,
    read_plan,
)

LOCK_FILE = ".retraining"
MIN_TRANSITIONS = 200
MIN_EPISODES = 2
MIN_SHARE = 0.5  # of the parent's data: held-out episodes are new ones, on which a model of little else looks good
SLACK = 1.02  # a version is worse when a held-out error is more than 2 % above its parent's

Status = Literal["promoted", "added", "refused", "stopped"]


@dataclass(frozen=True)
class RetrainResult:
    """How a run ended. `metrics` are those of the new model on held-out episodes, `baseline` the parent's."""

    status: Status
    reason: str
    run_folder: Path
    version: Version | None
    metrics: dict[str, float]
    baseline: dict[str, float]
    dataset: Dataset


class Listener:
    """Told what is going on; a command line shows it, tests count it."""

    def files(self, total: int) -> None:
        """So many episode files will be read."""

    def file(self, path: Path) -> None:
        """One of them was read."""

    def stage(self, text: str) -> None:
        """A new part of the work begins."""

    def epoch(self, report: EpochReport, config: TrainConfig) -> None:
        """An epoch ended."""


def run(
    task: str,
    *,
    episodes: list[Path] | None = None,
    models_dir: Path | None = None,
    contract: Path | None = None,
    start: Literal["fresh", "warm"] = "fresh",
    force: bool = False,
    promote: bool = True,
    resume: bool = False,
    precision: Precision = "auto",
    options: dict[str, Any] | None = None,
    notes: str = "",
    runs_dir: Path | None = None,
    threads: int | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    listener: Listener | None = None,
) -> RetrainResult:
    """Train the next version of `task` from the episodes below `episodes` (default: all of this user's).

    `options` override the task's training options; `resume` goes on with the newest unfinished run and ignores the
    rest. Raises MbrlError: nothing has changed in the registry then.
    """
    listener = listener or Listener()
    registry = Registry(models_dir)
    base = (runs_dir or home_dir() / "runs") / "retrain" / task
    # Two retrains of one task would race for the same checkpoint (in a folder of runs), or the same version name (in a
    # registry, whose own lock is held for moments).
    busy = "another retrain of this task is running ({})"
    with (
        only_process(base / LOCK_FILE, busy.format(base)),
        only_process(registry.root / task / LOCK_FILE, busy.format(registry.root / task)),
    ):
        if resume:
            folder = newest_unfinished(base)
            plan = read_plan(folder)
            prepared = prepare(plan, registry)
        else:
            plan = make_plan(task, episodes, contract, registry, start, force, promote, precision, options, notes)
            prepared = prepare(plan, registry)
            folder = new_run(base, plan.model_dump_json(indent=2))
        return _Run(plan, prepared, folder, registry, threads, should_stop, listener).run()


class _Run:
    def __init__(
        self,
        plan: RunPlan,
        prepared: Prepared,
        folder: Path,
        registry: Registry,
        threads: int | None,
        should_stop: Callable[[], bool],
        listener: Listener,
    ) -> None:
        self.plan, self.folder, self.registry, self.threads = plan, folder, registry, threads
        self.should_stop, self.listener = should_stop, listener
        self.contract, self.parent = prepared.contract, prepared.parent
        self.spec, self.weights = prepared.spec, prepared.weights

    def run(self) -> RetrainResult:
        plan, listener, spec = self.plan, self.listener, self.spec
        for name, why in plan.passed_over.items():
            listener.stage(f"{name} is no parent: {why}")
        listener.stage("reading episodes")
        listener.files(len(plan.files))
        dataset = load_dataset([Path(f) for f in plan.files], self.contract, listener.file)
        data = dataset.data
        try:
            data.require(MIN_TRANSITIONS, MIN_EPISODES, "training data")
        except DatasetError as error:
            raise DatasetError(f"{error}; one of {1.5 * PART_S:g} s or more counts as several") from error
        train, held_out = data.split_by_episode(plan.train.holdout_fraction)
        listener.stage(f"training on {len(train)} transitions, judging on {len(held_out)}")
        callbacks = TrainCallbacks(lambda report: listener.epoch(report, plan.train), self.should_stop)
        trainer = EnsembleTrainer(
            spec,
            plan.train,
            tuple(self.contract.task.symmetries),
            self.weights,
            callbacks,
            checkpoint=self.folder / "checkpoint.npz",
            threads=self.threads,
        )
        result = trainer.fit(train, held_out)
        if result.stopped:
            return RetrainResult("stopped", "stopped; --resume goes on", self.folder, None, {}, {}, dataset)
        listener.stage(f"validating against {self.parent.name}" if self.parent else "validating")
        return self._conclude(result, dataset, train, held_out)

    def _conclude(
        self,
        result: FitResult,
        dataset: Dataset,
        train: TransitionSet,
        held_out: TransitionSet,
    ) -> RetrainResult:
        plan, parent, spec = self.plan, self.parent, self.spec
        files = self.folder / "version"
        shutil.rmtree(files, ignore_errors=True)
        files.mkdir()
        samples = held_out.state[:512], held_out.action[:512]
        exported = export_onnx(result.model, spec, files / MODEL_FILE, samples=samples)
        metrics = result.metrics | self._validate(OnnxEnsemble.load(files / MODEL_FILE), exported, held_out)
        baseline = self._baseline(held_out)
        worse = compare(metrics, baseline)
        if parent and plan.start == "fresh":
            worse = too_little(len(dataset.data), parent.card().spec.transitions) or worse
        name = self.registry.next_name(plan.task)
        spec = exported.model_copy(
            update={
                "version": name,
                "parent": parent.name if parent else "",
                "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
                "data_digest": dataset.data.digest(),
                "transitions": len(dataset.data),
                "metrics": {k: v for k, v in metrics.items() if np.isfinite(v)},
                "disagreement_limit": metrics["disagreement_limit"],
            }
        )
        spec = export_onnx(result.model, spec, files / MODEL_FILE, samples=samples)
        verdict = f"worse than {parent.name}: {worse}" if parent and worse else ""
        int8 = self._int8(files, train, held_out)
        write_report(files, spec, result.history, metrics, baseline, dataset, verdict, int8, plan.passed_over)
        card = ModelCard(
            spec=spec,
            model_sha256=file_sha256(files / MODEL_FILE),
            command=command_of(plan),
            notes=plan.notes,
            int8_sha256=file_sha256(files / INT8_FILE) if int8 and int8.passed else None,
            int8_figures=int8.figures if int8 else {},
            int8_refused=int8.reason if int8 else "",
            measured=source_kinds(self.contract),
        )
        status: Status = "added"
        version: Version | None = None
        if verdict and not plan.force:
            status, reason = "refused", f"{verdict} (--force adds it all the same; report: {files / 'report.md'})"
        else:
            version = self.registry.add(plan.task, files, card)
            reason = verdict or self._why_added()
            if plan.promote:
                self.registry.promote(plan.task, version.name)
                status = "promoted"
        mark_done(self.folder, f"{status}: {reason}\n")
        return RetrainResult(status, reason, self.folder, version, metrics, baseline, dataset)

    def _int8(self, files: Path, train: TransitionSet, held_out: TransitionSet) -> Int8Verdict | None:
        """The 8-bit file beside the fp32 one in `files`, if it is asked for."""
        if self.plan.precision == "fp32":
            return None
        self.listener.stage("comparing with 8 bit")
        return add_int8(files, self.contract, planner_defaults(self.plan.task, PLANNER), train, held_out)

    def _validate(self, model: OnnxEnsemble, spec: ModelSpec, held_out: TransitionSet) -> dict[str, float]:
        return evaluate(model.predict, held_out, spec, longest_horizon(held_out))

    def _baseline(self, held_out: TransitionSet) -> dict[str, float]:
        """The parent on the same held-out episodes. Its joint limits may be others: what it predicts is comparable."""
        if self.parent is None:
            return {}
        model = OnnxEnsemble.load(self.parent.read(self.parent.model, self.parent.card()))
        return self._validate(model, model.spec, held_out)

    def _why_added(self) -> str:
        passed = "; ".join(f"{name}: {why}" for name, why in self.plan.passed_over.items())
        if self.parent is not None:
            return f"not worse than {self.parent.name}" + (f" (no parent is {passed})" if passed else "")
        return f"there is none to compare it with ({passed})" if passed else "the first version"


def compare(metrics: dict[str, float], baseline: dict[str, float]) -> str:
    """In which held-out errors `metrics` are worse than `baseline`, in words; empty if in none."""
    worse = [
        f"{name} {metrics[name]:.4g} above {baseline[name]:.4g}"
        for name in JUDGED
        if name in baseline and not metrics[name] <= SLACK * baseline[name]
    ]
    return ", ".join(worse)


def too_little(transitions: int, before: int) -> str:
    """Why a fresh model of so few `transitions` must not follow one of `before`, in words; empty if it may.

    What the held-out episodes do not show (other directions, other grips) it has never seen.
    """
    if transitions >= MIN_SHARE * before:
        return ""
    return f"learnt from {transitions} transitions, the version before from {before}"
