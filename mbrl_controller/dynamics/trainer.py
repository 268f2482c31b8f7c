# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Trains the ensemble: one-step first, then rollouts of several steps; early stopping; resumable."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mbrl_controller.base.errors import DatasetError
from mbrl_controller.dynamics.data import TransitionSet
from mbrl_controller.dynamics.ensemble import DynamicsEnsemble, stream_seed
from mbrl_controller.dynamics.loss import RolloutLoss
from mbrl_controller.dynamics.train_config import Device, TrainConfig
from mbrl_controller.dynamics.training_rows import Rows
from mbrl_controller.dynamics.training_state import EpochReport, TrainingState, restore_optimiser
from mbrl_controller.models.spec import ModelSpec
from mbrl_controller.tasks.base import Symmetry

_EVALUATION_ROWS = 4096
_EVALUATION_WINDOWS = 4096
_SMALLEST_BATCH = 64


@dataclass(frozen=True)
class FitResult:
    """The trained model, with each member's best weights."""

    model: DynamicsEnsemble
    history: tuple[EpochReport, ...]
    best_epoch: tuple[int, ...]  # per member, in the last stage
    metrics: dict[str, float]
    stopped: bool  # `should_stop` ended it early; continue from the checkpoint


@dataclass(frozen=True)
class _Stage:
    name: str
    horizon: int
    epochs: int
    learning_rate: float


@dataclass(frozen=True)
class TrainCallbacks:
    """Called during training; `should_stop` after each batch, `on_epoch_end` also once at the start of a stage."""

    on_epoch_end: Callable[[EpochReport], object] = lambda report: None
    should_stop: Callable[[], bool] = lambda: False


@dataclass(frozen=True)
class EnsembleTrainer:
    """Trains ensembles for `spec`.

    Each member keeps the weights of its own best epoch on the validation episodes: members do not share parameters,
    so their best epochs differ. The second stage starts from the first one's best weights and has its own loss.
    On one machine with the same number of `threads`, a seed reproduces a run bit for bit on a CPU. On a GPU
    (`config.device`), sums may be made in another order each time.

    Args:
        spec: Model to train; ensemble size and hidden widths are taken from `config`.
        config: Training options.
        symmetries: Mirror images to add to the training data.
        init: Weights to start from (a model's state_dict).
        callbacks: Called during training.
        checkpoint: File to save progress to after each epoch. A later run with the same data and options continues
            from it, to the same result as an uninterrupted run.
        threads: Torch threads of this process; None: unchanged.
    """

    spec: ModelSpec
    config: TrainConfig = field(default_factory=TrainConfig)
    symmetries: tuple[Symmetry, ...] = ()
    init: Mapping[str, Tensor] | None = None
    callbacks: TrainCallbacks = TrainCallbacks()
    checkpoint: Path | None = None
    threads: int | None = None

    def fit(self, train: TransitionSet, validation: TransitionSet) -> FitResult:
        """Train; raises DatasetError for too little data, other sizes than the spec's, or another run's checkpoint."""
        if self.threads is not None:
            torch.set_num_threads(self.threads)
        return _Run(self, train, validation).run()

    def identity(self, train: TransitionSet, validation: TransitionSet) -> str:
        """SHA-256 (hex) of everything a checkpoint must share with a run that continues it."""
        text = f"{train.digest()}{validation.digest()}{[s.description() for s in self.symmetries]}"
        sha = hashlib.sha256(text.encode())
        sha.update(self.config.model_dump_json(exclude={"device"}).encode())  # a run may go on elsewhere
        described = {"created", "version", "parent", "data_digest", "transitions", "metrics", "disagreement_limit"}
        layout = _sized(self.spec, self.config).model_dump(exclude=described)
        sha.update(repr(sorted(layout.items())).encode())
        init = self.init or {}
        for name in sorted(init):
            sha.update(init[name].detach().cpu().numpy().tobytes())
        return sha.hexdigest()


