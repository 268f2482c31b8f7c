# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What comes after a plan's last step: a learned value of the states there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from mbrl_controller.models.heads import HeadSpec
from mbrl_controller.tasks.arrays import namespace
from mbrl_controller.tasks.spaces import Array


class TerminalValue(Protocol):
    """The discounted return to be expected after a plan."""

    @property
    def discount(self) -> float:
        """Per control period, below 1."""

    def __call__(self, states: Array) -> Array:
        """Values [E, N], in units of reward, of states [E, N, S] as each member predicts them."""
        ...

    def on(self, head: LearnedValue) -> TerminalValue:
        """The same of another form of its network, such as one that can be differentiated."""
        ...


class LearnedValue(Protocol):
    """What is needed here of a value head (models/heads.py)."""

    @property
    def spec(self) -> HeadSpec: ...

    def values(self, states: Array, goals: Array) -> Array: ...


@dataclass(frozen=True)
class PessimisticValue:
    """The mean over the value's own members less `pessimism` times their standard deviation: a planner would else look
    for states of which the value is wrong."""

    head: LearnedValue
    goals: Array  # [L, G], from a period after the plan's end on
    pessimism: float

    @property
    def discount(self) -> float:
        """The one that the value was learnt with."""
        return self.head.spec.discount

    def on(self, head: LearnedValue) -> PessimisticValue:
        """The same of another form of the head."""
        return replace(self, head=head)

    def __call__(self, states: Array) -> Array:
        """Values [E, N] of states [E, N, S]."""
        members, count, size = states.shape
        values = self.head.values(states.reshape((members * count, size)), self.goals)
        xp = namespace(values)
        aggregated: Array = xp.mean(values, axis=0)
        if self.pessimism:
            aggregated = aggregated - self.pessimism * xp.std(values, axis=0)
        return aggregated.reshape((members, count))
