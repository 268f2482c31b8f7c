# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Noise on orientations in training: small turns, after which the axes are proper axes."""

from __future__ import annotations

import torch
from torch import Tensor

from mbrl_controller.dynamics.ensemble import DynamicsEnsemble
from mbrl_controller.dynamics.turning import TURN_PER_ENTRY, turned


def shaken(model: DynamicsEnsemble, state: Tensor, offset: Tensor) -> Tensor:
    """States [E, B, S] plus offsets [E, B, S]; each orientation is turned instead, about axes of the object.

    So is each state that the physics leads to, if the start is: what the networks predict, the turn in the contract's
    frame, stays as it is. Of an orientation's six offsets the first three count, scaled to change the entries by the
    root mean square of all six scales.
    """
    result = state + offset
    if model.turning is None:
        return result
    parts, end = [], 0
    for start in model.turns.starts:
        axes, draw = state[..., start : start + 6], 0.5 * TURN_PER_ENTRY * offset[..., start : start + 3]
        x, y = axes[..., :3], axes[..., 3:]
        about = x * draw[..., :1] + y * draw[..., 1:2] + torch.linalg.cross(x, y) * draw[..., 2:]
        half = list(about.split(1, -1))
        parts += [result[..., end:start], *turned(model.turning, half, x.split(1, -1))]
        parts += turned(model.turning, half, y.split(1, -1))
        end = start + 6
    return torch.cat([*parts, result[..., end:]], -1)


def tangent(model: DynamicsEnsemble, state: Tensor, deviation: Tensor) -> Tensor:
    """Deviations [E, B, S] in units of each entry's scale; of orientations only what a turn of the states can be."""
    parts, end = [], 0
    for start in model.turns.starts:
        turn = TURN_PER_ENTRY * deviation[..., start : start + 3]
        for axis in (state[..., start : start + 3], state[..., start + 3 : start + 6]):
            parts += [deviation[..., end:start], torch.linalg.cross(turn, axis)]
            end = start
        end = start + 6
    return torch.cat([*parts, deviation[..., end:]], -1)
