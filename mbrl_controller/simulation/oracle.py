# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The simulator in place of the learned model: shows what a planner reaches with perfect predictions."""

from __future__ import annotations

import numpy as np

from mbrl_controller.simulation.hand_simulation import HandSimulation, Snapshot
from mbrl_controller.simulation.many_worlds import ManyWorlds
from mbrl_controller.tasks.spaces import Array


class OracleRollout:
    """Rolls out candidates from the simulation's current state, which does not change.

    Implements planning's RolloutModel and control's ControlModel. It needs a full physics state, so it ignores the
    state argument: no command may be in flight (`delay_s` must be 0).
    """

    version = "oracle"
    delta_scale = None
    disagreement_limit = None

    def __init__(self, simulation: HandSimulation, threads: int = 2) -> None:
        self.simulation = simulation
        self._worlds = ManyWorlds(simulation.scene, simulation.contract.action, threads)

    def rollout(self, state: Array | None, actions: Array, start: Snapshot | None = None) -> Array:
        """States [1, N, H, S] after each of `actions` [N, H, A] (joint targets, rad) from `start`, default: now."""
        sim = self.simulation
        now = sim.snapshot() if start is None else start
        count, horizon = actions.shape[:2]
        physics = np.tile(np.concatenate([[now.time], now.qpos, now.qvel, now.act]), (count, 1))
        states = np.empty((1, count, horizon, len(sim.scene.reader.index)))
        for step in range(horizon):
            physics, states[0, :, step] = self._worlds.step(sim.model, physics, actions[:, step], now.ctrl)
        return states

    def close(self) -> None:
        """End the threads."""
        self._worlds.close()

    def __enter__(self) -> OracleRollout:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
