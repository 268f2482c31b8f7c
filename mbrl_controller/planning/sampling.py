# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Planning by sampling: candidates around a mean, refined in a few iterations, as far as the deadline allows."""

from __future__ import annotations

import time
from abc import abstractmethod
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from mbrl_controller.base.units import Count, Number
from mbrl_controller.planning.base import Planner, PlannerConfig, PlannerState, PlanResult, finite_returns, shift
from mbrl_controller.planning.proposals import Candidates as Candidates
from mbrl_controller.planning.proposals import Objective, around, chunk_of_proposals, proposals_of
from mbrl_controller.tasks.spaces import Array

MOST_STEPS = 1_000_000  # predicted at once: with three networks and forty state entries, half a GiB
MIN_CHUNK = 16  # candidates; in a smaller chunk the fixed cost dominates
CHUNK_SHARE = 0.7  # of the remaining time that one chunk may take; the rest is margin for a wrong estimate


class SamplingConfig(PlannerConfig):
    """Options of all planners that sample."""

    num_samples: Count = Field(default=700, ge=2, le=100_000, description="action sequences per iteration (N)")
    iterations: Count = Field(default=1, ge=1, le=50, description="iterations per plan, as far as the deadline allows")
    population_decay: Number = Field(
        default=1.0, ge=1, le=10, description="factor by which the number of samples shrinks each iteration"
    )
    num_elites_kept: Count = Field(
        default=0, ge=0, le=1000, description="best samples that are carried over to the next iteration and tick"
    )
    output: Literal["mean", "best"] = Field(
        default="mean", description="action sequence to execute: the refined mean, or the best sample"
    )
    keep_mean: bool = Field(default=True, description="make the first sample the mean, without noise")
    proposal_fraction: Number = Field(
        default=0.0, ge=0, le=1, description="share of the samples drawn around what a learned policy proposes"
    )
    proposal_sample_scale: Number = Field(
        default=1.0, gt=0, le=1, description="factor on num_samples where a policy proposes: fewer samples do then"
    )

    @model_validator(mode="after")
    def _fits_into_memory(self) -> SamplingConfig:
        if self.num_samples * self.horizon > MOST_STEPS:
            raise ValueError(f"num_samples times horizon is {self.num_samples * self.horizon}, more than {MOST_STEPS}")
        return self

    @property
    def batch(self) -> int:
        """The samples of an iteration."""
        return self.num_samples

    @property
    def uses_proposals(self) -> bool:
        """Whether samples are drawn around proposals."""
        return self.proposal_fraction > 0


