# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A plan's feedback between ticks: what a newer state changes of the command in force.

The idea of Feedback-MPPI (Belvedere et al. 2025), with gains along a learned model. The plan says which state it
expects at which time; a newer measurement that differs from it moves the command by the plan's gains, until the next
tick plans anew:

    tick            tick + period       tick + 2 periods
    |---+---+---+---|---+---+---+---|
    u_0 corrections  u_1 (planned anew, or the plan's next action if that is late)
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mbrl_controller.tasks.spaces import ActionSpace, Array, VectorSpec, parse_entry

# What between two predicted states is about a share of both. A joint gets to its speed early in a period: halfway, its
# velocity says nothing about being on the plan (docs/planning.md).
GRADUAL = ("position", "orientation")
# Periods after the tick from which on its plan is too old to correct: the next tick is due after one, and has its
# command by the end of the next.
MAX_AGE = 2.0


@dataclass(frozen=True)
class PlanFeedback:
    """The gains of a plan, and the states it expects. Times are the measurements', s."""

    times: Array  # [K], ascending: of the observation, of the plan's begin, and a period after each action
    states: Array  # [K, S], expected then
    gains: Array  # [H, A, S], of normalised actions
    step: int = 0  # of the plan, whose command is in force

    def advanced(self) -> PlanFeedback | None:
        """One control step later, on the same plan; None at its end."""
        return replace(self, step=self.step + 1) if self.step + 1 < len(self.gains) else None

    def expected(self, stamps: Array) -> Array:
        """The state [S] whose entries were measured at `stamps` [S] (s): between two known ones, a share of both."""
        later = np.clip(np.searchsorted(self.times, stamps, side="right"), 1, len(self.times) - 1)
        begin, end = self.times[later - 1], self.times[later]
        share = np.clip((stamps - begin) / np.maximum(end - begin, 1e-12), 0.0, 1.0)
        entries = np.arange(self.states.shape[1])
        before, after = self.states[later - 1, entries], self.states[later, entries]
        return np.asarray(before + share * (after - before))

    def correction(self, state: Array, stamps: Array, spec: VectorSpec) -> Array:
        """The change [A] of the normalised action in force for a `state` [S] measured at `stamps` [S] (s)."""
        return np.asarray(self.gains[self.step] @ spec.difference(state, self.expected(stamps)))


def plan_feedback(
    gains: Array, spec: VectorSpec, observed: Array, stamp: float, begin: float, states: Array, period: float
) -> PlanFeedback:
    """The feedback of a new plan: on positions and orientations alone.

    Args:
        gains: [H, A, S]
        spec: of the state.
        observed: [S], what was measured before the plan.
        stamp: s, then.
        begin: s, from when on the plan acts; not before `stamp`.
        states: [H+1, S], predicted at the plan's begin and after each action.
        period: s.
    """
    times = begin + period * np.arange(len(states))
    if begin > stamp:  # on the way from the measurement, through the commands in force
        times, states = np.concatenate([[stamp], times]), np.concatenate([observed[None], states])
    gradual = np.array([parse_entry(name).quantity in GRADUAL for name in spec.names])
    return PlanFeedback(times, np.asarray(states, dtype=float), gains * gradual)


def corrected_target(action: ActionSpace, command: Array, change: Array) -> Array:
    """`command` [A] (rad) after a `change` [A] of its normalised action; where that is zero, the command itself."""
    moved = action.to_target(np.clip(action.to_normalised(command) + change, -1.0, 1.0))
    return np.asarray(np.where(change == 0, command, moved))
