# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Translucent copies of a model's bodies in a viser scene: the hand that is planned, the limits that bind."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import mujoco
import numpy as np

VISIBLE_GROUPS = 3  # geoms of groups 0 to 2 are drawn, as MuJoCo's own viewer does


class BodyShells:
    """Copies in one colour. A body's mesh is sent when it is first shown, and only moved from then on."""

    def __init__(
        self, server: Any, name: str, model: mujoco.MjModel, color: tuple[int, int, int], opacity: float, scale: float
    ) -> None:
        """
        Args:
            server: viser's.
            name: of the group in the scene tree, as `/ghost`.
            model: whose bodies are copied.
            color: red, green, blue, 0 to 255.
            opacity: 0 to 1.
            scale: of a copy around its body's middle: a little above 1 lies around what it copies.
        """
        self._server, self._name, self._model = server, name, model
        self._look = {"color": color, "opacity": opacity}
        self._scale = scale
        self._handles: dict[int, Any] = {}  # None: a body without a picture

    def show(self, bodies: Iterable[int], data: mujoco.MjData) -> None:
        """Show these bodies where `data` has them after `mj_kinematics`, and no others."""
        wanted = set(bodies)
        for body, handle in self._handles.items():
            if handle is not None:
                handle.visible = body in wanted
        for body in sorted(wanted):
            if body not in self._handles:
                self._handles[body] = self._make(body)
            handle = self._handles[body]
            if handle is not None:
                handle.position, handle.wxyz = data.xpos[body].copy(), data.xquat[body].copy()

    @property
    def shown(self) -> set[int]:
        """Bodies that are visible."""
        return {body for body, handle in self._handles.items() if handle is not None and handle.visible}

    def _make(self, body: int) -> Any:
        from mjviser.conversions import merge_geoms

        model = self._model
        first, count = int(model.body_geomadr[body]), int(model.body_geomnum[body])
        drawn = [
            geom
            for geom in range(first, first + count)
            if model.geom_group[geom] < VISIBLE_GROUPS and model.geom_rgba[geom, 3] > 0
        ]
        if not drawn:
            return None
        mesh = merge_geoms(model, drawn)
        middle = mesh.vertices.mean(axis=0)
        vertices = middle + self._scale * (np.asarray(mesh.vertices) - middle)
        return self._server.scene.add_mesh_simple(
            f"{self._name}/{body}",
            vertices,
            np.asarray(mesh.faces),
            cast_shadow=False,
            receive_shadow=False,
            **self._look,
        )
