# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""`Operations` in torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn


class TorchOperations(nn.Module):
    """`Operations` on tensors; the constants move with the module, but are no part of its state."""

    minimum = staticmethod(torch.minimum)
    maximum = staticmethod(torch.maximum)
    sin = staticmethod(torch.sin)
    cos = staticmethod(torch.cos)
    exp = staticmethod(torch.exp)
    sqrt = staticmethod(torch.sqrt)

    def __init__(self, constants: Mapping[str, NDArray[Any]]) -> None:
        super().__init__()
        for name, value in constants.items():
            self.register_buffer(name, torch.tensor(value), persistent=False)

    def matmul(self, matrix: str, x: Tensor) -> Tensor:
        return self.get_buffer(matrix) @ x

    def constant(self, name: str) -> Tensor:
        return self.get_buffer(name)

    def split(self, x: Tensor, sizes: list[int], axis: int) -> list[Tensor]:
        return list(x.split(sizes, axis))

    def concat(self, parts: list[Tensor], axis: int) -> Tensor:
        return torch.cat(parts, axis)

    def reshape(self, x: Tensor, shape: list[int]) -> Tensor:
        return x.reshape(shape)

    def sum_first(self, x: Tensor) -> Tensor:
        return x.sum(0, keepdim=True)

    def choose(self, test: Tensor, positive: Tensor, otherwise: Tensor) -> Tensor:
        return torch.where(test > 0, positive, otherwise)
