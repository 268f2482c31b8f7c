# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Trains heads, all by one loop with early stopping on episodes held out; what is learnt, data and network say."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mbrl_controller.base.errors import DatasetError
from mbrl_controller.dynamics.data import Index
from mbrl_controller.dynamics.density_network import DensityNetwork
from mbrl_controller.dynamics.ensemble import stream_seed
from mbrl_controller.dynamics.head_config import HeadTrainConfig
from mbrl_controller.dynamics.head_data import Examples, bootstrap, hold_out
from mbrl_controller.dynamics.head_network import Encoder, RowLoss
from mbrl_controller.dynamics.policy_network import PolicyNetwork
from mbrl_controller.dynamics.reward_network import RewardNetwork
from mbrl_controller.dynamics.value_network import ValueNetwork
from mbrl_controller.dynamics.window_network import WindowNetwork
from mbrl_controller.models.heads import HeadKind, HeadSpec
from mbrl_controller.models.window_kinds import KINDS, WINDOW_NAMES
from mbrl_controller.tasks.spaces import Array, Mask
from mbrl_controller.tasks.symmetry import Symmetry

_EVALUATION_ROWS = 8192
_LAST_RATES = (1.0, 0.2)  # of the learning rate; the second from the best weights of the first

NETWORKS: dict[HeadKind, Callable[..., Encoder]] = {
    "policy": PolicyNetwork,
    "value": ValueNetwork,
    "reward": RewardNetwork,
}
NETWORKS |= {name: DensityNetwork if KINDS[name].is_density else WindowNetwork for name in WINDOW_NAMES}


@dataclass(frozen=True)
class FittedHead:
    """A trained network with each member's best weights."""

    network: Any  # of NETWORKS
    metrics: dict[str, float]  # on the episodes held out; on all rows if there is but one episode
    validation_loss: tuple[float, ...]  # after each epoch, mean over members
    stopped: bool  # `should_stop` ended it early


def train_head(
    data: Examples,
    spec: HeadSpec,
    config: HeadTrainConfig | None = None,
    *,
    held_out: Mask | None = None,
    symmetries: Sequence[Symmetry] = (),
    should_stop: Callable[[], bool] = lambda: False,
    threads: int = 1,
) -> FittedHead:
    """Train a head on `data`, each member of an ensemble on its own draw of episodes.

    A seed reproduces it bit for bit with the same `threads`.

    Args:
        data: what it learns from, of the spec's kind.
        spec: head to train.
        config: training options; None: the defaults.
        held_out: rows [N] for validation; None: episodes that `config` and the seed choose.
        symmetries: under which a row may be seen mirrored, anew in each epoch; heads with goals leave out those of
            which it is not known what becomes of a goal.
        should_stop: called after each batch.
        threads: torch threads.

    Returns:
        With the metrics of its network, and `epochs`.

    Raises:
        DatasetError: for data that does not fit or is not finite.
    """
    config = config or HeadTrainConfig()
    data.check(spec)
    network = NETWORKS[spec.kind](spec, seed=config.seed)
    images = [data, *(data.mirrored(s, spec) for s in symmetries if data.mirrors(s))]
    fit = _Fit(network, images, config, held_out)
    targets = [image.targets(spec) for image in images]
    own, learnt = targets[0], np.concatenate([target[fit.trained] for target in targets])
    network.fit_targets(learnt)
    scaled = np.concatenate([network.scaled_targets(target) for target in targets])
    with _threads(threads):
        losses, stopped = fit.run(scaled, network.loss(config), np.tile(data.weights, len(images)), should_stop)
        found = _in_parts(network.answers, data, fit.judged)
    metrics = network.metrics(found, own[fit.judged], own[fit.trained].mean(axis=0))
    return FittedHead(network, metrics | {"epochs": float(len(losses))}, losses, stopped)


class _Fit:
    """One training run: which rows it learns from (`trained`) and by which it is judged (`judged`).

    `images`: the data, and its mirror images. They follow each other in `features` and in what `run` gets.
    """

    def __init__(
        self, network: Encoder, images: Sequence[Examples], config: HeadTrainConfig, held_out: Mask | None
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
        network.fit_rows(self.features[learnt])
        draws = bootstrap(episode[self.trained], network.size, config.seed)
        self.pools = torch.tensor(self.trained[draws] if network.size > 1 else self.trained[None])

    def run(
        self, target: Array, row_loss: RowLoss, of_rows: Array, should_stop: Callable[[], bool]
    ) -> tuple[tuple[float, ...], bool]:
        """Train on `target` [images * N, D]; losses, and whether it was stopped."""
        self.row_loss = row_loss
        self.target, self.of_rows = (torch.tensor(np.asarray(v), dtype=torch.float32) for v in (target, of_rows))
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
        return (self.row_loss(self.features[rows], self.target[rows]) * self.of_rows[rows]).mean(-1)

    @torch.no_grad()
    def _validate(self) -> Tensor:
        total = torch.zeros(self.network.size, dtype=torch.float64)
        for rows in torch.tensor(self.judged).split(_EVALUATION_ROWS):
            total += self._loss(rows.expand(self.network.size, len(rows))).double() * len(rows)
        return total / len(self.judged)


def _in_parts(ask: Callable[..., Array], data: Examples, rows: Index) -> Array:
    """Answers for rows of the data, in bounded memory."""
    parts = [rows[i : i + _EVALUATION_ROWS] for i in range(0, len(rows), _EVALUATION_ROWS)]
    return np.concatenate([ask(*(value[part] for value in data.given)) for part in parts])


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """So many torch threads meanwhile."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
