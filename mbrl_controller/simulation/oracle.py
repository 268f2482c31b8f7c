# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The simulator in place of the learned model: shows what a planner reaches with perfect predictions."""

from __future__ import annotations

import mujoco
import numpy as np
from mujoco.rollout import Rollout

from mbrl_controller.simulation.hand_simulation import HandSimulation, Snapshot
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
        self._data = [mujoco.MjData(simulation.model) for _ in range(threads)]  # one per thread, or they would race
        self._pool = Rollout(nthread=threads)

    def rollout(self, state: Array | None, actions: Array, start: Snapshot | None = None) -> Array:
        """States [1, N, H, S] after each of `actions` [N, H, A] (joint targets, rad) from `start`, default: now.

        As in the real loop, each target is limited to what the candidate's joints can reach in one period.
        """
        sim, scene, model = self.simulation, self.simulation.scene, self.simulation.model
        now = sim.snapshot() if start is None else start
        count, horizon = actions.shape[:2]
        begin = np.concatenate([[now.time], now.qpos, now.qvel, now.act])
        size = mujoco.mj_stateSize(model, int(mujoco.mjtState.mjSTATE_FULLPHYSICS))
        if size != len(begin):
            raise NotImplementedError("this world has physics state besides time, qpos, qvel and activations")
        physics = np.tile(begin, (count, 1))
        trace = np.empty((count, scene.substeps, size))
        sensors = np.empty((count, scene.substeps, model.nsensordata))
        control = np.empty((count, scene.substeps, model.nu))
        control[:] = now.ctrl
        states = np.empty((1, count, horizon, len(scene.reader.index)))
        qpos, qvel = slice(1, 1 + model.nq), slice(1 + model.nq, 1 + model.nq + model.nv)
        for step in range(horizon):
            held = sim.contract.action.limit(actions[:, step], scene.hand.positions(physics[:, qpos]))
            control[:, :, scene.hand.actuators] = scene.hand.controls(held)[:, None]
            # Without an initial warm start, as in HandSimulation.command.
            self._pool.rollout(model, self._data, physics, control, state=trace, sensordata=sensors)
            physics = trace[:, -1].copy()
            states[0, :, step] = scene.reader.read(physics[:, qpos], physics[:, qvel], sensors[:, -1])
        return states

    def close(self) -> None:
        """End the threads."""
        self._pool.close()

    def __enter__(self) -> OracleRollout:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
