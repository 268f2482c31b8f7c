# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Renders the simulated hand off screen. Set MUJOCO_GL (egl or osmesa) before Python starts."""

from __future__ import annotations

from types import TracebackType

import mujoco
import numpy as np
from numpy.typing import NDArray

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.simulation.hand_simulation import HandSimulation
from mbrl_controller.tasks.spaces import Array

MARKER_RADIUS = 0.006  # m
MARKER_COLORS = ((0.92, 0.47, 0.41, 1.0), (0.43, 0.59, 0.94, 1.0))


class Camera:
    """Renders from the scene's viewpoint. A context manager, because it holds a graphics context."""

    def __init__(self, simulation: HandSimulation, width: int = 480, height: int = 360) -> None:
        self.simulation = simulation
        try:
            self._renderer = mujoco.Renderer(simulation.model, height, width)
        except Exception as error:  # each graphics backend raises different errors
            raise MbrlError(
                f"cannot render ({error}): set MUJOCO_GL=egl (Debian: libegl1 libegl-mesa0 libgl1-mesa-dri libgbm1) "
                "or MUJOCO_GL=osmesa (libosmesa6)"
            ) from error
        viewpoint = simulation.scene.camera
        offset = np.array(viewpoint.look_at) - np.array(viewpoint.position)
        self._view = mujoco.MjvCamera()
        self._view.lookat[:] = viewpoint.look_at
        self._view.distance = float(np.linalg.norm(offset))
        self._view.azimuth = float(np.degrees(np.arctan2(offset[1], offset[0])))
        self._view.elevation = float(np.degrees(np.arcsin(offset[2] / self._view.distance)))

    def picture(self, markers: Array | None = None) -> NDArray[np.uint8]:
        """Render the current state [height, width, 3] (RGB), with spheres at `markers` [K, 3] (m, world frame)."""
        mujoco.mj_forward(self.simulation.model, self.simulation.data)
        self._renderer.update_scene(self.simulation.data, self._view)
        scene = self._renderer.scene
        for i, position in enumerate(() if markers is None else markers):
            mujoco.mjv_initGeom(
                scene.geoms[scene.ngeom],
                mujoco.mjtGeom.mjGEOM_SPHERE,
                np.full(3, MARKER_RADIUS),
                np.asarray(position, dtype=float),
                np.eye(3).ravel(),
                np.array(MARKER_COLORS[i % len(MARKER_COLORS)], dtype=np.float32),
            )
            scene.ngeom += 1
        return np.array(self._renderer.render())

    def __enter__(self) -> Camera:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._renderer.close()
