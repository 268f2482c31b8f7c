# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Shows the simulated hand in a web browser on this machine (optional)."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.base.extras import how_to_install
from mbrl_controller.simulation.hand_picture import picture_of
from mbrl_controller.simulation.hand_scene import HandScene
from mbrl_controller.simulation.hand_simulation import HandSimulation
from mbrl_controller.tasks.markers import Markers

HOST = "127.0.0.1"  # viser serves without authentication: never on an outside interface


class Viewer:
    """Serves the scene at http://127.0.0.1:<port>; `update` shows the current state, at most `rate` times a second.

    It works on copies of the model and the physics state, so it never changes the simulation.
    """

    def __init__(self, simulation: HandSimulation, port: int = 8080, rate: float = 30.0) -> None:
        self._server = serve(HOST, port)
        close_tunnel(self._server)
        self._scene = HandScene(
            self._server, simulation.contract, picture=picture_of(simulation.scene, simulation.contract)
        )
        self._interval, self._last = 1.0 / rate, -np.inf

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
        with self._server.atomic():
            self._scene.show_qpos(simulation.data.qpos)
            self._scene.show_markers(markers)
        return True

    def close(self) -> None:
        """Stop serving."""
        self._server.stop()


def serve(host: str, port: int) -> Any:
    """A viser server; raises MbrlError where it is not installed or cannot serve."""
    try:
        import mjviser  # noqa: F401
        import viser
    except ImportError as error:
        raise MbrlError(f"the viewer needs the Python package mjviser: {how_to_install('viewer')}") from error
    try:
        return viser.ViserServer(host=host, port=port, label="mbrl_controller", verbose=False)
    except OSError as error:
        raise MbrlError(f"viewer: cannot serve on {host}:{port}: {error}") from error


def close_tunnel(server: Any) -> None:
    """Let no browser share a viser server with the whole internet, which viser offers to each."""
    from viser import _messages

    for kind in (_messages.ShareUrlRequest, _messages.ShareUrlDisconnect):
        server._websock_server.unregister_handler(kind)
