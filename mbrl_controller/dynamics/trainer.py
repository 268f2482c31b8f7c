# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Fit the ensemble to transitions: one-step first, then rollouts of several steps; early stop; resumable."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from mbrl_controller.base.errors import DatasetError
from mbrl_controller.dynamics.data import TransitionSet
from mbrl_controller.dynamics.ensemble import ActionInput, DynamicsEnsemble, stream_seed
from mbrl_controller.dynamics.loss import RolloutLoss, Rows
from mbrl_controller.dynamics.weights import load_arrays, save_arrays
from mbrl_controller.models.spec import ModelSpec
from mbrl_controller.tasks.base import Symmetry

_EVALUATION_ROWS = 4096
_EVALUATION_WINDOWS = 4096
_SMALLEST_BATCH = 64


class TrainConfig(BaseModel):
    """How to fit. Defaults follow PDDM where it says something; noise and weights are fractions of a std."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    ensemble_size: int = Field(default=3, ge=1, le=64)
    hidden: tuple[int, ...] = (500, 500)
    learning_rate: float = Field(default=1e-3, gt=0, le=1)
    batch: int = Field(default=512, ge=1)
    max_epochs: int = Field(default=40, ge=0, le=10_000)
    patience: int = Field(default=5, ge=1)  # epochs without a better held-out loss in any member
    input_noise: float = Field(default=0.01, ge=0, le=1)
    target_noise: float = Field(default=0.01, ge=0, le=1)
    weight_decay: float = Field(default=1e-4, ge=0, le=1)
    huber: float | None = Field(default=None, gt=0)  # errors above it, in units of the scale, count linearly
    horizon: int = Field(default=5, ge=1, le=50)  # steps of the second stage's rollouts; 1: no second stage
    horizon_epochs: int = Field(default=20, ge=0, le=10_000)
    horizon_learning_rate: float = Field(default=4e-4, gt=0, le=1)
    loss_weights: dict[str, float] = Field(default_factory=dict)  # by prefix of the state entry's name, longest wins
    bootstrap: bool = False  # each member draws its own rows with replacement, once
    holdout_fraction: float = Field(default=0.1, gt=0, lt=1)
    seed: int = Field(default=0, ge=0, lt=2**63)
    action_input: ActionInput = "error"
    input_clamp: float = Field(default=5.0, gt=0)
    contacts: bool = False  # contact features; they need the hand's geometry, which its scene in sim/ tells


@dataclass(frozen=True)
class EpochReport:
    """One epoch: losses are mean squared errors in units of the scale (1 = predicting the mean change)."""

    stage: str  # "one-step" or "<k>-step"
    epoch: int  # from 1; 0 is the state a stage begins with
    train_loss: float | None  # None at epoch 0
    held_out_loss: tuple[float, ...]  # per member
    best_loss: tuple[float, ...]  # per member, of this stage


@dataclass(frozen=True)
class FitResult:
    """The model with each member's best weights, and how it got there."""

    model: DynamicsEnsemble
    history: tuple[EpochReport, ...]
    best_epoch: tuple[int, ...]  # per member, in the last stage
    metrics: dict[str, float]
    stopped: bool  # `should_stop` ended it early; the checkpoint continues it


@dataclass(frozen=True)
class _Stage:
    name: str
    horizon: int
    epochs: int
    learning_rate: float


@dataclass
class _Progress:
    """Everything besides the weights that a resumed run needs; random streams follow from (seed, stage, epoch)."""

    stage: int = 0
    epoch: int = 0
    best_loss: list[float] = field(default_factory=list)
    best_epoch: list[int] = field(default_factory=list)
    since_better: int = 0
    history: list[EpochReport] = field(default_factory=list)
    done: bool = False


def fit(
    train: TransitionSet,
    held_out: TransitionSet,
    spec: ModelSpec,
    symmetries: Iterable[Symmetry] = (),
    config: TrainConfig | None = None,
    *,
    init: Mapping[str, Tensor] | None = None,
    on_progress: Callable[[EpochReport], None] | None = None,
    checkpoint: Path | None = None,
    should_stop: Callable[[], bool] | None = None,
    device: str = "cpu",
    threads: int | None = None,
) -> FitResult:
    """Train an ensemble for `spec` (its ensemble size and hidden widths are taken from `config`).

    Each member keeps the weights of its own best epoch on the held-out episodes: members do not share parameters,
    so their best epochs differ. The second stage starts from the first one's best and is judged by its own loss.

    `init` (a model's state_dict) starts from earlier weights. With `checkpoint`, progress is saved after each epoch,
    and a call with the same data and config continues to the result of an uninterrupted run. On one machine with the
    same number of `threads` (torch's own choice if None), a seed reproduces a run bit for bit (CPU).
    """
    if threads is not None:
        torch.set_num_threads(threads)
    return _Fit(
        train, held_out, spec, tuple(symmetries), config or TrainConfig(), init, on_progress, checkpoint, should_stop,
        device,
    ).run()  # fmt: skip


