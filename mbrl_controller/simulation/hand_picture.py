# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Which MuJoCo model stands for a contract's hand in a picture: its own world, another one of its robot, or none."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path

import mujoco

from mbrl_controller.base.errors import ContractError
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.simulation.hand_joints import find_hand
from mbrl_controller.simulation.scene import Scene, compile_world, load_scene
from mbrl_controller.simulation.scene_file import Camera
from mbrl_controller.simulation.scene_paths import available, has_world, read_scene_once
from mbrl_controller.simulation.state_pose import FREE, StatePose


@dataclass(frozen=True)
class HandPicture:
    """A model to draw, and how a state becomes its pose. `model` is a copy for this caller."""

    model: mujoco.MjModel
    pose: StatePose
    camera: Camera | None
    hand_bodies: tuple[int, ...]  # that the commanded joints move
    joint_bodies: tuple[int | None, ...]  # [A] body that each commanded joint moves; None: unknown


def find_picture(contract: RobotContract, model_file: Path | None = None) -> HandPicture | None:
    """The model of a contract's hand; None where there is none, so that objects alone can be drawn.

    First `model_file` (MJCF or URDF), then the contract's world, then the hand of another world of its robot, without
    that world's objects. Raises ContractError where a file is wrong.
    """
    if model_file is not None:
        try:
            model = mujoco.MjModel.from_xml_path(str(model_file))
        except ValueError as error:
            raise ContractError(f"{model_file}: MuJoCo cannot read it: {error}") from error
        return _picture(model, contract, StatePose.of_model(model, contract), None)
    if has_world(contract):
        scene = load_scene(contract)
        return picture_of(scene, contract)
    for (robot, _), path in sorted(available().items()):
        if robot == contract.file.robot:
            return _of_other_world(path, contract)
    return None


def picture_of(scene: Scene, contract: RobotContract) -> HandPicture:
    """Of a world that is loaded already."""
    return _picture(copy.copy(scene.model), contract, StatePose.of_scene(scene, contract), scene.camera)


def _of_other_world(path: Path, contract: RobotContract) -> HandPicture | None:
    model = copy.copy(compile_world(path).model)
    file = read_scene_once(path)
    try:
        hand = find_hand(model, contract.action, file.actuators)
    except ContractError:  # a robot of the same name with other joints
        return None
    home = (model.key_qpos[0] if model.nkey else model.qpos0).copy()
    hand.place(home, contract.action.neutral)
    pose = StatePose(model, contract, home, hand.place, file.frame)
    shown = {at for _, at in pose.objects.values()}
    for body in range(model.nbody):
        joint = int(model.body_jntadr[body])
        if joint >= 0 and int(model.jnt_type[joint]) == FREE and int(model.jnt_qposadr[joint]) not in shown:
            model.geom_rgba[model.geom_bodyid == body, 3] = 0.0
    return _picture(model, contract, pose, file.camera)


def _picture(model: mujoco.MjModel, contract: RobotContract, pose: StatePose, camera: Camera | None) -> HandPicture:
    joint_bodies = tuple(_moved_bodies(model, contract, pose))
    roots = {body for body in joint_bodies if body is not None}
    moved = []
    for body in range(1, model.nbody):
        above = body
        while above and above not in roots:
            above = int(model.body_parentid[above])
        if above:
            moved.append(body)
    return HandPicture(model, pose, camera, tuple(moved), joint_bodies)


def _moved_bodies(model: mujoco.MjModel, contract: RobotContract, pose: StatePose) -> list[int | None]:
    """What each commanded joint moves, found by moving it: so it does not matter how the world names it."""
    found: list[int | None] = []
    home = pose.with_joints(model.qpos0, contract.action.neutral)
    addresses = {int(model.jnt_qposadr[joint]): int(model.jnt_bodyid[joint]) for joint in range(model.njnt)}
    for i in range(len(contract.action)):
        target = contract.action.neutral.copy()
        target[i] += 0.1
        changed = (pose.with_joints(home, target) != home).nonzero()[0]
        found.append(addresses.get(int(changed[0])) if len(changed) else None)
    return found
