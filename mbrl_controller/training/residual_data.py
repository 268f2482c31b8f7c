# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Transitions as an ensemble learns them that corrects a simulator."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mbrl_controller.dynamics.data import TransitionSet
from mbrl_controller.models.residual import target
from mbrl_controller.simulation.identified import IdentifiedRollout
from mbrl_controller.tasks.spaces import VectorSpec

ROWS_AT_ONCE = 4096


def residual_data(data: TransitionSet, simulator: IdentifiedRollout, layout: VectorSpec) -> TransitionSet:
    """`data` with next states that differ from the states by what the simulator misses.

    The command before a row's own is in force for the simulator's latency, where the log has it. Rows that the
    simulator cannot step (it diverged) are left out.
    """
    follows = np.zeros(len(data), dtype=bool)
    follows[1:] = (np.diff(data.episode) == 0) & (np.diff(data.step) == 1)
    before = data.action.copy()
    before[follows] = data.action[np.flatnonzero(follows) - 1]
    learnt = np.empty_like(data.next_state)
    for begin in range(0, len(data), ROWS_AT_ONCE):
        rows = slice(begin, begin + ROWS_AT_ONCE)
        physics = simulator.start.physics(data.state[rows])
        _, simulated = simulator.worlds.step(
            simulator.model, physics, data.action[rows], simulator.start.ctrl, before[rows], simulator.latency
        )
        learnt[rows] = target(layout, data.state[rows], simulated, data.next_state[rows])
    kept = np.isfinite(learnt).all(-1)
    weight = None if data.weight is None else data.weight[kept]
    columns = {name: getattr(data, name)[kept] for name in ("state", "action", "episode", "step")}
    return replace(data, **columns, next_state=learnt[kept], weight=weight)
