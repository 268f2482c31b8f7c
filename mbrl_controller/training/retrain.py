# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""From logged episodes to the next model version, or to the reason why there is none.

Everything happens in a run folder; at the end the version is added to the registry, whole. A run that was stopped or
killed continues with `resume`, to the result it would have had.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Literal

import numpy as np

from mbrl_controller.base.cache_folder import cache_dir
from mbrl_controller.base.errors import DatasetError
from mbrl_controller.base.files import write_atomically
from mbrl_controller.base.resources import home_dir
from mbrl_controller.base.run_folder import mark_done, new_run, newest_unfinished, only_process
from mbrl_controller.control.task_config import planner_defaults
from mbrl_controller.dynamics.data import MIN_EPISODES, MIN_TRANSITIONS, TransitionSet
from mbrl_controller.dynamics.export import export_onnx
from mbrl_controller.dynamics.head_trainer import FittedHead
from mbrl_controller.dynamics.trainer import EnsembleTrainer, FitResult, TrainCallbacks
from mbrl_controller.dynamics.validation import evaluate, longest_horizon
from mbrl_controller.episodes.data_schema import source_kinds
from mbrl_controller.models.card import INT8_FILE, MODEL_FILE, ModelCard, Version
from mbrl_controller.models.onnx_ensemble import OnnxEnsemble
from mbrl_controller.models.origin import unknown_note
from mbrl_controller.models.registry import Registry, file_sha256
from mbrl_controller.models.spec import ModelSpec
from mbrl_controller.training.acceptance import too_little_data, worse_errors
from mbrl_controller.training.callbacks import RetrainCallback
from mbrl_controller.training.dataset import PART_S, Dataset, load_dataset
from mbrl_controller.training.quantise import PLANNER, add_int8
from mbrl_controller.training.report import write_report
from mbrl_controller.training.retrain_plan import (
    RetrainInputs,
    RetrainPlan,
    RetrainRequest,
    check_plan,
    command_of,
    make_plan,
    read_plan,
)
from mbrl_controller.training.reward_fit import add_reward, fit_reward, labels_of
from mbrl_controller.training.reward_labels import LabelledSteps

LOCK_FILE = ".retraining"
ADDED_FILE = "added"  # in a run's folder: `created` of the version that it adds to the registry
SAMPLES = 512  # validation rows by which an export is checked

Status = Literal["promoted", "added", "refused", "stopped"]


@dataclass(frozen=True)
class RetrainResult:
    """How a run ended, with the validation metrics of the new model, and of its parent as `baseline`."""

    status: Status
    reason: str
    run_folder: Path
    version: Version | None
    metrics: dict[str, float]
    baseline: dict[str, float]
    dataset: Dataset


@dataclass(frozen=True)
class _Run:
    """What every stage needs."""

    plan: RetrainPlan
    inputs: RetrainInputs
    folder: Path
    registry: Registry
    callback: RetrainCallback

    @property
    def files(self) -> Path:
        """The folder in which the version is made."""
        return self.folder / "version"


@dataclass(frozen=True)
class _Data:
    dataset: Dataset
    train: TransitionSet
    validation: TransitionSet
    labels: LabelledSteps | None = None  # of the reward, where one is learnt


@dataclass(frozen=True)
class _Validation:
    """`spec` of the exported model; `failed`: why it is worse than its parent, empty if it is not."""

    spec: ModelSpec
    metrics: dict[str, float]
    baseline: dict[str, float]
    failed: str