class _Fit:
    def __init__(
        self,
        train: TransitionSet,
        held_out: TransitionSet,
        spec: ModelSpec,
        symmetries: tuple[Symmetry, ...],
        config: TrainConfig,
        init: Mapping[str, Tensor] | None,
        on_progress: Callable[[EpochReport], None] | None,
        checkpoint: Path | None,
        should_stop: Callable[[], bool] | None,
        device: str,
    ) -> None:
        train.require(transitions=2, what="training data")
        held_out.require(transitions=1, what="held-out data")
        spec = spec.model_copy(update={"ensemble_size": config.ensemble_size, "hidden": config.hidden})
        for name, data in (("training", train), ("held-out", held_out)):
            sizes, expected = (
                (data.state.shape[1], data.action.shape[1]),
                (len(spec.state_names), len(spec.action_names)),
            )
            if sizes != expected:
                raise DatasetError(f"{name} data has (state, action) sizes {sizes}, the model {expected}")
        self.spec, self.config, self.device = spec, config, torch.device(device)
        self.on_progress, self.checkpoint = on_progress or (lambda report: None), checkpoint
        self.should_stop = should_stop or (lambda: False)
        self.identity = _identity(train, held_out, spec, symmetries, config, init)
        self.train, self.held_out = train.augmented(symmetries), held_out
        self.stages = [_Stage("one-step", 1, config.max_epochs, config.learning_rate)]
        if config.horizon > 1 and config.horizon_epochs:
            name = f"{config.horizon}-step"
            self.stages.append(_Stage(name, config.horizon, config.horizon_epochs, config.horizon_learning_rate))
        for name, data in (("training", train), ("held-out", held_out)):
            if not len(data.windows(self.stages[-1].horizon)):
                raise DatasetError(
                    f"no {self.stages[-1].horizon} transitions follow each other in the {name} data: "
                    f"shorten the horizon or record longer episodes"
                )
        self.model = DynamicsEnsemble(
            spec, action_input=config.action_input, input_clamp=config.input_clamp, seed=config.seed
        )
        if init is not None:
            self.model.load_weights(init)
        self.model.fit_scaling(self.train, spec, keep_function=init is not None)
        self.model.to(self.device)
        self.loss = RolloutLoss(self.model, spec, config.huber, config.loss_weights)
        self.best: dict[str, Tensor] = {name: value.detach().clone() for name, value in self.model.named_parameters()}
        self.progress = _Progress()

    def run(self) -> FitResult:
        resumed = self._restore()
        stopped = False
        while not self.progress.done and not stopped:
            stopped = not self._run_stage(self.stages[self.progress.stage], resumed)
            resumed = None
        with torch.no_grad():
            for name, parameter in self.model.named_parameters():
                parameter.copy_(self.best[name])
        self.model.to("cpu").eval()
        progress = self.progress
        metrics = {"epochs": float(sum(report.epoch > 0 for report in progress.history))}
        for stage in self.stages:
            reports = [report for report in progress.history if report.stage == stage.name]
            if reports:
                metrics[f"held_out_loss.{stage.name}"] = float(np.mean(reports[-1].best_loss))
                if reports[-1].train_loss is not None:
                    metrics[f"train_loss.{stage.name}"] = reports[-1].train_loss
        return FitResult(self.model, tuple(progress.history), tuple(progress.best_epoch), metrics, stopped)

    def _run_stage(self, stage: _Stage, optimiser_state: dict[str, Tensor] | None) -> bool:
        """Train one stage to its end; False when it was stopped before."""
        progress, config = self.progress, self.config
        rows = self.loss.rows(self.train, stage.horizon)
        judge = self.loss.rows(self.held_out, stage.horizon, _EVALUATION_WINDOWS)
        scale = self.loss.scale(rows)
        optimiser = torch.optim.AdamW(self.model.parameters(), lr=stage.learning_rate, weight_decay=config.weight_decay)
        if optimiser_state is not None:
            _restore_optimiser(optimiser, optimiser_state)
        else:
            loss = self._evaluate(judge, scale)
            progress.epoch, progress.since_better = 0, 0
            progress.best_loss, progress.best_epoch = list(loss), [0] * len(loss)
            self._report(stage, None, loss)
        while progress.epoch < stage.epochs and progress.since_better < config.patience:
            train_loss = self._train_epoch(stage, rows, scale, optimiser)
            if train_loss is None:
                return False
            progress.epoch += 1
            loss = self._evaluate(judge, scale)
            self._keep_best(loss)
            self._report(stage, train_loss, loss)
            self._save(optimiser)
            if self.should_stop() and (progress.epoch < stage.epochs or stage is not self.stages[-1]):
                return False
        with torch.no_grad():
            for name, parameter in self.model.named_parameters():
                parameter.copy_(self.best[name])
        progress.stage += 1
        progress.done = progress.stage == len(self.stages)
        self._save(None)
        return True

    def _train_epoch(self, stage: _Stage, rows: Rows, scale: Tensor, optimiser: torch.optim.Optimizer) -> float | None:
        """One pass; None when stopped within it. A stage of k steps draws 1/k of its windows: equal work an epoch."""
        config, E = self.config, self.model.size
        seeds = (config.seed, 1 + self.progress.stage, self.progress.epoch)
        shuffle = torch.Generator().manual_seed(stream_seed(*seeds))
        count = len(rows.windows)
        pool = self._bootstrap(count)
        order = torch.stack([pool[e][torch.randperm(count, generator=shuffle)] for e in range(E)])
        used = max(count // stage.horizon, min(count, config.batch))
        batch = min(config.batch, max(config.batch // stage.horizon, _SMALLEST_BATCH))
        self.model.train()
        total = 0.0
        for begin in range(0, used, batch):
            if self.should_stop():
                return None
            windows = rows.windows[order[:, begin : min(begin + batch, used)].to(self.device)]
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
        """Which rows each member may see [E, W]."""
        if not self.config.bootstrap:
            return torch.arange(count).expand(self.model.size, count)
        source = torch.Generator().manual_seed(stream_seed(self.config.seed, 0, count))
        return torch.randint(count, (self.model.size, count), generator=source)

    @torch.no_grad()
    def _evaluate(self, rows: Rows, scale: Tensor) -> tuple[float, ...]:
        self.model.eval()
        total = torch.zeros(self.model.size, dtype=torch.float64)
        for windows in rows.windows.split(_EVALUATION_ROWS):
            every = windows.expand(self.model.size, *windows.shape)
            total += self.loss(rows, every, scale, None).double().cpu() * len(windows)
        return tuple((total / len(rows.windows)).tolist())

    @torch.no_grad()
    def _keep_best(self, loss: tuple[float, ...]) -> None:
        progress = self.progress
        better = [e for e, value in enumerate(loss) if value < progress.best_loss[e]]
        for e in better:
            progress.best_loss[e], progress.best_epoch[e] = loss[e], progress.epoch
            for name, parameter in self.model.named_parameters():
                self.best[name][e] = parameter[e]
        progress.since_better = 0 if better else progress.since_better + 1

    def _report(self, stage: _Stage, train_loss: float | None, loss: tuple[float, ...]) -> None:
        progress = self.progress
        report = EpochReport(stage.name, progress.epoch, train_loss, loss, tuple(progress.best_loss))
        progress.history.append(report)
        self.on_progress(report)

    def _save(self, optimiser: torch.optim.Optimizer | None) -> None:
        if self.checkpoint is None:
            return
        arrays: dict[str, Tensor] = {f"model.{name}": value for name, value in self.model.named_parameters()}
        arrays |= {f"best.{name}": value for name, value in self.best.items()}
        if optimiser is not None:
            for i, moments in optimiser.state_dict()["state"].items():
                arrays |= {f"adam.{i}.{name}": value for name, value in moments.items()}
        save_arrays(self.checkpoint, arrays, {"identity": self.identity, **asdict(self.progress)})

    def _restore(self) -> dict[str, Tensor] | None:
        """Take over the checkpoint; the optimiser's state, or None at the start of a stage."""
        if self.checkpoint is None or not self.checkpoint.exists():
            return None
        arrays, note = load_arrays(self.checkpoint)
        if note.pop("identity", None) != self.identity:
            raise DatasetError(
                f"checkpoint {self.checkpoint} belongs to another run (other data, settings or start weights): "
                f"remove it or name another"
            )
        history = [
            EpochReport(r["stage"], r["epoch"], r["train_loss"], tuple(r["held_out_loss"]), tuple(r["best_loss"]))
            for r in note.pop("history")
        ]
        self.progress = _Progress(**note, history=history)
        with torch.no_grad():
            for name, parameter in self.model.named_parameters():
                parameter.copy_(arrays[f"model.{name}"])
                self.best[name].copy_(arrays[f"best.{name}"])
        moments = {name.removeprefix("adam."): value for name, value in arrays.items() if name.startswith("adam.")}
        return moments or None


def _restore_optimiser(optimiser: torch.optim.Optimizer, moments: Mapping[str, Tensor]) -> None:
    state: dict[int, dict[str, Any]] = {}
    for name, value in moments.items():
        index, quantity = name.split(".")
        state.setdefault(int(index), {})[quantity] = value
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})


def _identity(
    train: TransitionSet,
    held_out: TransitionSet,
    spec: ModelSpec,
    symmetries: tuple[Symmetry, ...],
    config: TrainConfig,
    init: Mapping[str, Tensor] | None,
) -> str:
    """What a checkpoint must agree on to be continued."""
    sha = hashlib.sha256(f"{train.digest()}{held_out.digest()}{[asdict(s) for s in symmetries]}".encode())
    sha.update(config.model_dump_json().encode())
    described = {"created", "version", "parent", "data_digest", "transitions", "metrics", "disagreement_limit"}
    layout = spec.model_dump(exclude=described)
    sha.update(repr(sorted(layout.items())).encode())
    for name in sorted(init or {}):
        sha.update((init or {})[name].detach().cpu().numpy().tobytes())
    return sha.hexdigest()
