# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Ensemble disagreement: the spread of the members' predictions, a measure of what the model does not know."""

from __future__ import annotations

from mbrl_controller.tasks.spaces import Array


def disagreement(next_states: Array, scale: Array) -> Array:
    """Disagreement [N] of members' predictions [E, N, S], averaged over the state's entries.

    It is the standard deviation over members, in units of `scale` [S], the training data's standard deviation of one
    step's change.
    """
    spread: Array = (next_states.std(0) / scale).mean(-1)
    return spread