def run(
    request: RetrainRequest,
    should_stop: Callable[[], bool] = lambda: False,
    callback: RetrainCallback | None = None,
    processes: int = 1,
) -> RetrainResult:
    """Train, validate, package and publish the next version.

    Args:
        request: what to learn, and from what.
        should_stop: asked while training.
        callback: hears of the progress.
        processes: that read the episodes, see `load_dataset`.

    Raises:
        MbrlError: the registry is unchanged.
    """
    registry = Registry(request.models_dir)
    base = (request.runs_dir or home_dir() / "runs") / "retrain" / request.task
    models = registry.root / request.task
    # Two retrains of one task would race for the same checkpoint (in a folder of runs), or the same version name (in a
    # registry, whose own lock is held for moments).
    busy = "another retrain of this task is running ({})"
    with only_process(base / LOCK_FILE, busy.format(base)), only_process(models / LOCK_FILE, busy.format(models)):
        if request.resume:
            folder = newest_unfinished(base)
            plan = read_plan(folder)
            inputs = check_plan(plan, registry)
        else:
            plan = make_plan(request, registry)
            inputs = check_plan(plan, registry)
            folder = new_run(base, plan.model_dump_json(indent=2))
        this = _Run(plan, inputs, folder, registry, callback or RetrainCallback())
        data = read(this, processes)
        fitted = train(this, data, request.threads, should_stop)
        reward = None
        if data.labels is not None and not fitted.stopped:
            this.callback.on_stage(f"fitting the reward to {len(data.labels.data)} steps")
            reward = fit_reward(plan, inputs.contract, data.labels, should_stop, request.threads)
        if fitted.stopped or (reward is not None and reward.stopped):
            return RetrainResult("stopped", "stopped; --resume continues", folder, None, {}, {}, data.dataset)
        validation = validate(this, data, fitted)
        card = package(this, data, fitted, validation, reward)
        status, reason, version = publish(this, card, validation.failed)
        mark_done(folder, f"{status}: {reason}\n")
        return RetrainResult(status, reason, folder, version, validation.metrics, validation.baseline, data.dataset)


def read(run: _Run, processes: int = 1) -> _Data:
    """The plan's episodes, split into training and validation data; raises DatasetError if they are too few."""
    plan, callback = run.plan, run.callback
    for name, why in plan.passed_over.items():
        callback.on_stage(f"{name} is no parent: {why}")
    if plan.left_out:
        callback.on_stage(f"{plan.left_out} episodes are left out: not known to be of world {plan.world}")
    callback.on_stage("reading episodes")
    callback.on_read_start(len(plan.files))
    files = [Path(f) for f in plan.files]
    contract, weights = run.inputs.contract, plan.file_weights
    dataset = load_dataset(files, contract, callback.on_file_read, processes, plan.mix, weights, cache_dir())
    if note := unknown_note(dataset.origins):
        callback.on_stage(note)
    try:
        dataset.data.require(MIN_TRANSITIONS, MIN_EPISODES, "training data")
    except DatasetError as error:
        raise DatasetError(f"{error}; an episode of {1.5 * PART_S:g} s or more counts as several") from error
    labels = None
    if plan.train.reward == "learned":
        callback.on_stage("reading labels of the reward")
        labels = labels_of(plan, contract)
    return _Data(dataset, *dataset.data.split_by_episode(plan.train.holdout_fraction), labels)


def train(run: _Run, data: _Data, threads: int | None, should_stop: Callable[[], bool]) -> FitResult:
    """Fit the ensemble; with a checkpoint in the run's folder, which a resumed run continues from."""
    plan, inputs, callback = run.plan, run.inputs, run.callback
    callback.on_stage(f"training on {len(data.train)} transitions, validating on {len(data.validation)}")
    trainer = EnsembleTrainer(
        inputs.spec,
        plan.train,
        tuple(inputs.contract.task.symmetries),
        inputs.weights,
        TrainCallbacks(lambda report: callback.on_epoch_end(report, plan.train), should_stop),
        checkpoint=run.folder / "checkpoint.npz",
        threads=threads,
    )
    if inputs.simulator is None:
        return trainer.fit(data.train, data.validation)
    callback.on_stage("simulating each transition")
    return trainer.fit(inputs.simulator.learnt(data.train), inputs.simulator.learnt(data.validation))


def validate(run: _Run, data: _Data, fitted: FitResult) -> _Validation:
    """Export the model, and compare it with its parent on the validation data."""
    plan, parent, held_out = run.plan, run.inputs.parent, data.validation
    run.callback.on_stage(f"validating against {parent.name}" if parent else "validating")
    shutil.rmtree(run.files, ignore_errors=True)
    run.files.mkdir()
    spec = _export(run, data, fitted, run.inputs.spec)
    model = OnnxEnsemble.load(run.files / MODEL_FILE)
    if run.inputs.simulator is not None:
        metrics, baseline = run.inputs.simulator.judge(model, held_out, spec)
        worse = worse_errors(metrics, baseline)
        failed = f"worse than the simulator alone: {worse}" if worse else ""
        return _Validation(spec, fitted.metrics | metrics, baseline, failed)
    metrics = fitted.metrics | evaluate(model.predict, held_out, spec, longest_horizon(held_out))
    if parent is None:
        return _Validation(spec, metrics, {}, "")
    # The parent's joint limits may differ: what it predicts is comparable.
    card = parent.card()
    before = OnnxEnsemble.load(parent.read(parent.model, card))
    baseline = evaluate(before.predict, held_out, before.spec, longest_horizon(held_out))
    worse = worse_errors(metrics, baseline)
    if plan.start == "fresh":
        worse = too_little_data(len(data.dataset.data), card.spec.transitions) or worse
    return _Validation(spec, metrics, baseline, f"worse than {parent.name}: {worse}" if worse else "")