class SamplingPlanner(Planner):
    """Refines a mean [H, A] in a few iterations. A subclass draws candidates (`_sample`) and learns from their returns
    (`_refine`)."""

    def candidates(self, state: PlannerState) -> Candidates:
        """The candidates [N, H, A] of the first iteration from `state`."""
        search = self._begin(state)
        return self._chunk(search, state, state.rng(), 0, self.config.num_samples, self._carried(search, state))

    def plan(
        self, objective: Objective, state: PlannerState, deadline: float | None = None
    ) -> tuple[PlanResult, PlannerState]:
        """A plan for now, and the memory for the next control step.

        Without `deadline` (time.monotonic, s) every iteration evaluates all its candidates at once. With one, the first
        iteration evaluates chunks, sized by the measured pace, until the time is up (at least one small chunk). Each
        further iteration runs only if it should end in time.
        """
        self._check_shape(state)
        rng = state.rng()
        search = self._begin(state)
        if self.config.proposal_fraction:
            search.proposals = proposals_of(objective, state.mean.shape)
        samples = self.config.num_samples * (self.config.proposal_sample_scale if search.proposals is not None else 1.0)
        whole, deadline = deadline, None if deadline is None else self._sampling_until(deadline)
        if deadline is not None:
            self.throughput.learn()
        done = evaluated = 0
        for i in range(self.config.iterations):
            count = max(2, round(samples / self.config.population_decay**i))
            if i and deadline is not None and time.monotonic() + self.throughput.seconds(count) > deadline:
                break
            candidates, returns = self._evaluate(objective, search, state, rng, count, deadline)
            if np.isfinite(returns).any():
                self._keep_best(search, candidates, returns)
                self._refine(search, candidates, returns)
                search.valid = True
            done += 1
            evaluated += len(candidates)
        if search.valid:
            evaluated += self._polish(objective, search, whole)
        actions = state.mean
        if search.valid:
            actions = search.best if self.config.output == "best" else search.mean
        result = PlanResult(
            actions=np.array(actions, dtype=float),
            predicted_return=search.best_return if self.config.output == "best" else search.predicted_return,
            iterations=done,
            evaluated=evaluated,
            valid=search.valid,
        )
        following = search.mean if search.valid else state.mean
        elites = shift(search.elites) if search.elites is not None else None
        return result, PlannerState(shift(following), result.actions[0].copy(), state.seed, state.tick + 1, elites)

    def _sampling_until(self, deadline: float) -> float:
        """Until when to sample; a planner that polishes keeps some of the time."""
        return deadline

    def _polish(self, objective: Objective, search: Search, deadline: float | None) -> int:
        """Improve `search` in place once all samples are drawn; returns how many candidates that took."""
        return 0

    def _evaluate(
        self,
        objective: Objective,
        search: Search,
        state: PlannerState,
        rng: np.random.Generator,
        count: int,
        deadline: float | None,
    ) -> tuple[Candidates, Array]:
        """Candidates [n, H, A] and their returns [n]; n = count, or fewer if the time is up.

        Args:
            objective: candidates to returns.
            search: the mean (and deviation) to draw around.
            state: the planner's memory.
            rng: this plan's random numbers.
            count: candidates of this iteration.
            deadline: time.monotonic, s; None: none.
        """
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
            self.throughput.add(size, time.monotonic() - began)
        if len(parts) == 1:
            return parts[0], returns[0]
        return np.concatenate(parts), np.concatenate(returns)

    def _chunk_size(self, left: int, deadline: float | None, first: bool) -> int:
        if deadline is None:
            return left
        least = min(left, MIN_CHUNK)
        if not self.throughput:
            return least
        size = min(left, self.throughput.affordable(CHUNK_SHARE * (deadline - time.monotonic())))
        if size >= least:
            # If the rest would make too small a chunk, this chunk takes it too.
            return left if left - size < MIN_CHUNK else size
        return least if first else 0

    def _chunk(
        self, search: Search, state: PlannerState, rng: np.random.Generator, begin: int, count: int, carried: Array
    ) -> Candidates:
        """Candidates [count, H, A] of an iteration: those carried over come first, then new ones, then those around
        proposals.

        Args:
            search: the mean (and deviation) to draw around.
            state: the planner's memory.
            rng: this plan's random numbers.
            begin: index in the iteration of the chunk's first candidate.
            count: candidates of the chunk.
            carried: candidates [K, H, A] that are not drawn.
        """
        here = carried[begin : begin + count]
        proposed = chunk_of_proposals(self.config.proposal_fraction, begin, count, room=count - len(here))
        if search.proposals is None or not len(proposed):
            chunk = np.asarray(self._sample(search, state, rng, count), dtype=np.float32)
        else:
            chunk = np.zeros((count, *search.mean.shape), dtype=np.float32)
            if drawn := count - len(proposed):
                chunk[:drawn] = self._sample(search, state, rng, drawn)
            chunk[drawn:] = around(
                search.proposals, proposed, lambda centre, n: self._sample_around(centre, search, state, rng, n)
            )
        np.clip(chunk, -1.0, 1.0, out=chunk)
        chunk[: len(here)] = here
        return chunk

    def _sample_around(
        self, centre: Array, search: Search, state: PlannerState, rng: np.random.Generator, count: int
    ) -> Array:
        """New candidates [count, H, A] around `centre` [H, A], with the noise that `_sample` draws around the mean."""
        return self._sample(replace(search, mean=centre), state, rng, count)

    def _carried(self, search: Search, state: PlannerState) -> Array:
        """Candidates [K, H, A] that are not drawn: the mean and the elites."""
        parts = [np.clip(search.mean, -1.0, 1.0)[None]] if self.config.keep_mean else []
        elites = search.elites if search.elites is not None else state.elites
        if elites is not None and self.config.num_elites_kept:
            parts.append(elites[: self.config.num_elites_kept])
        return np.concatenate(parts) if parts else np.zeros((0, *search.mean.shape))

    def _keep_best(self, search: Search, candidates: Candidates, returns: Array) -> None:
        best = int(np.argmax(returns))
        if returns[best] > search.best_return:
            search.best, search.best_return = candidates[best].astype(float), float(returns[best])
        if self.config.num_elites_kept:
            count = min(self.config.num_elites_kept, len(returns))
            rows = np.argpartition(-returns, count - 1)[:count]
            rows = rows[np.argsort(-returns[rows], kind="stable")]
            search.elites = candidates[rows[np.isfinite(returns[rows])]].astype(float)

    def _begin(self, state: PlannerState) -> Search:
        return Search(mean=state.mean.copy(), best=state.mean)

    @abstractmethod
    def _sample(self, search: Search, state: PlannerState, rng: np.random.Generator, count: int) -> Array:
        """New candidates [count, H, A]; the caller clips them to [-1, 1]."""

    @abstractmethod
    def _refine(self, search: Search, candidates: Candidates, returns: Array) -> None:
        """Improve `search` in place; `returns` [N] holds -inf for candidates that must not win."""


@dataclass
class Search:
    """What the iterations of one plan refine."""

    mean: Array  # [H, A]
    best: Array  # [H, A], of all candidates seen
    best_return: float = -np.inf
    elites: Array | None = None  # [K, H, A], best first
    std: Array = field(default_factory=lambda: np.zeros(0))  # [H, A], of planners that have one
    predicted_return: float = -np.inf
    valid: bool = False
    proposals: Candidates | None = None  # [K, H, A]; None: nothing is drawn around any
