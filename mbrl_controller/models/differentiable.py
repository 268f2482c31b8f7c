# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What planning by gradient needs of a model: the same predictions in an array library that differentiates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from mbrl_controller.tasks.spaces import Array

Differentiated = tuple[Array, Array]  # returns [N], and their gradients [N, H, A] by the candidates


class DifferentiableModel(Protocol):
    """A model on arrays of a library that differentiates; NumPy in and out of `differentiate` alone."""

    @property
    def value(self) -> Any:
        """The version's value on such arrays (LearnedValue); None: it has none."""
        ...

    def rollout(self, state: Any, actions: Any) -> Any:
        """States [E, N, H, S] after each of the targets `actions` [N, H, A] from one state [S]."""
        ...

    def differentiate(self, returns: Callable[[Any], Any], candidates: Array) -> Differentiated:
        """What `returns` says of candidates [N, H, A] as an array, each candidate by itself, and its gradient."""
        ...
