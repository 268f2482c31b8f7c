# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Objects, hand and plan of a contract as simple shapes in the contract's frame, for viewers without MuJoCo."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import mujoco
import numpy as np

from mbrl_controller.simulation.body_shells import VISIBLE_GROUPS
from mbrl_controller.simulation.hand_picture import HandPicture
from mbrl_controller.simulation.marker_shapes import Color
from mbrl_controller.tasks.spaces import Array

Kind = Literal["box", "cylinder", "ellipsoid"]
_KINDS: dict[int, Kind] = {
    int(mujoco.mjtGeom.mjGEOM_BOX): "box",
    int(mujoco.mjtGeom.mjGEOM_MESH): "box",  # around it: a mesh of thousands of triangles, ten times a second, is much
    int(mujoco.mjtGeom.mjGEOM_CYLINDER): "cylinder",
    int(mujoco.mjtGeom.mjGEOM_CAPSULE): "cylinder",
    int(mujoco.mjtGeom.mjGEOM_SPHERE): "ellipsoid",
    int(mujoco.mjtGeom.mjGEOM_ELLIPSOID): "ellipsoid",
}


@dataclass(frozen=True)
class Solid:
    """A part of an object. `extents` [3] (m): whole lengths along its own axes; a cylinder stands on its z axis."""

    kind: Kind
    extents: Array
    position: Array  # [3] m
    rotation: Array  # [3, 3]
    color: Color


class WorldShapes:
    """Shapes for states [S] of one contract; all in the contract's frame (m)."""

    def __init__(self, picture: HandPicture) -> None:
        """`picture`: see `find_picture`."""
        self._pose, self._hand = picture.pose, picture.hand_bodies
        model = self._model = picture.model
        self._data = mujoco.MjData(model)
        parents = {body: int(model.body_parentid[body]) for body in range(1, model.nbody)}
        self._bones = [(body, parents[body]) for body in self._hand if parents[body]]
        self._tips = [body for body in self._hand if body not in {parents[other] for other in self._hand}]
        moved = {*(at for _, at in self._pose.objects.values()), *self._pose.loose_addresses}
        bodies = {int(model.jnt_qposadr[j]): int(model.jnt_bodyid[j]) for j in range(model.njnt)}
        self._objects = sorted({bodies[at] for at in moved} - set(self._hand))

    def objects(self, state: Array) -> list[Solid]:
        """What the state moves besides the hand: free bodies, a valve."""
        self._place(self._pose.qpos(state))
        return [solid for body in self._objects for solid in self._solids(body)]

    def bones(self, state: Array) -> Array:
        """The hand as lines [n, 2, 3] from each body to the one that carries it."""
        self._place(self._pose.qpos(state))
        return self._in_frame(self._data.xpos[np.array(self._bones, dtype=np.intp).reshape(-1, 2)])

    def fingertip_paths(self, state: Array, targets: Array) -> Array:
        """Where joint targets [H, A] (rad) take the fingertips from where they are: [F, H + 1, 3]."""
        qpos = self._pose.qpos(state)
        rows = [qpos, *(self._pose.with_joints(qpos, target) for target in targets)]
        return np.stack([self._tip_positions(row) for row in rows], axis=1)

    def _tip_positions(self, qpos: Array) -> Array:
        self._place(qpos)
        return self._in_frame(np.array([self._tip(body) for body in self._tips]).reshape(-1, 3))

    def _tip(self, body: int) -> Array:
        """Middle of the body's geom that is furthest from its joint."""
        first, count = int(self._model.body_geomadr[body]), int(self._model.body_geomnum[body])
        own: Array = self._data.xpos[body]
        if not count:
            return own
        geoms = self._data.geom_xpos[first : first + count]
        tip: Array = geoms[int(np.argmax(np.linalg.norm(geoms - own, axis=1)))]
        return tip

    def _place(self, qpos: Array) -> None:
        self._data.qpos[:] = qpos
        mujoco.mj_kinematics(self._model, self._data)
        self._rotation, self._origin = self._pose.frame.twist(qpos, np.zeros(self._model.nv))[:2]

    def _in_frame(self, points: Array) -> Array:
        moved: Array = (points - self._origin) @ self._rotation
        return moved

    def _solids(self, body: int) -> Iterator[Solid]:
        model, data = self._model, self._data
        first = int(model.body_geomadr[body])
        for geom in range(first, first + int(model.body_geomnum[body])):
            kind = _KINDS.get(int(model.geom_type[geom]))
            red, green, blue, opacity = map(float, model.geom_rgba[geom])
            if kind is None or opacity == 0 or int(model.geom_group[geom]) >= VISIBLE_GROUPS:
                continue
            rotation = data.geom_xmat[geom].reshape(3, 3)
            centre = data.geom_xpos[geom] + rotation @ model.geom_aabb[geom, :3]
            extents = 2 * model.geom_aabb[geom, 3:]
            color = (red, green, blue, opacity)
            yield Solid(kind, extents.copy(), self._in_frame(centre), self._rotation.T @ rotation, color)
