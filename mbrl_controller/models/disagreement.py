# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Ensemble disagreement: the spread of the members' predictions, a measure of what the model does not know."""

from __future__ import annotations

import numpy as np

from mbrl_controller.tasks.orientation import angle_between, orthonormal
from mbrl_controller.tasks.spaces import Array, VectorSpec, parse_entry


def disagreement(next_states: Array, scale: Array) -> Array:
    """Disagreement [N] of members' predictions [E, N, S], averaged over the state's entries.

    It is the standard deviation over members, in units of `scale` [S], the training data's standard deviation of one
    step's change. The six entries of an orientation have one scale, so members that turn an object by different angles
    disagree equally whatever the axis and the frame.
    """
    spread: Array = (next_states.std(0) / scale).mean(-1)
    return spread


def leading_orientation(next_states: Array, scale: Array, layout: VectorSpec) -> str:
    """Where members' predictions [E, S] are furthest apart, in words with degrees, if it is an object's orientation.

    Empty if another quantity (a joint's or an object's position, velocity, ...) leads, in units of `scale` [S].
    """
    if not layout.orientations:
        return ""
    spread = next_states.std(0) / scale
    blocks = [slice(start, start + 6) for start in layout.orientations]
    leading = max(blocks, key=lambda block: float(spread[block].mean()))
    others = np.delete(spread, np.r_[tuple(blocks)])
    if len(others) and not spread[leading].mean() > others.max():
        return ""
    axes = np.asarray(next_states[:, leading], dtype=float)
    apart = np.degrees(np.sqrt(np.mean(np.square(angle_between(axes, orthonormal(axes.mean(0)))))))
    return f"most on how {parse_entry(layout.names[leading.start]).owner} is turned: by {apart:.2g} degrees"
