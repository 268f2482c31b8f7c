# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What a planner asks of an objective: returns of candidates and, if it has any, proposals to search around."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mbrl_controller.tasks.spaces import Array

Candidates = NDArray[np.float32]
ROUNDING = 1e-9  # of a share times a number


class Objective(Protocol):
    """Judges candidates. It may have an attribute `proposals` (Candidates [K, H, A], or None): action sequences worth
    searching around, such as a learned policy's. Any function of candidates is an objective, too."""

    def __call__(self, candidates: Any, /) -> Array:
        """Returns [N] of candidates [N, H, A] in [-1, 1]."""
        ...


def proposals_of(objective: Objective, shape: tuple[int, ...]) -> Candidates | None:
    """The proposals [K, H, A] of `objective`, without those that are not finite; None if that leaves none.

    Raises ValueError if they do not have the `shape` (H, A) of the planner's candidates.
    """
    given = getattr(objective, "proposals", None)
    if given is None:
        return None
    proposals = np.asarray(given, dtype=np.float32)
    if proposals.ndim != 3 or proposals.shape[1:] != shape:
        raise ValueError(f"proposals have shape {proposals.shape}, expected (K, {shape[0]}, {shape[1]})")
    proposals = proposals[np.isfinite(proposals).all((1, 2))]
    return np.clip(proposals, -1.0, 1.0) if len(proposals) else None


def with_horizon(plan: Array, horizon: int) -> Candidates:
    """A plan [P, A] as one of `horizon` steps [H, A]: cut, or its last action repeated."""
    steps = np.minimum(np.arange(horizon), len(plan) - 1)
    return np.asarray(plan, dtype=np.float32)[steps]


def chunk_of_proposals(share: float, begin: int, count: int, room: int) -> range:
    """Which of an iteration's candidates around proposals are in a chunk, as numbers from the first one on.

    Any beginning of the iteration has its share of them, rounded up, so that chunks of any size do.

    Args:
        share: of all candidates.
        begin: index in the iteration of the chunk's first candidate.
        count: candidates of the chunk.
        room: of these, not taken by others.
    """
    first, last = (math.ceil(share * index - ROUNDING) for index in (begin, begin + count))
    return range(first, first + min(last - first, room))


def around(proposals: Candidates, numbers: range, draw: Callable[[Array, int], Array]) -> Candidates:
    """Candidates [n, H, A] around proposals: the proposals themselves first, then each in turn with noise.

    Args:
        proposals: [K, H, A].
        numbers: of the candidates, from `chunk_of_proposals`.
        draw: candidates [count, H, A] around a centre [H, A], from both.
    """
    each = np.asarray(numbers)
    which, noisy = each % len(proposals), each >= len(proposals)
    candidates: Candidates = proposals[which]
    for k in np.unique(which[noisy]):
        rows = noisy & (which == k)
        candidates[rows] = draw(proposals[k], int(rows.sum()))
    return candidates
