# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Trains heads: regression on plans, returns and rewards, with early stopping on episodes held out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from mbrl_controller.base.errors import DatasetError
from mbrl_controller.base.units import Count, Number
from mbrl_controller.dynamics.data import Index
from mbrl_controller.dynamics.ensemble import stream_seed
from mbrl_controller.dynamics.head_data import HeadData, PolicyData, RewardData, ValueData, bootstrap, hold_out
from mbrl_controller.dynamics.head_network import HeadNetwork
from mbrl_controller.dynamics.policy_network import PolicyNetwork
from mbrl_controller.dynamics.reward_network import RewardNetwork
from mbrl_controller.dynamics.scalar_network import ScalarNetwork
from mbrl_controller.dynamics.value_network import ValueNetwork
from mbrl_controller.models.heads import HeadSpec
from mbrl_controller.tasks.spaces import Array, Mask
from mbrl_controller.tasks.symmetry import Symmetry

_EVALUATION_ROWS = 8192
_LAST_RATES = (1.0, 0.2)  # of the learning rate; the second from the best weights of the first

Network = TypeVar("Network", bound=HeadNetwork)
Scalar = TypeVar("Scalar", bound=ScalarNetwork)


class HeadTrainConfig(BaseModel):
    """Training options of a head; its widths and members are in its `HeadSpec`."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    learning_rate: Number = Field(default=1e-3, gt=0, le=1, description="AdamW's; a fifth of it at the end")
    weight_decay: Number = Field(default=1e-4, ge=0, le=1, description="AdamW's")
    batch: Count = Field(default=512, ge=1, description="states in a gradient step")
    max_epochs: Count = Field(default=40, ge=1, le=10_000, description="passes over the states at each learning rate")
    patience: Count = Field(default=5, ge=1, description="epochs without a better validation loss, then it ends")
    holdout_fraction: Number = Field(default=0.1, gt=0, lt=1, description="share of the episodes kept for validation")
    # Of a plan only the first actions act before there is a new one. The later ones matter less to the return, so a
    # planner finds them with more noise, and alike they would be most of the loss.
    step_decay: Number = Field(default=0.8, gt=0, le=1, description="weight of a plan's step beside the one before")
    huber: Number | None = Field(
        default=None, gt=0, description="errors above it count linearly, in units of an action or in deviations of the "
        "returns; none: all count squared"
    )  # fmt: skip
    seed: Count = Field(default=0, ge=0, lt=2**63, description="of weights, order and each member's data")


@dataclass(frozen=True)
class FittedHead(Generic[Network]):
    """A trained network with each member's best weights."""

    network: Network
    metrics: dict[str, float]  # on the episodes held out; on all rows if there is but one episode
    validation_loss: tuple[float, ...]  # after each epoch, mean over members
    stopped: bool  # `should_stop` ended it early


def train_policy(
    data: PolicyData,
    spec: HeadSpec,
    config: HeadTrainConfig | None = None,
    *,
    held_out: Mask | None = None,
    symmetries: Sequence[Symmetry] = (),
    should_stop: Callable[[], bool] = lambda: False,
    threads: int = 1,
) -> FittedHead[PolicyNetwork]:
    """Train a policy to give the plans of `data`; a seed reproduces it bit for bit with the same `threads`.

    Args:
        data: what it learns from.
        spec: policy to train.
        config: training options; None: the defaults.
        held_out: rows [N] for validation; None: episodes that `config` and the seed choose.
        symmetries: under which a row may be seen mirrored, anew in each epoch; those without goals are left out.
        should_stop: called after each batch.
        threads: torch threads.

    Returns:
        With metrics `action_rmse` (of the first action), `plan_rmse`, `action_std` (error of their mean), `epochs`.

    Raises:
        DatasetError: for data that does not fit or is not finite.
    """
    config = config or HeadTrainConfig()
    data.check(spec)
    network = PolicyNetwork(spec, seed=config.seed)
    images = [data, *(data.mirrored(s, spec) for s in symmetries if s.goal is not None)]
    fit = _Fit(network, images, config, held_out)
    plans = np.concatenate([np.asarray(image.plan, dtype=np.float32).reshape(len(data), -1) for image in images])
    decay = config.step_decay ** np.arange(spec.horizon)
    of_outputs = np.repeat(decay / decay.mean(), len(spec.action_names))
    with _threads(threads):
        losses, stopped = fit.run(plans, of_outputs, np.tile(data.weight, len(images)), should_stop)
        found = _in_parts(network.plans, data, fit.judged)
    error, first = found - data.plan[fit.judged], data.plan[:, 0]
    metrics = {
        "action_rmse": _rms(error[:, 0]),
        "plan_rmse": _rms(error),
        "action_std": _rms(first[fit.judged] - first[fit.trained].mean(axis=0)),
        "epochs": float(len(losses)),
    }
    return FittedHead(network, metrics, losses, stopped)


