# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Counts network evaluations, so that plans can be compared by the work they take."""

from __future__ import annotations

from mbrl_controller.models.heads import HeadSpec
from mbrl_controller.planning.objective import RolloutModel
from mbrl_controller.planning.terminal_value import LearnedValue
from mbrl_controller.tasks.spaces import Array


class NetworkCount:
    """Evaluations of one network for one input: a member of the model for one step of one candidate, a member of the
    value for one state, the policy for one state."""

    def __init__(self) -> None:
        self.evaluations = 0


class CountedModel:
    """A model whose evaluations are counted."""

    def __init__(self, model: RolloutModel, count: NetworkCount) -> None:
        self._model, self._count = model, count

    def rollout(self, state: Array, actions: Array) -> Array:
        """As the model's own."""
        states = self._model.rollout(state, actions)
        members, candidates, steps = states.shape[:3]
        self._count.evaluations += members * candidates * steps
        return states


class CountedValue:
    """A value whose evaluations are counted."""

    def __init__(self, head: LearnedValue, count: NetworkCount) -> None:
        self._head, self._count = head, count

    @property
    def spec(self) -> HeadSpec:
        """The value's description."""
        return self._head.spec

    def values(self, states: Array, goals: Array) -> Array:
        """As the value's own."""
        values = self._head.values(states, goals)
        self._count.evaluations += values.size
        return values
