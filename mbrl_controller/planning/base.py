"""What a planner is. It knows an objective (candidates [N, H, A] -> returns [N]), never a model or a task.

Actions are normalised to [-1, 1]. A planner's memory is an explicit `PlannerState`: a reset is a new state, and the
same state and objective give the same plan to the bit.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from mbrl_controller.tasks.spaces import Array

Objective = Callable[[Array], Array]


class PlannerConfig(BaseModel):
    """What every planner has; each adds its own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    candidates: int = Field(default=700, ge=2, le=100_000, description="action sequences per refinement (N)")
    horizon: int = Field(default=7, ge=1, le=200, description="control steps looked ahead (H)")
    iterations: int = Field(default=1, ge=1, le=50, description="refinements per plan, as far as the deadline allows")


@dataclass(frozen=True)
class PlannerState:
    """What is carried from one plan to the next."""

    mean: Array  # [H, A], already shifted to the moment of the next plan
    last_action: Array  # [A], executed last
    seed: int
    tick: int = 0  # plans made; with the seed it gives the random numbers of the next plan

    def rng(self) -> np.random.Generator:
        """The random numbers of the next plan."""
        return np.random.Generator(np.random.Philox(key=[self.seed & (2**64 - 1), self.tick]))

    def executed(self, action: Array) -> PlannerState:
        """The state after `action` [A] was executed in place of the plan's own first action (limits, hand-over)."""
        return replace(self, last_action=np.clip(np.asarray(action, dtype=float), -1.0, 1.0))


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

    def initial_state(self, seed: int = 0, last_action: Array | None = None) -> PlannerState:
        """A fresh memory: the mean is neutral, `last_action` [A] is where the hand is (default neutral)."""
        last = np.zeros(self.action_size) if last_action is None else np.clip(last_action, -1.0, 1.0)
        return PlannerState(np.zeros((self.config.horizon, self.action_size)), last, seed)

    def plan(
        self, objective: Objective, state: PlannerState, deadline: float | None = None
    ) -> tuple[PlanResult, PlannerState]:
        """A plan for now, and the memory for the next control step.

        One refinement is always made; another only if, at the pace of the slowest so far, it ends before
        `deadline` (time.monotonic, s).
        """
        if state.mean.shape != (self.config.horizon, self.action_size):
            raise ValueError(
                f"planner state has mean {state.mean.shape}, expected "
                f"({self.config.horizon}, {self.action_size}); start from initial_state()"
            )
        rng = state.rng()
        search = self._begin(state)
        slowest, done = 0.0, 0
        for i in range(self.config.iterations):
            began = time.monotonic()
            if i and deadline is not None and began + slowest > deadline:
                break
            candidates = self._sample(search, state, rng)
            returns = finite_returns(objective(candidates))
            if np.isfinite(returns).any():
                self._refine(search, candidates, returns)
                search.valid = True
            done += 1
            slowest = max(slowest, time.monotonic() - began)
        actions = search.mean if search.valid else state.mean
        result = PlanResult(
            actions=actions,
            predicted_return=search.predicted_return,
            iterations=done,
            evaluated=done * self.config.candidates,
            valid=search.valid,
        )
        shifted = np.concatenate([actions[1:], actions[-1:]])
        return result, PlannerState(shifted, actions[0].copy(), state.seed, state.tick + 1)

    def _begin(self, state: PlannerState) -> Search:
        return Search(mean=state.mean.copy())

    @abstractmethod
    def _sample(self, search: Search, state: PlannerState, rng: np.random.Generator) -> Array:
        """Candidates [N, H, A] in [-1, 1]."""

    @abstractmethod
    def _refine(self, search: Search, candidates: Array, returns: Array) -> None:
        """Improve `search` in place; `returns` [N] holds -inf for candidates that must not win."""


@dataclass
class Search:
    """What is refined within one plan."""

    mean: Array  # [H, A]
    std: Array = field(default_factory=lambda: np.zeros(0))  # [H, A], where a planner keeps one
    predicted_return: float = -np.inf
    valid: bool = False


def finite_returns(returns: Array) -> Array:
    """Returns [N] with -inf for NaN and both infinities: a candidate whose return is not a number never wins."""
    returns = np.asarray(returns, dtype=float)
    return np.where(np.isfinite(returns), returns, -np.inf)
