# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What heads learn from, as arrays, and which episodes are held out. NumPy only."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mbrl_controller.base.errors import DatasetError
from mbrl_controller.dynamics.data import Index
from mbrl_controller.models.heads import HeadKind, HeadSpec
from mbrl_controller.tasks.spaces import Array, Mask
from mbrl_controller.tasks.symmetry import Symmetry

ExamplesT = TypeVar("ExamplesT", bound="Examples")
HeadDataT = TypeVar("HeadDataT", bound="HeadData")

_WITHIN = 1 + 1e-5  # a normalised action; more than 1 by the rounding of float32


class Examples(ABC):
    """N rows that a head of `kind` learns from. `episode` [N] says which rows belong together."""

    kind: HeadKind
    episode: Index

    @abstractmethod
    def __len__(self) -> int:
        """N."""

    @property
    @abstractmethod
    def given(self) -> tuple[Array, ...]:
        """What the networks are given, in the order of their blocks."""

    @abstractmethod
    def targets(self, spec: HeadSpec) -> Array:
        """What they are to give, [N, D]."""

    @property
    def weights(self) -> Array:
        """How much each row counts, [N]."""
        return np.ones(len(self))

    def check(self, spec: HeadSpec) -> None:
        """Raises DatasetError for a head of another kind, no rows, other sizes, and numbers that are not finite."""
        if spec.kind != self.kind:
            raise DatasetError(f"a {spec.kind} cannot be trained on data for a {self.kind}")
        if not len(self):
            raise DatasetError(f"no rows to train the {spec.kind} on")
        for name, shape in self.shapes(spec).items():
            value = np.asarray(getattr(self, name))
            if value.shape != (len(self), *shape):
                raise DatasetError(f"{name} has shape {value.shape}, the {spec.kind} needs {(len(self), *shape)}")
            bad = np.flatnonzero(~np.isfinite(value).reshape(len(self), -1).all(axis=1))
            if len(bad):
                raise DatasetError(
                    f"{name} of row {bad[0]} (episode {self.episode[bad[0]]}) is not finite; {len(bad)} such rows"
                )

    @abstractmethod
    def mirrors(self, symmetry: Symmetry) -> bool:
        """Whether it is known what becomes of the rows under a symmetry."""

    @abstractmethod
    def mirrored(self: ExamplesT, symmetry: Symmetry, spec: HeadSpec) -> ExamplesT:
        """The same rows under a symmetry."""

    @abstractmethod
    def shapes(self, spec: HeadSpec) -> dict[str, tuple[int, ...]]:
        """Shape of a row of each array."""


@dataclass(frozen=True)
class HeadData(Examples):
    """N states and the goals at the head's `goal_steps`, SI units. `episode` says which rows belong together."""

    state: Array  # [N, S]
    goal: Array  # [N, K, G]
    episode: Index  # [N]

    def __len__(self) -> int:
        return len(self.state)

    @property
    def given(self) -> tuple[Array, ...]:
        return self.state, self.goal

    def mirrors(self, symmetry: Symmetry) -> bool:
        return symmetry.goal is not None

    def mirrored(self: HeadDataT, symmetry: Symmetry, spec: HeadSpec) -> HeadDataT:
        return replace(self, state=symmetry.mirror_state(self.state), goal=symmetry.mirror_goal(self.goal))

    def shapes(self, spec: HeadSpec) -> dict[str, tuple[int, ...]]:
        return {
            "state": (len(spec.state_names),),
            "goal": (len(spec.goal_steps), len(spec.goal_names)),
            "episode": (),
        }