def train_value(
    data: ValueData,
    spec: HeadSpec,
    config: HeadTrainConfig | None = None,
    *,
    held_out: Mask | None = None,
    symmetries: Sequence[Symmetry] = (),
    should_stop: Callable[[], bool] = lambda: False,
    threads: int = 1,
) -> FittedHead[ValueNetwork]:
    """Train a value ensemble on the returns of `data`, each member on its own draw of episodes.

    Arguments and errors as of `train_policy`.

    Returns:
        With metrics `value_rmse` (of the members' mean), `value_std` (error of the returns' mean), `value_correlation`
        (where both vary), `member_std` (mean standard deviation of the members), `epochs`.
    """
    config = config or HeadTrainConfig()
    network = ValueNetwork(spec, seed=config.seed)
    return _train_scalar(network, data, config, held_out, symmetries, should_stop, threads, "value")


def train_reward(
    data: RewardData,
    spec: HeadSpec,
    config: HeadTrainConfig | None = None,
    *,
    held_out: Mask | None = None,
    symmetries: Sequence[Symmetry] = (),
    should_stop: Callable[[], bool] = lambda: False,
    threads: int = 1,
) -> FittedHead[RewardNetwork]:
    """Train a reward ensemble on the labels of `data`, each member on its own draw of episodes.

    Arguments and errors as of `train_policy`; metrics as of `train_value`, by the name of `reward_`.
    """
    config = config or HeadTrainConfig()
    network = RewardNetwork(spec, seed=config.seed)
    return _train_scalar(network, data, config, held_out, symmetries, should_stop, threads, "reward")


def _train_scalar(
    network: Scalar,
    data: ValueData | RewardData,
    config: HeadTrainConfig,
    held_out: Mask | None,
    symmetries: Sequence[Symmetry],
    should_stop: Callable[[], bool],
    threads: int,
    name: str,
) -> FittedHead[Scalar]:
    """Fit `network` to the targets; metrics begin with `name`. The rest as of `train_policy`."""
    spec = network.spec
    data.check(spec)
    images = [data, *(data.mirrored(s, spec) for s in symmetries if s.goal is not None)]
    fit = _Fit(network, images, config, held_out)
    target = np.asarray(data.target, dtype=float)
    network.fit_targets(target[fit.trained])
    scaled = (target - float(network.target_mean)) / float(network.target_std)
    with _threads(threads):
        losses, stopped = fit.run(
            np.tile(scaled, len(images))[:, None], np.ones(1), np.ones(len(images) * len(data)), should_stop
        )
        found = _in_parts(lambda *given: network.answers(*given).T, data, fit.judged)
    mean, true = found.mean(axis=1), target[fit.judged]
    metrics = {
        f"{name}_rmse": _rms(mean - true),
        f"{name}_std": _rms(true - target[fit.trained].mean()),
        "member_std": float(found.std(axis=1).mean()),
        "epochs": float(len(losses)),
    }
    if np.std(mean) and np.std(true):
        metrics[f"{name}_correlation"] = float(np.corrcoef(mean, true)[0, 1])
    return FittedHead(network, metrics, losses, stopped)


