# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Counts network evaluations, so that plans can be compared by the work they take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mbrl_controller.models.differentiable import DifferentiableModel, Differentiated
from mbrl_controller.models.heads import HeadSpec
from mbrl_controller.planning.objective import RolloutModel
from mbrl_controller.planning.step_reward import LearnedReward
from mbrl_controller.planning.terminal_value import LearnedValue
from mbrl_controller.tasks.spaces import Array


class NetworkCount:
    """Evaluations of one network for one input: a member of the model for one step of one candidate, a member of the
    value for one state, one of the reward for one step, the policy for one state."""

    def __init__(self) -> None:
        self.evaluations = 0


class CountedModel:
    """A model whose evaluations are counted."""

    def __init__(self, model: RolloutModel, count: NetworkCount) -> None:
        self._model, self._count = model, count

    @property
    def gradients(self) -> DifferentiableModel | None:
        """The model's own, counted: the way back is as much work as the way there."""
        own = getattr(self._model, "gradients", None)
        return None if own is None else CountedGradients(own, self._count)

    def rollout(self, state: Array, actions: Array) -> Array:
        """As the model's own."""
        states = self._model.rollout(state, actions)
        members, candidates, steps = states.shape[:3]
        self._count.evaluations += members * candidates * steps
        return states

    def predict(self, state: Array, action: Array) -> Array:
        """As the model's own, where it has one."""
        states: Array = self._model.predict(state, action)  # type: ignore[attr-defined]
        self._count.evaluations += states.shape[0] * states.shape[1]
        return states


class CountedGradients:
    """A differentiable model whose evaluations are counted, twice each."""

    def __init__(self, model: DifferentiableModel, count: NetworkCount) -> None:
        self._model, self._count = model, count

    @property
    def value(self) -> Any:
        """The model's own, counted."""
        return None if self._model.value is None else CountedValue(self._model.value, self._count, each=2)

    def rollout(self, state: Any, actions: Any) -> Any:
        """As the model's own."""
        states = self._model.rollout(state, actions)
        members, candidates, steps = states.shape[:3]
        self._count.evaluations += 2 * members * candidates * steps
        return states

    def differentiate(self, returns: Callable[[Any], Any], candidates: Array) -> Differentiated:
        """As the model's own."""
        return self._model.differentiate(returns, candidates)


class CountedReward:
    """A reward whose evaluations are counted."""

    def __init__(self, head: LearnedReward, count: NetworkCount) -> None:
        self._head, self._count = head, count

    def rewards(self, states: Array, actions: Array, next_states: Array, goals: Array) -> Array:
        """As the reward's own."""
        rewards = self._head.rewards(states, actions, next_states, goals)
        self._count.evaluations += rewards.size
        return rewards


class CountedValue:
    """A value whose evaluations are counted."""

    def __init__(self, head: LearnedValue, count: NetworkCount, each: int = 1) -> None:
        self._head, self._count, self._each = head, count, each

    @property
    def spec(self) -> HeadSpec:
        """The value's description."""
        return self._head.spec

    def values(self, states: Array, goals: Array) -> Array:
        """As the value's own."""
        values = self._head.values(states, goals)
        members, rows = values.shape
        self._count.evaluations += self._each * members * rows
        return values
