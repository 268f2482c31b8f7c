# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What batches of training are made from: windows of the data and of its mirror images, as tensors when asked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mbrl_controller.dynamics.data import Index
from mbrl_controller.dynamics.mirror_images import MirrorImages
from mbrl_controller.tasks.spaces import Array, VectorSpec


@dataclass(frozen=True)
class Batch:
    """Windows of k transitions in single precision, SI units."""

    state: Tensor  # [..., k, S]
    action: Tensor  # [..., k, A]
    next_state: Tensor  # [..., k, S]; periodic angles within half a turn of the state's
    weight: Tensor | None = None  # [..., 1] of the first row; None: all alike


@dataclass(frozen=True)
class Rows:
    """Windows of `horizon` consecutive rows of the images. Memory holds where they begin, and nothing of the images."""

    images: MirrorImages
    layout: VectorSpec
    first: Index  # [W] where the windows of the data itself begin
    horizon: int
    device: torch.device  # of the batches
    weight: Array | None = None  # [T] of the data's rows, 1 in the mean over the windows; None: all alike

    def __len__(self) -> int:
        return self.images.count * len(self.first)

    def windows(self, chosen: Tensor | None = None) -> Tensor:
        """Rows [..., k] of the images, of the windows of these numbers [...]; None: of all, which may be large."""
        numbers = np.arange(len(self)) if chosen is None else chosen.numpy()
        image, window = np.divmod(numbers, len(self.first))
        begin = image * len(self.images.data) + self.first[window]
        return torch.from_numpy(begin[..., None] + np.arange(self.horizon))

    def batch(self, windows: Tensor) -> Batch:
        """The transitions of windows [..., k] of rows."""
        rows = windows.numpy()
        state, action, next_state = self.images.at(rows)
        unwrapped = state + self.layout.difference(next_state, state)
        weight = None
        if self.weight is not None:
            weight = self._single(self.weight[rows[..., :1] % len(self.images.data)])
        return Batch(self._single(state), self._single(action), self._single(unwrapped), weight)

    def _single(self, values: Array) -> Tensor:
        return torch.from_numpy(values.astype(np.float32)).to(self.device)