class _Fit:
    """One training run: which rows it learns from (`trained`) and by which it is judged (`judged`).

    `images`: the data, and its mirror images. They follow each other in `features` and in what `run` gets.
    """

    def __init__(
        self, network: HeadNetwork, images: Sequence[HeadData], config: HeadTrainConfig, held_out: Mask | None
    ) -> None:
        data = images[0]
        self.network, self.config, self.images, self.rows = network, config, len(images), len(data)
        episode = np.asarray(data.episode)
        apart = hold_out(episode, config.holdout_fraction, config.seed) if held_out is None else np.asarray(held_out)
        if apart.shape != (len(data),):
            raise DatasetError(f"held_out has shape {apart.shape}, there are {len(data)} rows")
        if not apart.any() or apart.all():
            apart = np.zeros(len(data), dtype=bool)
        self.trained = np.flatnonzero(~apart)
        self.judged = np.flatnonzero(apart) if apart.any() else self.trained
        seen = [np.concatenate(arrays) for arrays in zip(*(image.given for image in images), strict=True)]
        learnt = np.concatenate([self.trained + len(data) * i for i in range(len(images))])
        network.fit_scaling(*(values[learnt] for values in seen))
        with torch.no_grad():
            self.features = network.scaled_features(*(torch.tensor(v, dtype=torch.float32) for v in seen))
        draws = bootstrap(episode[self.trained], network.size, config.seed)
        self.pools = torch.tensor(self.trained[draws] if network.size > 1 else self.trained[None])

    def run(
        self, target: Array, of_outputs: Array, of_rows: Array, should_stop: Callable[[], bool]
    ) -> tuple[tuple[float, ...], bool]:
        """Train on `target` [images * N, outputs]; losses, and whether it was stopped."""
        self.target, self.of_outputs, self.of_rows = (
            torch.tensor(np.asarray(v), dtype=torch.float32) for v in (target, of_outputs, of_rows)
        )
        network, losses = self.network, []
        best = {name: value.detach().clone() for name, value in network.named_parameters()}
        lowest = self._validate()
        stopped = False
        for stage, rate in enumerate(_LAST_RATES):
            lr = self.config.learning_rate * rate
            optimiser = torch.optim.AdamW(network.parameters(), lr=lr, weight_decay=self.config.weight_decay)
            waited = 0
            for epoch in range(self.config.max_epochs):
                stopped = stopped or not self._train_epoch(optimiser, stage, epoch, should_stop)
                loss = self._validate()
                losses.append(float(loss.mean()))
                better = loss < lowest
                for name, value in network.named_parameters():
                    best[name][better] = value.detach()[better]
                lowest = torch.minimum(loss, lowest)
                waited = 0 if bool(better.any()) else waited + 1
                if stopped or waited >= self.config.patience:
                    break
            with torch.no_grad():
                for name, value in network.named_parameters():
                    value.copy_(best[name])
            if stopped:
                break
        return tuple(losses), stopped

    def _train_epoch(
        self, optimiser: torch.optim.Optimizer, stage: int, epoch: int, should_stop: Callable[[], bool]
    ) -> bool:
        """One pass; False if it was stopped."""
        shuffle = torch.Generator().manual_seed(stream_seed(self.config.seed, 1 + stage, epoch))
        count = self.pools.shape[1]
        order = torch.stack([pool[torch.randperm(count, generator=shuffle)] for pool in self.pools])
        if self.images > 1:
            order = order + self.rows * torch.randint(self.images, order.shape, generator=shuffle)
        for begin in range(0, count, self.config.batch):
            if should_stop():
                return False
            loss = self._loss(order[:, begin : begin + self.config.batch])
            optimiser.zero_grad(set_to_none=True)
            loss.sum().backward()
            optimiser.step()
        return True

    def _loss(self, rows: Tensor) -> Tensor:
        """Mean weighted loss [E] of rows [E, B]."""
        error = self.network.outputs(self.features[rows]) - self.target[rows]
        size = error.abs()
        huber = self.config.huber
        squared = (
            error.square() if huber is None else torch.where(size < huber, size.square(), huber * (2 * size - huber))
        )
        return ((squared * self.of_outputs).mean(-1) * self.of_rows[rows]).mean(-1)

    @torch.no_grad()
    def _validate(self) -> Tensor:
        total = torch.zeros(self.network.size, dtype=torch.float64)
        for rows in torch.tensor(self.judged).split(_EVALUATION_ROWS):
            total += self._loss(rows.expand(self.network.size, len(rows))).double() * len(rows)
        return total / len(self.judged)


def _in_parts(ask: Callable[..., Array], data: HeadData, rows: Index) -> Array:
    """Answers for rows of the data, in bounded memory."""
    parts = [rows[i : i + _EVALUATION_ROWS] for i in range(0, len(rows), _EVALUATION_ROWS)]
    return np.concatenate([ask(*(value[part] for value in data.given)) for part in parts])


def _rms(error: Array) -> float:
    return float(np.sqrt(np.mean(np.square(error, dtype=float))))


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """So many torch threads meanwhile."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
