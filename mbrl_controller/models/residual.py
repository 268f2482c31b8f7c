# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What a learned ensemble adds to a simulator's prediction: next = simulated + (predicted - state).

The ensemble is one as any other. It learns from transitions whose next state is what it should predict (`target`), so
that its predicted change is what the simulator misses. An orientation's change is a turn, about the contract's axes.
"""

from __future__ import annotations

from mbrl_controller.tasks.orientation import compose, inverse
from mbrl_controller.tasks.spaces import Array, VectorSpec


def target(layout: VectorSpec, state: Array, simulated: Array, measured: Array) -> Array:
    """The next states [..., S] to learn from: `state` plus what the simulator missed of `measured`.

    Args:
        layout: of the states.
        state: before the step.
        simulated: after it, by the simulator.
        measured: after it.
    """
    found: Array = state + layout.difference(measured, simulated)
    for start in layout.orientations:
        axes = slice(start, start + 6)
        missed = compose(measured[..., axes], inverse(simulated[..., axes]))
        found[..., axes] = compose(missed, state[..., axes])
    return found


def corrected(layout: VectorSpec, state: Array, simulated: Array, predicted: Array) -> Array:
    """The next states [..., S]: inverse of `target`, for what an ensemble `predicted` from `state`.

    `state` has the precision that the ensemble saw, so that a prediction of no change is none.
    """
    found: Array = simulated + (predicted - state)
    for start in layout.orientations:
        axes = slice(start, start + 6)
        missed = compose(predicted[..., axes], inverse(state[..., axes]))
        found[..., axes] = compose(missed, simulated[..., axes])
    return found
