# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Training loss: squared errors of rollouts over one or more steps, each step in units of its own change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from mbrl_controller.base.errors import DatasetError
from mbrl_controller.dynamics.data import TransitionSet
from mbrl_controller.dynamics.ensemble import DynamicsEnsemble
from mbrl_controller.dynamics.mirror_images import MirrorImages
from mbrl_controller.dynamics.training_rows import Rows
from mbrl_controller.dynamics.turn_noise import shaken, tangent
from mbrl_controller.models.spec import ModelSpec
from mbrl_controller.tasks.base import Symmetry

_SCALE_WINDOWS, _SCALE_AT_ONCE = 2**18, 2**13  # windows that are summed in single steps, and that are made at once


class RolloutLoss:
    """Mean squared error of a model's rollouts."""

    def __init__(
        self, model: DynamicsEnsemble, spec: ModelSpec, huber: float | None, weights: Mapping[str, float]
    ) -> None:
        """Raises DatasetError for a prefix that no state entry has, or weights that are negative or all zero.

        Args:
            model: Network to train.
            spec: Its description.
            huber: Errors above it, in units of the scale, count linearly.
            weights: Weight of state entries by prefix of their names; the longest prefix wins.
        """
        self.model, self.spec, self.huber = model, spec, huber
        self.device = model.delta_std.device
        self.weight = _entry_weights(spec, weights).to(self.device)

    def rows(
        self,
        data: TransitionSet,
        horizon: int,
        max_windows: int | None = None,
        symmetries: Sequence[Symmetry] = (),
    ) -> Rows:
        """Windows of `horizon` transitions of `data`, and of its mirror images under each symmetry.

        Args:
            data: The transitions.
            horizon: Steps of a window.
            max_windows: At most so many of each image, evenly spread.
            symmetries: Of the mirror images.
        """
        first = data.window_starts(horizon)
        if max_windows is not None and len(first) > max_windows:
            first = first[np.linspace(0, len(first) - 1, max_windows).astype(int)]
        images, weight = MirrorImages(data, tuple(symmetries)), data.weight
        if weight is not None:
            weight = weight / np.mean(np.tile(weight[first], images.count))
        return Rows(images, self.spec.state, first, horizon, self.device, weight)

    def scale(self, rows: Rows) -> Tensor:
        """RMS change [k, S] after each step, at least the one-step scale: so that late steps do not dominate."""
        if len(rows) <= _SCALE_WINDOWS:
            rms = self._changes(rows, 0, len(rows)).square().mean(0).sqrt()
        else:  # all changes at once would take more memory than the data
            parts = (self._changes(rows, at, at + _SCALE_WINDOWS) for at in range(0, len(rows), _SCALE_WINDOWS))
            sums = [part.square().sum(0, dtype=torch.float64) for part in parts]
            rms = (torch.stack(sums).sum(0) / len(rows)).sqrt().float()
        rms[0] = self.model.delta_std
        return self.model.turns.alike(torch.maximum(rms, self.model.delta_std))

    def _changes(self, rows: Rows, begin: int, end: int) -> Tensor:
        """Changes [W, k, S] since the start of each of the windows `begin` to `end`."""
        return torch.cat(list(self._changes_of_some(rows, begin, min(end, len(rows)))))

    def _changes_of_some(self, rows: Rows, begin: int, end: int) -> Iterator[Tensor]:
        for numbers in torch.arange(begin, end).split(_SCALE_AT_ONCE):
            batch = rows.batch(rows.windows(numbers))
            yield self._wrapped(batch.next_state - batch.state[:, :1])

    def __call__(self, rows: Rows, windows: Tensor, scale: Tensor, noise: tuple[Tensor, Tensor] | None) -> Tensor:
        """Loss [E].

        Args:
            rows: The transitions.
            windows: [E, B, k] rows to roll out.
            scale: [k, S]; errors of step j are in units of scale[j].
            noise: On start states and on targets, [E, B, S] each, in standard deviations of the state and of its
                change. Noise on the start is subtracted from the predictions: as in PDDM the target stays the change.
                Orientations are turned (dynamics/turn_noise.py).
        """
        batch = rows.batch(windows)
        state = batch.state[..., 0, :]
        if noise is not None:
            state = shaken(self.model, state, noise[0] * self.model.state_std)
        total = torch.zeros(self.model.size, device=self.device)
        for j in range(windows.shape[-1]):
            state = self.model(state, batch.action[..., j, :])
            error = self._error(state, batch.next_state[..., j, :], scale[j], noise)
            loss = self._of(error) * self.weight
            if batch.weight is not None:
                loss = loss * batch.weight
            total = total + loss.mean((1, 2))
        return total / windows.shape[-1]

    def _error(self, state: Tensor, target: Tensor, scale: Tensor, noise: tuple[Tensor, Tensor] | None) -> Tensor:
        """Errors [E, B, S] in units of the scale, with the noise."""
        if noise is None:
            return self._wrapped(state - target) / scale
        offset = noise[0] * self.model.state_std
        if self.model.turning is None:
            return self._wrapped(state - offset - target) / scale + noise[1]
        target = shaken(self.model, target, offset)
        return self._wrapped(state - target) / scale + tangent(self.model, target, noise[1])

    def _of(self, error: Tensor) -> Tensor:
        """Squared; linear beyond `huber` with equal slope, so that a few balls in flight do not dominate the fit."""
        if self.huber is None:
            return error.square()
        size = error.abs()
        return torch.where(size < self.huber, error.square(), self.huber * (2 * size - self.huber))

    def _wrapped(self, difference: Tensor) -> Tensor:
        angle = self.model.angle
        if not len(angle):
            return difference
        turn = 2 * np.pi
        wrapped = torch.remainder(difference.index_select(-1, angle) + np.pi, turn) - np.pi
        return difference.index_copy(-1, angle, wrapped)


def _entry_weights(spec: ModelSpec, by_prefix: Mapping[str, float]) -> Tensor:
    """Loss weight [S] of each state entry, scaled to a mean of 1."""
    unused = [prefix for prefix in by_prefix if not any(name.startswith(prefix) for name in spec.state_names)]
    if unused or any(weight < 0 for weight in by_prefix.values()):
        raise DatasetError(f"loss_weights: no state entry begins with {unused}" if unused else "loss_weights: negative")
    weights = []
    for name in spec.state_names:
        matching = [prefix for prefix in by_prefix if name.startswith(prefix)]
        weights.append(by_prefix[max(matching, key=len)] if matching else 1.0)
    if not sum(weights):
        raise DatasetError("loss_weights: all are zero")
    return torch.tensor(weights, dtype=torch.float32) * len(weights) / sum(weights)