class _Run:
    """One call of `fit`."""

    def __init__(self, trainer: EnsembleTrainer, train: TransitionSet, validation: TransitionSet) -> None:
        train.require(transitions=2, what="training data")
        validation.require(transitions=1, what="validation data")
        config = self.config = trainer.config
        spec = self.spec = _sized(trainer.spec, config)
        self.callbacks, self.checkpoint = trainer.callbacks, trainer.checkpoint
        self.device = torch_device(config.device)
        self.stages = [_Stage("one-step", 1, config.max_epochs, config.learning_rate)]
        if config.horizon > 1 and config.horizon_epochs:
            name = f"{config.horizon}-step"
            self.stages.append(_Stage(name, config.horizon, config.horizon_epochs, config.horizon_learning_rate))
        for name, data in (("training", train), ("validation", validation)):
            _check_sizes(name, data, spec, self.stages[-1].horizon)
        self.identity = trainer.identity(train, validation)
        self.train, self.validation, self.symmetries = train, validation, trainer.symmetries
        self.model = DynamicsEnsemble(
            spec, action_input=config.action_input, input_clamp=config.input_clamp, seed=config.seed
        )
        if trainer.init is not None:
            self.model.load_weights(trainer.init)
        self.model.fit_scaling(train, spec, trainer.init is not None, self.symmetries)
        self.model.to(self.device)
        self.loss = RolloutLoss(self.model, spec, config.huber, config.loss_weights)
        self.state = TrainingState(self.model)

    def run(self) -> FitResult:
        resumed = None if self.checkpoint is None else self.state.restore(self.checkpoint, self.identity)
        stopped = False
        progress = self.state.progress
        while not progress.done and not stopped:
            stopped = not self._run_stage(self.stages[progress.stage], resumed)
            resumed = None
        self.state.load_best()
        self.model.to("cpu").eval()
        metrics = {"epochs": float(sum(report.epoch > 0 for report in progress.history))}
        for stage in self.stages:
            reports = [report for report in progress.history if report.stage == stage.name]
            if reports:
                metrics[f"held_out_loss.{stage.name}"] = float(np.mean(reports[-1].best_loss))
                if reports[-1].train_loss is not None:
                    metrics[f"train_loss.{stage.name}"] = reports[-1].train_loss
        return FitResult(self.model, tuple(progress.history), tuple(progress.best_epoch), metrics, stopped)

    def _run_stage(self, stage: _Stage, optimiser_state: dict[str, Tensor] | None) -> bool:
        """Train one stage; False if it was stopped before its end."""
        progress, config = self.state.progress, self.config
        rows = self.loss.rows(self.train, stage.horizon, symmetries=self.symmetries)
        validation = self.loss.rows(self.validation, stage.horizon, _EVALUATION_WINDOWS)
        scale = self.loss.scale(rows)
        optimiser = torch.optim.AdamW(self.model.parameters(), lr=stage.learning_rate, weight_decay=config.weight_decay)
        if optimiser_state is not None:
            restore_optimiser(optimiser, optimiser_state)
        else:
            loss = self._evaluate(validation, scale)
            progress.epoch, progress.epochs_without_improvement = 0, 0
            progress.best_loss, progress.best_epoch = list(loss), [0] * len(loss)
            self._report(stage, None, loss)
        while progress.epoch < stage.epochs and progress.epochs_without_improvement < config.patience:
            train_loss = self._train_epoch(stage, rows, scale, optimiser)
            if train_loss is None:
                return False
            progress.epoch += 1
            loss = self._evaluate(validation, scale)
            self.state.keep_best(loss)
            self._report(stage, train_loss, loss)
            self._save(optimiser)
            if self.callbacks.should_stop() and (progress.epoch < stage.epochs or stage is not self.stages[-1]):
                return False
        self.state.load_best()
        progress.stage += 1
        progress.done = progress.stage == len(self.stages)
        self._save(None)
        return True

    def _train_epoch(self, stage: _Stage, rows: Rows, scale: Tensor, optimiser: torch.optim.Optimizer) -> float | None:
        """One pass; returns the mean loss, None if stopped. A k-step stage draws 1/k of its windows: equal work."""
        config, E = self.config, self.model.size
        seeds = (config.seed, 1 + self.state.progress.stage, self.state.progress.epoch)
        shuffle = torch.Generator().manual_seed(stream_seed(*seeds))
        count = len(rows)
        used = max(count // stage.horizon, min(count, config.batch))
        pool, order = self._bootstrap(count), torch.empty((E, used), dtype=torch.long)
        for e in range(E):
            order[e] = pool[e][torch.randperm(count, generator=shuffle)[:used]]
        batch = min(config.batch, max(config.batch // stage.horizon, _SMALLEST_BATCH))
        self.model.train()
        total = 0.0
        for begin in range(0, used, batch):
            if self.callbacks.should_stop():
                return None
            windows = rows.windows(order[:, begin : min(begin + batch, used)])
            noise = None
            if config.input_noise or config.target_noise:
                shape = (*windows.shape[:2], len(self.spec.state_names))
                start = torch.randn(shape, generator=shuffle) * config.input_noise
                target = torch.randn(shape, generator=shuffle) * config.target_noise
                noise = start.to(self.device), target.to(self.device)
            loss = self.loss(rows, windows, scale, noise)
            optimiser.zero_grad(set_to_none=True)
            loss.sum().backward()
            optimiser.step()
            total += float(loss.detach().mean()) * windows.shape[1]
        return total / used

    def _bootstrap(self, count: int) -> Tensor:
        """Rows [E, W] that each member trains on."""
        if not self.config.bootstrap:
            return torch.arange(count).expand(self.model.size, count)
        source = torch.Generator().manual_seed(stream_seed(self.config.seed, 0, count))
        return torch.randint(count, (self.model.size, count), generator=source)

    @torch.no_grad()
    def _evaluate(self, rows: Rows, scale: Tensor) -> tuple[float, ...]:
        self.model.eval()
        total = torch.zeros(self.model.size, dtype=torch.float64)
        for windows in rows.windows().split(_EVALUATION_ROWS):
            every = windows.expand(self.model.size, *windows.shape)
            total += self.loss(rows, every, scale, None).double().cpu() * len(windows)
        return tuple((total / len(rows)).tolist())

    def _report(self, stage: _Stage, train_loss: float | None, loss: tuple[float, ...]) -> None:
        progress = self.state.progress
        report = EpochReport(stage.name, progress.epoch, train_loss, loss, tuple(progress.best_loss))
        progress.history.append(report)
        self.callbacks.on_epoch_end(report)

    def _save(self, optimiser: torch.optim.Optimizer | None) -> None:
        if self.checkpoint is not None:
            self.state.save(self.checkpoint, self.identity, optimiser)


def torch_device(wanted: Device) -> torch.device:
    """The device of an option; raises DatasetError for a GPU that PyTorch cannot use."""
    usable = torch.cuda.is_available()
    if wanted == "cuda" and not usable:
        raise DatasetError(
            f"device: cuda: PyTorch {torch.__version__} finds no GPU that it can use; auto and cpu train on the CPU"
        )
    return torch.device("cuda" if usable and wanted != "cpu" else "cpu")


def _sized(spec: ModelSpec, config: TrainConfig) -> ModelSpec:
    return spec.model_copy(update={"ensemble_size": config.ensemble_size, "hidden": config.hidden})


def _check_sizes(name: str, data: TransitionSet, spec: ModelSpec, horizon: int) -> None:
    sizes, expected = (data.state.shape[1], data.action.shape[1]), (len(spec.state_names), len(spec.action_names))
    if sizes != expected:
        raise DatasetError(f"{name} data has (state, action) sizes {sizes}, the model {expected}")
    if not len(data.window_starts(horizon)):
        raise DatasetError(
            f"the {name} data has no {horizon} consecutive transitions: shorten the horizon or record longer episodes"
        )
