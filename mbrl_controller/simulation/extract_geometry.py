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
from mbrl_controller.models.hand_geometry import Ball, HandGeometry, Hinge, Shape, Solid
from mbrl_controller.models.hand_geometry import Frame as Placed
from mbrl_controller.simulation.extract_shapes import (
    ball_radius,
    collides,
    geom_pose,
    is_plane,
    object_solids,
    rounded_box,
    shape_centre,
)
from mbrl_controller.simulation.scene import Scene, load_scene
from mbrl_controller.simulation.state_reader import Frame
from mbrl_controller.tasks.spaces import AXES, Array, parse_entry

MIN_SIZE = 2e-3  # m; smaller boxes only give a link its mass

Pose = tuple[Array, Array]  # rotation [3, 3], position [3]


def extract_geometry(contract: RobotContract) -> HandGeometry:
    """Hinges and collision shapes of the contract's simulated hand, and the objects in its scene.

    An object whose position and orientation are in the state can have any shape (simulation/extract_shapes.py); one
    without orientation must be a ball. Surfaces that no joint moves (a palm) count where an object turns; around balls
    they are left out (a fixed forearm). Raises ContractError if the scene has no objects, or the hand has joints or
    shapes that HandGeometry cannot represent.
    """
    return _of(contract.text, contract.folder)


@lru_cache(maxsize=4)
def _of(contract_text: str, folder: Path | None) -> HandGeometry:
    contract = parse_contract(contract_text, folder=folder)
    scene = load_scene(contract)
    if not scene.objects:
        raise ContractError(f"contact features: the state of {contract.task.name} has no free objects")
    balls, solids = [], []
    for name, body in scene.objects.items():
        if f"{name}.orientation.{AXES[0]}" in contract.task.state.names:
            solids += object_solids(scene.model, body, name)
        else:
            balls.append(Ball(name=name, radius=ball_radius(scene.model, body, name)))
    return _Extractor(scene, contract).read(balls, solids)


class _Extractor:
    def __init__(self, scene: Scene, contract: RobotContract) -> None:
        self.model = scene.model
        self.free = set(scene.objects.values())
        names = (parse_entry(name) for name in contract.task.state.names)
        self.known = {name.owner for name in names if name.quantity == "position" and not name.is_object}
        self.hinges: list[Hinge] = []
        # By body: the hinge that carries it (world: -1), and the body's pose in that hinge's frame, or the contract's.
        self.bodies: dict[int, tuple[int, Pose]] = {0: (-1, _world(scene))}

    def read(self, balls: list[Ball], solids: list[Solid]) -> HandGeometry:
        model = self.model
        for body in range(1, model.nbody):
            if body not in self.free:
                self._body(body)
        shapes = [s for geom in range(model.ngeom) if (s := self._shape(geom, fixed=bool(solids))) is not None]
        return HandGeometry(hinges=tuple(self.hinges), shapes=tuple(shapes), balls=tuple(balls), solids=tuple(solids))

    def _body(self, body: int) -> None:
        model = self.model
        hinge, pose = self.bodies[int(model.body_parentid[body])]
        pose = _then(pose, (_matrix(model.body_quat[body]), model.body_pos[body]))
        for joint in range(model.body_jntadr[body], model.body_jntadr[body] + model.body_jntnum[body]):
            name = model.joint(joint).name
            # int(): MuJoCo 4.0.0's enums do not compare equal to NumPy integers.
            if int(model.jnt_type[joint]) != int(mujoco.mjtJoint.mjJNT_HINGE) or name not in self.known:
                raise ContractError(f"contact features: joint {name!r} is not a hinge whose position the state has")
            axis = (_frame_along(model.jnt_axis[joint]), np.array(model.jnt_pos[joint]))
            zero = float(model.qpos0[model.jnt_qposadr[joint]])  # the body's angle in the file's pose
            frame = _then(_then(pose, axis), (_about_z(-zero), np.zeros(3)))
            self.hinges.append(Hinge(joint=name, parent=hinge, frame=Placed.of(*frame)))
            hinge, pose = len(self.hinges) - 1, _inverse(axis)
        self.bodies[body] = (hinge, pose)

    def _shape(self, geom: int, fixed: bool) -> Shape | None:
        model = self.model
        body = int(model.geom_bodyid[geom])
        if body in self.free or not collides(model, geom):
            return None
        hinge, pose = self.bodies[body]
        if hinge < 0 and (not fixed or is_plane(model, geom)):
            return None
        half, radius = rounded_box(model, geom)
        if max(*half, radius) < MIN_SIZE:
            return None
        rotation, position = _then(pose, geom_pose(model, geom))
        frame = Placed.of(rotation, position + rotation @ shape_centre(model, geom))
        return Shape(hinge=hinge, frame=frame, half=half, radius=radius)


def _world(scene: Scene) -> Pose:
    """The world's pose in the contract's frame."""
    frame = Frame(scene.model, scene.file.frame)
    if frame.fixed is None:
        raise ContractError(
            f"contact features: the contract's frame {scene.file.frame!r} moves with the hand's joints; give the "
            "objects in a frame that stands still"
        )
    rotation, position = frame.fixed[:2]
    return (rotation, position) if frame.is_world else _inverse((rotation, position))


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
