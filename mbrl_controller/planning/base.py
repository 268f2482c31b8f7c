# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What a planner is. It knows an objective (candidates [N, H, A] -> returns [N]), never a model or a task.

Actions are normalised to [-1, 1]. A planner's memory is an explicit `PlannerState`: a reset is a new state, and
without a deadline the same state and objective give the same plan to the bit.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from mbrl_controller.base.units import Count, Number, Unit
from mbrl_controller.planning.pace import Pace
from mbrl_controller.tasks.spaces import Array

Objective = Callable[[Array], Array]
Candidates = NDArray[np.float32]

MOST_STEPS = 1_000_000  # predicted at once: with three networks and forty state entries, half a GiB
MIN_CHUNK = 16  # candidates: below it, a chunk's fixed cost is most of it
CHUNK_SHARE = 0.7  # of the time left that one chunk may take: not all of it, in case its pace is misjudged


class PlannerConfig(BaseModel):
    """What every planner has; each adds its own."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    candidates: Count = Field(default=700, ge=2, le=100_000, description="action sequences per refinement (N)")
    horizon: Annotated[int, Unit("control periods")] = Field(
        default=7, ge=1, le=200, description="control steps looked ahead (H)"
    )
    iterations: Count = Field(default=1, ge=1, le=50, description="refinements per plan, as far as the deadline allows")
    decay: Number = Field(default=1.0, ge=1, le=10, description="each refinement has so many times fewer candidates")
    kept: Count = Field(default=0, ge=0, le=1000, description="best candidates kept for the next refinement and tick")
    execute: Literal["mean", "best"] = Field(
        default="mean", description="what is executed: the refined mean, or the best candidate"
    )
    keep_mean: bool = Field(default=True, description="let the first candidate be the mean, without noise")

    @model_validator(mode="after")
    def _fits_into_memory(self) -> PlannerConfig:
        if self.candidates * self.horizon > MOST_STEPS:
            raise ValueError(f"candidates times horizon is {self.candidates * self.horizon}, more than {MOST_STEPS}")
        return self


@dataclass(frozen=True)
class PlannerState:
    """What is carried from one plan to the next."""

    mean: Array  # [H, A], already shifted to the moment of the next plan
    last_action: Array  # [A], executed last
    seed: int
    tick: int = 0  # plans made; with the seed it gives the random numbers of the next plan
    kept: Array | None = None  # [K, H, A], the best candidates of the last plan, shifted as the mean

    def rng(self) -> np.random.Generator:
        """The random numbers of the next plan."""
        return np.random.Generator(np.random.Philox(key=np.array([self.seed % 2**64, self.tick], np.uint64)))

    def executed(self, action: Array) -> PlannerState:
        """The state after `action` [A] was executed in place of the plan's own first action (limits, hand-over)."""
        return replace(self, last_action=np.clip(np.asarray(action, dtype=float), -1.0, 1.0))

    def skipped(self) -> PlannerState:
        """The state one control step later, when a step had no plan of its own."""
        kept = None if self.kept is None else shift(self.kept)
        return replace(self, mean=shift(self.mean), kept=kept, tick=self.tick + 1)


@dataclass(frozen=True)
class PlanResult:
    """A plan and how it came about."""

    actions: Array  # [H, A]; actions[0] is the one for now
    predicted_return: float
    iterations: int
    evaluated: int  # candidates
    valid: bool  # False: no candidate had a finite return, and the plan is the shifted previous one


