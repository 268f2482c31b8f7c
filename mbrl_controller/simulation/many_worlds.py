# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Many copies of a world, each stepped by whole control periods under its own targets, on the threads of a pool."""

from __future__ import annotations

from collections.abc import Sequence

import mujoco
import numpy as np
from mujoco.rollout import Rollout

from mbrl_controller.simulation.scene import Scene
from mbrl_controller.tasks.spaces import ActionSpace, Array, Mask

TIME_TOLERANCE = 1e-6  # s


class ManyWorlds:
    """Steps N physics states at once: rows [time, qpos, qvel, act] of length `size`."""

    def __init__(self, scene: Scene, action: ActionSpace, threads: int = 1) -> None:
        self.scene, self.action = scene, action
        model = scene.model
        self.size = int(mujoco.mj_stateSize(model, int(mujoco.mjtState.mjSTATE_FULLPHYSICS)))
        if self.size != 1 + model.nq + model.nv + model.na:
            raise NotImplementedError("this world has physics state besides time, qpos, qvel and activations")
        self.qpos = slice(1, 1 + model.nq)
        self.qvel = slice(1 + model.nq, 1 + model.nq + model.nv)
        self.act = slice(1 + model.nq + model.nv, self.size)
        self._data = [mujoco.MjData(model) for _ in range(max(threads, 1))]  # one per thread, or they would race
        self._pool = Rollout(nthread=threads)

    def step(
        self,
        model: mujoco.MjModel | Sequence[mujoco.MjModel],
        physics: Array,
        target: Array,
        ctrl: Array,
        before: Array | None = None,
        latency: Array | float = 0.0,
    ) -> tuple[Array, Array]:
        """One control period; no row of `physics` changes.

        As in the real loop, each target is limited to what the row's joints can reach in one period. A row that
        diverges is NaN afterwards: MuJoCo itself would begin again at its default pose.

        Args:
            model: of all rows, or of each.
            physics: [N, size].
            target: joints [N, A] (rad).
            ctrl: [nu] of the actuators that the contract does not command.
            before: targets [N, A] (rad) in force until `latency` has passed; None: there is no latency.
            latency: s, at most one period, one or of each row [N]. Within a physics step both targets count in parts,
                so that the result is a continuous function of it.

        Returns:
            Physics [N, size] and states [N, S] at the end.
        """
        scene, nominal = self.scene, self.scene.model
        steps = round(scene.period / (model if isinstance(model, mujoco.MjModel) else model[0]).opt.timestep)
        count = len(physics)
        lost: Mask = np.asarray(~np.isfinite(physics).all(axis=-1))
        held = self.action.limit(target, scene.hand.positions(physics[:, self.qpos]))
        control = np.empty((count, steps, nominal.nu))
        control[:] = ctrl
        own = np.broadcast_to(scene.hand.controls(held)[:, None], (count, steps, len(self.action)))
        if before is not None:
            waited = np.broadcast_to(np.asarray(latency, dtype=float), (count,)) * steps / scene.period
            share = np.clip(waited[:, None] - np.arange(steps), 0.0, 1.0)[..., None]
            own = share * scene.hand.controls(before)[:, None] + (1.0 - share) * own
        control[:, :, scene.hand.actuators] = own
        if lost.any():
            physics = np.where(lost[:, None], self._rest(), physics)
            control[lost] = ctrl
        trace = np.empty((count, steps, self.size))
        sensors = np.empty((count, steps, nominal.nsensordata))
        models = model if isinstance(model, mujoco.MjModel) else list(model)
        # Without an initial warm start, as in HandSimulation.command.
        self._pool.rollout(models, self._data, physics, control, state=trace, sensordata=sensors)
        after = trace[:, -1].copy()
        lost |= np.abs(after[:, 0] - physics[:, 0] - scene.period) > TIME_TOLERANCE
        states = scene.reader.read(after[:, self.qpos], after[:, self.qvel], sensors[:, -1])
        if lost.any():
            after[lost], states[lost] = np.nan, np.nan
        return after, states

    def _rest(self) -> Array:
        rest = np.zeros(self.size)
        rest[self.qpos] = self.scene.model.qpos0
        return rest

    def close(self) -> None:
        """End the threads."""
        self._pool.close()
