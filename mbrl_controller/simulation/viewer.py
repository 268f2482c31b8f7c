# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Shows the simulated hand in a web browser on this machine, with mjviser (optional)."""

from __future__ import annotations

import copy
import time
from typing import Any

import mujoco
import numpy as np

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.base.extras import how_to_install
from mbrl_controller.simulation.hand_simulation import HandSimulation
from mbrl_controller.simulation.marker_shapes import THICKNESS, MarkerShapes, Shape
from mbrl_controller.simulation.scene import Scene
from mbrl_controller.tasks.markers import Markers
from mbrl_controller.tasks.orientation import axes_to_quaternion, matrix_to_axes

HOST = "127.0.0.1"  # viser serves without authentication: never on an outside interface
OPACITY = 0.8  # of a marker, at most


class Viewer:
    """Serves the scene at http://127.0.0.1:<port>; `update` shows the current state, at most `rate` times a second.

    It works on copies of the model and the physics state, so it never changes the simulation.
    """

    def __init__(self, scene: Scene, port: int = 8080, rate: float = 30.0) -> None:
        try:
            import viser
            from mjviser import ViserMujocoScene
        except ImportError as error:
            raise MbrlError(f"the viewer needs the Python package mjviser: {how_to_install('viewer')}") from error
        model = copy.copy(scene.model)  # mjviser changes colours and scales in it
        self._data = mujoco.MjData(model)
        self._model = model
        try:
            self._server: Any = viser.ViserServer(host=HOST, port=port, label="mbrl_controller", verbose=False)
        except OSError as error:
            raise MbrlError(f"viewer: cannot serve on {HOST}:{port}: {error}") from error
        self._view = ViserMujocoScene(self._server, model, num_envs=1)
        self._view.camera_tracking_enabled = False  # else the view follows a moving finger
        self._markers: list[tuple[object, Any]] = []  # what each looks like, and its handle
        self._interval, self._last = 1.0 / rate, -np.inf
        camera = scene.camera

        @self._server.on_client_connect
        def _(client: Any) -> None:
            client.camera.position = np.array(camera.position)
            client.camera.look_at = np.array(camera.look_at)

    @property
    def url(self) -> str:
        """Address for the browser (viser takes the next free port if the requested one is in use)."""
        return f"http://{HOST}:{self._server.get_port()}"

    def update(self, simulation: HandSimulation, markers: Markers | None = None) -> bool:
        """Show the current state and `markers`; False if it is too soon."""
        now = time.monotonic()
        if now - self._last < self._interval:
            return False
        self._last = now
        self._data.qpos[:] = simulation.data.qpos
        mujoco.mj_kinematics(self._model, self._data)
        with self._server.atomic():
            self._view.update_from_mjdata(self._data)
            self._show([] if markers is None else MarkerShapes(simulation)(markers))
        return True

    def _show(self, shapes: list[Shape]) -> None:
        """Move the markers that are shown; make anew those that are something else by now."""
        for _, handle in self._markers[len(shapes) :]:
            handle.remove()
        del self._markers[len(shapes) :]
        for i, shape in enumerate(shapes):
            look = (shape.kind, shape.size, shape.color)
            if i == len(self._markers):
                self._markers.append((look, self._add(f"/markers/{i}", shape)))
            elif self._markers[i][0] != look:
                self._markers[i][1].remove()
                self._markers[i] = (look, self._add(f"/markers/{i}", shape))
            handle, x_y = self._markers[i][1], matrix_to_axes(shape.rotation)
            handle.position = shape.position
            handle.wxyz = np.roll(axes_to_quaternion(x_y), 1)

    def _add(self, name: str, shape: Shape) -> Any:
        scene = self._server.scene
        red, green, blue = (round(255 * part) for part in shape.color[:3])
        look = {"color": (red, green, blue), "opacity": min(shape.color[3], OPACITY)}
        if shape.kind == "sphere":
            return scene.add_icosphere(name, radius=shape.size[0], **look)
        if shape.kind == "box":
            return scene.add_box(name, dimensions=shape.size, **look)
        ends = np.array([[[0.0, 0.0, 0.0], [0.0, 0.0, shape.size[0]]]])
        widths = {"shaft_radius": THICKNESS, "head_radius": 2.5 * THICKNESS, "head_length": 5 * THICKNESS}
        return scene.add_arrows(name, ends, (red, green, blue), **widths)

    def close(self) -> None:
        """Stop serving."""
        self._server.stop()
