# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Extracts a simulated hand's geometry as numbers, which a model stores and uses without the simulation."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import mujoco
import numpy as np

from mbrl_controller.base.errors import ContractError
from mbrl_controller.contract.contract import RobotContract, parse_contract
from mbrl_controller.models.hand_geometry import Ball, Frame, HandGeometry, Hinge, Shape
from mbrl_controller.simulation.scene import Scene, load_scene
from mbrl_controller.tasks.spaces import Array

MIN_SIZE = 2e-3  # m; smaller boxes only give a link its mass

Pose = tuple[Array, Array]  # rotation [3, 3], position [3]


def extract_geometry(contract: RobotContract) -> HandGeometry:
    """Hinges and collision shapes of the contract's simulated hand, and the balls in its scene.

    Surfaces that no actuated joint moves (a fixed forearm) are left out. Raises ContractError if the scene has no
    balls, or the hand has joints or shapes that HandGeometry cannot represent.
    """
    return _of(contract.text, contract.folder)


@lru_cache(maxsize=4)
def _of(contract_text: str, folder: Path | None) -> HandGeometry:
    contract = parse_contract(contract_text, folder=folder)
    scene = load_scene(contract)
    names = [name for name in scene.objects if name in scene.file.objects]
    if not names:
        raise ContractError(f"contact features: the state of {contract.task.name} has no balls")
    return _Extractor(scene, contract).read(
        [Ball(name=name, radius=0.5 * scene.file.objects[name].size[0]) for name in names]
    )


class _Extractor:
    def __init__(self, scene: Scene, contract: RobotContract) -> None:
        self.model = scene.model
        self.free = set(scene.objects.values())
        self.known = set(contract.action.names)
        self.hinges: list[Hinge] = []
        # By body: the hinge that carries it (world: -1), and the body's pose in that hinge's frame.
        self.bodies: dict[int, tuple[int, Pose]] = {0: (-1, (np.eye(3), np.zeros(3)))}

    def read(self, balls: list[Ball]) -> HandGeometry:
        model = self.model
        for body in range(1, model.nbody):
            if body not in self.free:
                self._body(body)
        shapes = [s for geom in range(model.ngeom) if (s := self._shape(geom)) is not None]
        return HandGeometry(hinges=tuple(self.hinges), shapes=tuple(shapes), balls=tuple(balls))

    def _body(self, body: int) -> None:
        model = self.model
        hinge, pose = self.bodies[int(model.body_parentid[body])]
        pose = _then(pose, (_matrix(model.body_quat[body]), model.body_pos[body]))
        for joint in range(model.body_jntadr[body], model.body_jntadr[body] + model.body_jntnum[body]):
            name = model.joint(joint).name
            # int(): MuJoCo 4.0.0's enums do not compare equal to NumPy integers.
            if int(model.jnt_type[joint]) != int(mujoco.mjtJoint.mjJNT_HINGE) or name not in self.known:
                raise ContractError(f"contact features: joint {name!r} is not an actuated hinge")
            axis = (_frame_along(model.jnt_axis[joint]), np.array(model.jnt_pos[joint]))
            zero = float(model.qpos0[model.jnt_qposadr[joint]])  # the body's angle in the file's pose
            frame = _then(_then(pose, axis), (_about_z(-zero), np.zeros(3)))
            self.hinges.append(Hinge(joint=name, parent=hinge, frame=Frame.of(*frame)))
            hinge, pose = len(self.hinges) - 1, _inverse(axis)
        self.bodies[body] = (hinge, pose)

    def _shape(self, geom: int) -> Shape | None:
        model = self.model
        body = int(model.geom_bodyid[geom])
        if body in self.free or not (model.geom_contype[geom] or model.geom_conaffinity[geom]):
            return None
        hinge, pose = self.bodies[body]
        size, kind = model.geom_size[geom], int(model.geom_type[geom])
        if hinge < 0 or size.max() < MIN_SIZE:
            return None
        forms = {
            int(mujoco.mjtGeom.mjGEOM_SPHERE): ((0.0, 0.0, 0.0), size[0]),
            int(mujoco.mjtGeom.mjGEOM_CAPSULE): ((0.0, 0.0, size[1]), size[0]),
            int(mujoco.mjtGeom.mjGEOM_BOX): (size, 0.0),
        }
        if kind not in forms:
            name = model.body(body).name
            raise ContractError(
                f"contact features: the collision shape of body {name!r} is not a sphere, capsule or box"
            )
        half, radius = forms[kind]
        frame = _then(pose, (_matrix(model.geom_quat[geom]), model.geom_pos[geom]))
        x, y, z = map(float, half)
        return Shape(hinge=hinge, frame=Frame.of(*frame), half=(x, y, z), radius=float(radius))


def _then(first: Pose, second: Pose) -> Pose:
    """Pose `second`, given in frame `first`."""
    return first[0] @ second[0], first[1] + first[0] @ second[1]


def _inverse(pose: Pose) -> Pose:
    return pose[0].T, -pose[0].T @ pose[1]


def _matrix(quaternion: Array) -> Array:
    matrix = np.zeros(9)
    mujoco.mju_quat2Mat(matrix, quaternion)
    return matrix.reshape(3, 3)


def _about_z(angle: float) -> Array:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def _frame_along(axis: Array) -> Array:
    """A rotation [3, 3] whose z is `axis`."""
    quaternion = np.zeros(4)
    mujoco.mju_quatZ2Vec(quaternion, np.array(axis, dtype=float))
    return _matrix(quaternion)