def package(
    run: _Run,
    data: _Data,
    fitted: FitResult,
    validation: _Validation,
    reward: FittedHead | None = None,
) -> ModelCard:
    """Write the version's files: the model with its metrics, the 8-bit file if it plans alike, the report, the reward.

    Args:
        run: the run.
        data: what was learnt from.
        fitted: the ensemble.
        validation: how it compares with its parent.
        reward: the learned reward; None: the task's is used.
    """
    plan, inputs, metrics, files = run.plan, run.inputs, validation.metrics, run.files
    update = {
        "version": run.registry.next_name(plan.task),
        "parent": inputs.parent.name if inputs.parent else "",
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "data_digest": data.dataset.data.digest(),
        "transitions": len(data.dataset.data),
        "metrics": {k: v for k, v in metrics.items() if np.isfinite(v)},
        "disagreement_limit": metrics["disagreement_limit"],
    }
    spec = _export(run, data, fitted, validation.spec.model_copy(update=update))
    int8 = None
    if plan.precision != "fp32":
        run.callback.on_stage("comparing with 8 bit")
        int8 = add_int8(files, inputs.contract, planner_defaults(plan.task, PLANNER), data.train, data.validation)
    if inputs.simulator is not None:
        inputs.simulator.write(files)
    write_report(
        files,
        spec,
        fitted.history,
        metrics,
        validation.baseline,
        data.dataset,
        validation.failed,
        int8,
        plan.passed_over,
    )
    head = None
    if reward is not None and data.labels is not None:
        head = add_reward(files, plan, data.labels, reward, spec.version, spec.created)
    return ModelCard(
        spec=spec,
        reward=head,
        model_sha256=file_sha256(files / MODEL_FILE),
        command=command_of(plan),
        notes=plan.notes,
        int8_sha256=file_sha256(files / INT8_FILE) if int8 and int8.passed else None,
        int8_figures=int8.metrics if int8 else {},
        int8_refused=int8.failed_checks if int8 else "",
        measured=source_kinds(inputs.contract),
        origins=data.dataset.origins,
        identified=inputs.simulator.card if inputs.simulator is not None else None,
    )


def publish(run: _Run, card: ModelCard, failed: str) -> tuple[Status, str, Version | None]:
    """Add the version to the registry and promote it, unless it failed; status, reason and version."""
    plan = run.plan
    if failed and not plan.force:
        return "refused", f"{failed} (--force adds it all the same; report: {run.files / 'report.md'})", None
    version = _added_before(run)
    if version is None:
        write_atomically(run.folder / ADDED_FILE, card.spec.created.encode())
        version = run.registry.add(plan.task, run.files, card)
    if plan.promote:
        run.registry.promote(plan.task, version.name)
    return "promoted" if plan.promote else "added", failed or _why_added(run), version


def _added_before(run: _Run) -> Version | None:
    """The version that this run added before it was killed, by the moment noted in its folder; None: it added none."""
    note = run.folder / ADDED_FILE
    created = note.read_text() if note.exists() else ""
    own = (version for version in run.registry.versions(run.plan.task) if not version.shipped)
    return next((version for version in own if created and version.card().spec.created == created), None)


def _export(run: _Run, data: _Data, fitted: FitResult, spec: ModelSpec) -> ModelSpec:
    samples = data.validation.state[:SAMPLES], data.validation.action[:SAMPLES]
    return export_onnx(fitted.model, spec, run.files / MODEL_FILE, samples=samples)


def _why_added(run: _Run) -> str:
    passed = "; ".join(f"{name}: {why}" for name, why in run.plan.passed_over.items())
    if run.inputs.simulator is not None:
        return f"not worse than the simulator alone ({run.plan.residual})"
    if run.inputs.parent is not None:
        return f"not worse than {run.inputs.parent.name}" + (f" (no parent is {passed})" if passed else "")
    return f"there is none to compare it with ({passed})" if passed else "the first version"
