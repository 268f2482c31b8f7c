# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Where an ensemble expects the objects to go: one line for each object and member. Where they part, it is unsure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mujoco
import numpy as np

from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.simulation.hand_picture import HandPicture
from mbrl_controller.simulation.state_pose import FREE, object_entries
from mbrl_controller.tasks.spaces import Array

Color = tuple[int, int, int]  # red, green, blue, 0 to 255
COLORS: tuple[Color, ...] = (
    (200, 35, 25),
    (20, 60, 200),
    (20, 135, 60),
    (180, 115, 0),
)  # by object, as its goal's markers
FADE = 0.4  # of the way to white, at a path's end
WIDTH = 4.0  # pixels
BALL = 0.02  # m, radius of an object without a model
GAP = 0.006  # m, between an object and its path above it


class ObjectPaths:
    """The lines. What is followed: free objects; where a state has none, the loose joints' bodies, such as a valve."""

    def __init__(
        self,
        server: Any,
        contract: RobotContract,
        picture: HandPicture | None,
        name: str = "/paths",
        colors: Sequence[Color] = COLORS,
    ) -> None:
        """
        Args:
            server: viser's.
            contract: of the states.
            picture: the model to place them in; None: there is none, so objects are followed by their positions.
            name: of the group in the scene tree.
            colors: of the objects, in turn.
        """
        self._server, self._picture, self._name, self._colors = server, picture, name, colors
        self._handles: dict[int, Any] = {}
        self._entries = [own.position for own in object_entries(contract.task.state.names).values()]
        self._points = [] if picture is None else _followed(picture)
        # An object would hide the way of its own middle: it is drawn above it.
        self._lift = np.zeros((len(self._entries) if picture is None else len(self._points), 3))
        self._lift[:, 2] = BALL + GAP if picture is None else [_radius(picture.model, body) for body, _ in self._points]

    def points(self, states: Array) -> Array:
        """Where each followed point is at states [E, H, S], in the world: [K, E, H, 3] m."""
        if self._picture is None:
            return np.array([states[..., own] for own in self._entries]).reshape(
                len(self._entries), *states.shape[:2], 3
            )
        model = self._picture.model
        data = mujoco.MjData(model)
        traced = np.zeros((len(self._points), *states.shape[:2], 3))
        for row in np.ndindex(states.shape[:2]):
            data.qpos[:] = self._picture.pose.qpos(states[row])
            mujoco.mj_kinematics(model, data)
            for k, (body, offset) in enumerate(self._points):
                traced[(k, *row)] = data.xpos[body] + data.xmat[body].reshape(3, 3) @ offset
        return traced

    def show(self, states: Array | None) -> None:
        """Draw the paths through states [E, H, S]; steps that are not finite are left out. None removes the paths."""
        paths: Array = np.zeros((0, 0, 0, 3))
        if states is not None and states.shape[1] > 1:
            paths = self.points(np.asarray(states, dtype=float)) + self._lift[:, None, None]
        for k in list(self._handles):
            if k >= len(paths):
                self._handles.pop(k).remove()
        for k, members in enumerate(paths):
            steps = np.stack([members[:, :-1], members[:, 1:]], axis=2).reshape(-1, 2, 3)
            colors = _shades(self._colors[k % len(self._colors)], *members.shape[:2])
            good = np.isfinite(steps).all(axis=(1, 2))
            steps, colors = steps[good].astype(np.float32), colors[good]
            handle = self._handles.get(k)
            if handle is None:
                self._handles[k] = self._server.scene.add_line_segments(
                    f"{self._name}/{k}", steps, colors, thickness=WIDTH, thickness_units="screen"
                )
            else:
                handle.points, handle.colors = steps, colors


def _shades(color: Color, members: int, horizon: int) -> np.ndarray:
    """[E * (H - 1), 2, 3]: paler towards the end."""
    along = FADE * np.linspace(0.0, 1.0, horizon)[:, None]
    shades = (np.array(color) * (1 - along) + 255 * along).astype(np.uint8)
    segments = np.stack([shades[:-1], shades[1:]], axis=1)
    return np.tile(segments, (members, 1, 1))


def _followed(picture: HandPicture) -> list[tuple[int, Array]]:
    """Bodies, and the point of each (m, its own frame)."""
    model, addresses = picture.model, [at for _, at in picture.pose.objects.values()]
    bodies = {int(model.jnt_qposadr[joint]): int(model.jnt_bodyid[joint]) for joint in range(model.njnt)}
    if addresses:
        return [(bodies[at], np.zeros(3)) for at in addresses]
    return [(bodies[at], _far_point(model, bodies[at])) for at in picture.pose.loose_addresses]


def _far_point(model: mujoco.MjModel, body: int) -> Array:
    """The middle of the geom that is furthest from the joint: the body's own origin may be on the axis."""
    joint = model.jnt_pos[model.body_jntadr[body]]
    first, count = int(model.body_geomadr[body]), int(model.body_geomnum[body])
    centres = model.geom_pos[first : first + count]
    if not count:
        return np.zeros(3)
    return np.array(centres[np.argmax(np.linalg.norm(centres - joint, axis=1))])


def _radius(model: mujoco.MjModel, body: int) -> float:
    """m, of a free object with a gap; 0 for a joint's body, which does not hide its rim."""
    if int(model.jnt_type[model.body_jntadr[body]]) != FREE:
        return 0.0
    first, count = int(model.body_geomadr[body]), int(model.body_geomnum[body])
    return GAP + float(model.geom_rbound[first : first + count].max(initial=0.0))
