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
from mbrl_controller.simulation.marker_shapes import THICKNESS, MarkerShapes, Shape
from mbrl_controller.tasks.markers import Markers
from mbrl_controller.tasks.spaces import Array


class Camera:
    """Renders from the scene's viewpoint. A context manager, because it holds a graphics context."""

    def __init__(self, simulation: HandSimulation, width: int = 480, height: int = 360) -> None:
        self.simulation, self._shapes = simulation, MarkerShapes(simulation)
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

    def picture(self, markers: Markers | None = None) -> NDArray[np.uint8]:
        """Render the current state [height, width, 3] (RGB), with `markers` as far as the renderer has room."""
        mujoco.mj_forward(self.simulation.model, self.simulation.data)
        self._renderer.update_scene(self.simulation.data, self._view)
        scene = self._renderer.scene
        for shape in self._shapes(markers)[: scene.maxgeom - scene.ngeom]:
            kind, size = _geom(shape)
            mujoco.mjv_initGeom(
                scene.geoms[scene.ngeom],
                kind,
                size,
                shape.position,
                shape.rotation.ravel(),
                np.array(shape.color, dtype=np.float32),
            )
            scene.ngeom += 1
        return np.array(self._renderer.render())

    def __enter__(self) -> Camera:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._renderer.close()


def _geom(shape: Shape) -> tuple[mujoco.mjtGeom, Array]:
    """MuJoCo's kind and size [3] of a shape: half edges, and an arrow's radius twice, then its length."""
    if shape.kind == "box":
        return mujoco.mjtGeom.mjGEOM_BOX, np.array(shape.size) / 2
    if shape.kind == "arrow":
        return mujoco.mjtGeom.mjGEOM_ARROW, np.array([2 * THICKNESS, 2 * THICKNESS, shape.size[0]])
    return mujoco.mjtGeom.mjGEOM_SPHERE, np.full(3, shape.size[0])
