# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Training loss: squared errors of rollouts over one or more steps, each step in units of its own change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mbrl_controller.base.columns import mapped
from mbrl_controller.base.errors import DatasetError
from mbrl_controller.dynamics.data import TransitionSet
from mbrl_controller.dynamics.ensemble import DynamicsEnsemble
from mbrl_controller.dynamics.turn_noise import shaken, tangent
from mbrl_controller.models.spec import ModelSpec
from mbrl_controller.tasks.spaces import Array

_SCALE_WINDOWS = 2**18


@dataclass(frozen=True)
class Rows:
    """Transitions as tensors, SI units, and the windows of k consecutive ones. Long ones are mapped on a CPU."""

    state: Tensor  # [N, S]
    action: Tensor  # [N, A]
    next_state: Tensor  # [N, S]; periodic angles within half a turn of the state's
    windows: Tensor  # [W, k], rows
    weight: Tensor | None = None  # [N], 1 in the mean over the windows' first rows; None: all alike


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

    def rows(self, data: TransitionSet, horizon: int, max_windows: int | None = None) -> Rows:
        """`data` with its windows of `horizon` transitions, at most `max_windows`, evenly spread."""
        windows = data.windows(horizon)
        if max_windows is not None and len(windows) > max_windows:
            windows = windows[np.linspace(0, len(windows) - 1, max_windows).astype(int)]
        difference = self.spec.state.difference

        def single(values: Array) -> NDArray[np.float32]:
            return values.astype(np.float32)

        def unwrapped(state: Array, next_state: Array) -> NDArray[np.float32]:
            return single(state + difference(next_state, state))

        state, action = mapped(single, data.state), mapped(single, data.action)
        next_state = mapped(unwrapped, data.state, data.next_state)
        before, command, after, every = (
            torch.from_numpy(value).to(self.device) for value in (state, action, next_state, windows)
        )
        weight = None
        if data.weight is not None:
            relative = data.weight / np.mean(data.weight[windows[:, 0]])
            weight = torch.tensor(relative, dtype=torch.float32, device=self.device)
        return Rows(before, command, after, every, weight)

    def scale(self, rows: Rows) -> Tensor:
        """RMS change [k, S] after each step, at least the one-step scale: so that late steps do not dominate."""
        parts = rows.windows.split(_SCALE_WINDOWS)
        if len(parts) == 1:
            rms = self._changes(rows, parts[0]).square().mean(0).sqrt()
        else:  # all changes at once would take more memory than the data
            sums = [self._changes(rows, part).square().sum(0, dtype=torch.float64) for part in parts]
            rms = (torch.stack(sums).sum(0) / len(rows.windows)).sqrt().float()
        rms[0] = self.model.delta_std
        return self.model.turns.alike(torch.maximum(rms, self.model.delta_std))

    def _changes(self, rows: Rows, windows: Tensor) -> Tensor:
        """Changes [W, k, S] since the start of each window [W, k]."""
        return self._wrapped(rows.next_state[windows] - rows.state[windows[:, :1]])

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
        state = rows.state[windows[..., 0]]
        if noise is not None:
            state = shaken(self.model, state, noise[0] * self.model.state_std)
        total = torch.zeros(self.model.size, device=self.device)
        for j in range(windows.shape[-1]):
            state = self.model(state, rows.action[windows[..., j]])
            error = self._error(state, rows.next_state[windows[..., j]], scale[j], noise)
            loss = self._of(error) * self.weight
            if rows.weight is not None:
                loss = loss * rows.weight[windows[..., :1]]
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
