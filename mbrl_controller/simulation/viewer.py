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
from mbrl_controller.simulation.scene import Scene
from mbrl_controller.tasks.spaces import Array

HOST = "127.0.0.1"  # viser serves without authentication: never on an outside interface
MARKER_COLORS = ((235, 120, 105), (110, 150, 240))


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
        self._markers: list[Any] = []
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

    def update(self, simulation: HandSimulation, markers: Array | None = None) -> bool:
        """Show the current state and `markers` [K, 3] (m, world frame) as small spheres; False if it is too soon."""
        now = time.monotonic()
        if now - self._last < self._interval:
            return False
        self._last = now
        self._data.qpos[:] = simulation.data.qpos
        mujoco.mj_kinematics(self._model, self._data)
        with self._server.atomic():
            self._view.update_from_mjdata(self._data)
            for i, position in enumerate(() if markers is None else markers):
                if i == len(self._markers):
                    color = MARKER_COLORS[i % len(MARKER_COLORS)]
                    self._markers.append(
                        self._server.scene.add_icosphere(f"/markers/{i}", radius=0.006, color=color, opacity=0.8)
                    )
                self._markers[i].position = np.asarray(position, dtype=float)
        return True

    def close(self) -> None:
        """Stop serving."""
        self._server.stop()