@dataclass(frozen=True)
class PolicyData(HeadData):
    """States and the plans that a policy shall give there; `weight` of each row, 1 for all alike."""

    kind: HeadKind = field(default="policy", init=False)

    plan: Array  # [N, P, A], normalised actions
    weight: Array  # [N]

    @property
    def weights(self) -> Array:
        return np.asarray(self.weight)

    def targets(self, spec: HeadSpec) -> Array:
        return np.asarray(self.plan).reshape(len(self), -1)

    def check(self, spec: HeadSpec) -> None:
        super().check(spec)
        if np.abs(self.plan).max() > _WITHIN:
            row = int(np.argmax(np.abs(self.plan).reshape(len(self), -1).max(axis=1)))
            raise DatasetError(f"plan of row {row} has an action outside [-1, 1]: {np.abs(self.plan[row]).max():.3g}")
        if not (np.asarray(self.weight) >= 0).all() or not np.sum(self.weight) > 0:
            raise DatasetError("weight must not be negative, and not all zero")

    def mirrored(self, symmetry: Symmetry, spec: HeadSpec) -> PolicyData:
        target = symmetry.mirror_action(spec.action.to_target(self.plan))
        return replace(super().mirrored(symmetry, spec), plan=spec.action.to_normalised(target))

    def shapes(self, spec: HeadSpec) -> dict[str, tuple[int, ...]]:
        return super().shapes(spec) | {"plan": (spec.horizon, len(spec.action_names)), "weight": ()}


@dataclass(frozen=True)
class ValueData(HeadData):
    """States and the discounted returns from there on, in units of the task's reward."""

    kind: HeadKind = field(default="value", init=False)

    target: Array  # [N]

    def targets(self, spec: HeadSpec) -> Array:
        return np.asarray(self.target, dtype=float)[:, None]

    def shapes(self, spec: HeadSpec) -> dict[str, tuple[int, ...]]:
        return super().shapes(spec) | {"target": ()}


@dataclass(frozen=True)
class RewardData(HeadData):
    """Steps and their rewards. `goal` [N, 1, G] is the one at the end of each step, actions are joint targets (rad)."""

    kind: HeadKind = field(default="reward", init=False)

    action: Array  # [N, A]
    next_state: Array  # [N, S]
    target: Array  # [N]

    def targets(self, spec: HeadSpec) -> Array:
        return np.asarray(self.target, dtype=float)[:, None]

    @property
    def given(self) -> tuple[Array, ...]:
        return self.next_state, np.asarray(self.next_state) - np.asarray(self.state), self.action, self.goal

    def mirrored(self, symmetry: Symmetry, spec: HeadSpec) -> RewardData:
        action, after = symmetry.mirror_action(self.action), symmetry.mirror_state(self.next_state)
        return replace(super().mirrored(symmetry, spec), action=action, next_state=after)

    def shapes(self, spec: HeadSpec) -> dict[str, tuple[int, ...]]:
        A, S = len(spec.action_names), len(spec.state_names)
        return super().shapes(spec) | {"action": (A,), "next_state": (S,), "target": ()}


def hold_out(episode: Index, fraction: float, seed: int) -> Mask:
    """Which rows [N] are for validation: whole episodes, about `fraction` of them, at least one.

    None if all rows are of one episode, which then is trained on.
    """
    distinct = np.unique(episode)
    if len(distinct) < 2:
        return np.zeros(len(episode), dtype=bool)
    count = min(max(1, round(fraction * len(distinct))), len(distinct) - 1)
    chosen = np.random.default_rng([seed, len(distinct)]).permutation(distinct)[:count]
    return np.isin(episode, chosen)


def bootstrap(episode: Index, members: int, seed: int) -> NDArray[np.int64]:
    """Rows [members, N] that each member learns from: episodes drawn with replacement until there are N rows.

    Episodes, not rows: the rows of one are so alike that resampled rows would leave the members nearly the same data.
    """
    distinct, counts = np.unique(episode, return_counts=True)
    by_episode = np.argsort(episode, kind="stable")
    begins = np.concatenate([[0], np.cumsum(counts)])
    pools = []
    for member in range(members):
        rng, rows = np.random.default_rng([seed, member]), 0
        drawn = []
        while rows < len(episode):
            i = int(rng.integers(len(distinct)))
            drawn.append(by_episode[begins[i] : begins[i + 1]])
            rows += counts[i]
        pools.append(np.concatenate(drawn)[: len(episode)])
    return np.stack(pools)