class Planner(ABC):
    """A sampling planner: refine a mean [H, A] a few times, as far as the deadline allows."""

    name: ClassVar[str]
    config_type: ClassVar[type[PlannerConfig]]

    def __init__(self, action_size: int, config: PlannerConfig) -> None:
        self.action_size = action_size
        self.config: Any = config
        self.pace = Pace()

    def initial_state(self, seed: int = 0, last_action: Array | None = None) -> PlannerState:
        """A fresh memory: the mean is neutral, `last_action` [A] is where the hand is (default neutral)."""
        last = np.zeros(self.action_size) if last_action is None else np.clip(last_action, -1.0, 1.0)
        return PlannerState(np.zeros((self.config.horizon, self.action_size)), last, seed)

    def candidates(self, state: PlannerState) -> Candidates:
        """The candidates [N, H, A] of the first refinement from `state`."""
        search = self._begin(state)
        return self._chunk(search, state, state.rng(), 0, self.config.candidates, self._carried(search, state))

    def plan(
        self, objective: Objective, state: PlannerState, deadline: float | None = None
    ) -> tuple[PlanResult, PlannerState]:
        """A plan for now, and the memory for the next control step.

        Without `deadline` (time.monotonic, s) every refinement has all its candidates, at once. With one, the first
        refinement's are evaluated in chunks sized by the pace of earlier chunks, as many as there is time for (one
        small chunk at least), and a further refinement is made only if all of it should end in time.
        """
        if state.mean.shape != (self.config.horizon, self.action_size):
            raise ValueError(
                f"planner state has mean {state.mean.shape}, expected "
                f"({self.config.horizon}, {self.action_size}); start from initial_state()"
            )
        rng = state.rng()
        search = self._begin(state)
        if deadline is not None:
            self.pace.learn()
        done = evaluated = 0
        for i in range(self.config.iterations):
            count = max(2, round(self.config.candidates / self.config.decay**i))
            if i and deadline is not None and time.monotonic() + self.pace.seconds(count) > deadline:
                break
            candidates, returns = self._evaluate(objective, search, state, rng, count, deadline)
            if np.isfinite(returns).any():
                self._keep_best(search, candidates, returns)
                self._refine(search, candidates, returns)
                search.valid = True
            done += 1
            evaluated += len(candidates)
        actions = state.mean
        if search.valid:
            actions = search.best if self.config.execute == "best" else search.mean
        result = PlanResult(
            actions=np.array(actions, dtype=float),
            predicted_return=search.best_return if self.config.execute == "best" else search.predicted_return,
            iterations=done,
            evaluated=evaluated,
            valid=search.valid,
        )
        following = search.mean if search.valid else state.mean
        kept = shift(search.kept) if search.kept is not None else None
        return result, PlannerState(shift(following), result.actions[0].copy(), state.seed, state.tick + 1, kept)

    def _evaluate(
        self,
        objective: Objective,
        search: Search,
        state: PlannerState,
        rng: np.random.Generator,
        count: int,
        deadline: float | None,
    ) -> tuple[Candidates, Array]:
        """Candidates [n, H, A] and their returns [n]: n = count, or what there was time for."""
        carried = self._carried(search, state)
        parts: list[Candidates] = []
        returns: list[Array] = []
        done = 0
        while done < count:
            size = self._chunk_size(count - done, deadline, first=not done)
            if not size:
                break
            began = time.monotonic()
            chunk = self._chunk(search, state, rng, done, size, carried)
            returns.append(finite_returns(objective(chunk)))
            parts.append(chunk)
            done += size
            self.pace.add(size, time.monotonic() - began)
        if len(parts) == 1:
            return parts[0], returns[0]
        return np.concatenate(parts), np.concatenate(returns)

    def _chunk_size(self, left: int, deadline: float | None, first: bool) -> int:
        if deadline is None:
            return left
        least = min(left, MIN_CHUNK)
        if not self.pace:
            return least
        size = min(left, self.pace.affordable(CHUNK_SHARE * (deadline - time.monotonic())))
        if size >= least:
            # A rest that would make a chunk too small to pay goes with this one.
            return left if left - size < MIN_CHUNK else size
        return least if first else 0

    def _chunk(
        self, search: Search, state: PlannerState, rng: np.random.Generator, begin: int, count: int, carried: Array
    ) -> Candidates:
        """Candidates begin ... begin + count of a refinement: first those that are carried over, then new ones."""
        chunk = np.asarray(self._sample(search, state, rng, count), dtype=np.float32)
        np.clip(chunk, -1.0, 1.0, out=chunk)
        here = carried[begin : begin + count]
        chunk[: len(here)] = here
        return chunk

    def _carried(self, search: Search, state: PlannerState) -> Array:
        """Candidates [K, H, A] that are not drawn: the mean, and the best so far."""
        parts = [np.clip(search.mean, -1.0, 1.0)[None]] if self.config.keep_mean else []
        kept = search.kept if search.kept is not None else state.kept
        if kept is not None and self.config.kept:
            parts.append(kept[: self.config.kept])
        return np.concatenate(parts) if parts else np.zeros((0, *search.mean.shape))

    def _keep_best(self, search: Search, candidates: Candidates, returns: Array) -> None:
        best = int(np.argmax(returns))
        if returns[best] > search.best_return:
            search.best, search.best_return = candidates[best].astype(float), float(returns[best])
        if self.config.kept:
            count = min(self.config.kept, len(returns))
            rows = np.argpartition(-returns, count - 1)[:count]
            rows = rows[np.argsort(-returns[rows], kind="stable")]
            search.kept = candidates[rows[np.isfinite(returns[rows])]].astype(float)

    def _begin(self, state: PlannerState) -> Search:
        return Search(mean=state.mean.copy(), best=state.mean)

    @abstractmethod
    def _sample(self, search: Search, state: PlannerState, rng: np.random.Generator, count: int) -> Array:
        """New candidates [count, H, A]; what lies outside [-1, 1] is cut by the caller."""

    @abstractmethod
    def _refine(self, search: Search, candidates: Candidates, returns: Array) -> None:
        """Improve `search` in place; `returns` [N] holds -inf for candidates that must not win."""


@dataclass
class Search:
    """What is refined within one plan."""

    mean: Array  # [H, A]
    best: Array  # [H, A], of all candidates seen
    best_return: float = -np.inf
    kept: Array | None = None  # [K, H, A], best first
    std: Array = field(default_factory=lambda: np.zeros(0))  # [H, A], where a planner keeps one
    predicted_return: float = -np.inf
    valid: bool = False


def finite_returns(returns: Array) -> Array:
    """Returns [N] with -inf for NaN and both infinities: a candidate whose return is not a number never wins."""
    returns = np.asarray(returns, dtype=float)
    return np.where(np.isfinite(returns), returns, -np.inf)


def shift(actions: Array) -> Array:
    """Plans [..., H, A] one control step later; the last step is repeated."""
    return np.concatenate([actions[..., 1:, :], actions[..., -1:, :]], axis=-2)
