# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Loads the simulated world of a contract's robot and task, and indexes the state entries in it.

Worlds are data: scene.yaml names the model to load, changes to it, and how an episode starts. A contract names its own
(`scene:`), or it is found by robot and task among the `sim/*/scene.yaml` of all packages.
"""

from __future__ import annotations

import copy
import warnings
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import mujoco
import numpy as np

from mbrl_controller.base.errors import ContractError
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.contract.sources import ObjectSource
from mbrl_controller.simulation.hand_joints import SCALAR_JOINTS, HandJoints, coefficients, find_hand, is_position_servo
from mbrl_controller.simulation.model_files import digest
from mbrl_controller.simulation.scene_build import KeyPose, World, build
from mbrl_controller.simulation.scene_file import Camera, SceneFile
from mbrl_controller.simulation.scene_paths import read_scene_once, scene_path
from mbrl_controller.simulation.state_reader import FRAME_KINDS, Frame, StateReader
from mbrl_controller.tasks.spaces import parse_entry

HINGE = int(mujoco.mjtJoint.mjJNT_HINGE)


@dataclass(frozen=True)
class Scene:
    """A compiled world. `model` is a copy for this caller. Indices are in the contract's order."""

    path: Path
    file: SceneFile
    model: mujoco.MjModel
    key: KeyPose
    hand: HandJoints
    reader: StateReader
    loose_joints: tuple[int, ...]  # hinges and slides that no servo moves, such as a valve; in format 1 hinges
    period: float  # s of control
    digest: str  # SHA-256 (hex) of scene.yaml's content and the model's files

    @property
    def objects(self) -> dict[str, int]:
        """Free bodies of the state -> body id."""
        return self.reader.objects

    @property
    def state_index(self) -> np.ndarray:
        """[S] into concatenate(qpos, qvel, sensordata), of what is read as it is."""
        return self.reader.index

    @property
    def timestep(self) -> float:
        """s of one physics step."""
        return float(self.model.opt.timestep)

    @property
    def substeps(self) -> int:
        """Physics steps in a control period."""
        return round(self.period / self.timestep)

    @property
    def camera(self) -> Camera:
        """The default viewpoint: the scene's, else one that shows all of the model from the side."""
        if self.file.camera is not None:
            return self.file.camera
        x, y, z = map(float, self.model.stat.center)
        far = 1.5 * float(self.model.stat.extent)
        return Camera(position=(x + 0.6 * far, y - 0.6 * far, z + 0.5 * far), look_at=(x, y, z))

    @property
    def free_qpos(self) -> dict[str, int]:
        """Address in qpos of each object's x, y, z, then orientation (w, x, y, z)."""
        return {name: int(self.model.jnt_qposadr[self.model.body_jntadr[body]]) for name, body in self.objects.items()}

    @property
    def free_qvel(self) -> dict[str, int]:
        """Address in qvel of each object's linear (world frame), then angular velocity (body frame)."""
        return {name: int(self.model.jnt_dofadr[self.model.body_jntadr[body]]) for name, body in self.objects.items()}


def load_scene(contract: RobotContract, keep_tendons: bool = False) -> Scene:
    """The world of a contract; raises ContractError if there is none or it does not match.

    `keep_tendons`: those of the model file, even where the scene removes them.
    """
    path = scene_path(contract)
    file = read_scene_once(path)
    for what, own, wanted in (("robot", file.robot, contract.file.robot), ("task", file.task, contract.task.name)):
        if own not in (None, wanted):
            raise ContractError(f"{path}: it is a world for {what} {own!r}, the contract says {wanted!r}")
    efforts = [e.owner for e in map(parse_entry, contract.task.state.names) if e.quantity == "effort"]
    world = compile_world(path, tuple((name, file.actuators.get(name)) for name in efforts), keep_tendons)
    model = copy.copy(world.model)
    try:
        hand = find_hand(model, contract.action, file.actuators)
        frame = Frame(model, file.frame)
        if not file.neutral_first:
            _warn_of_other_frames(contract, model, frame, path)
        places = {name: i for i, name in enumerate(contract.action.names)}
        reader = StateReader(model, contract.task.state.names, places, hand, frame, file.sensors)
        steps_in(contract.action.period, float(model.opt.timestep))
    except ContractError as error:
        raise ContractError(f"{path}: {error}") from error
    return Scene(
        path=path,
        file=file,
        model=model,
        key=world.key,
        hand=hand,
        reader=reader,
        loose_joints=_loose_joints(model, file.neutral_first),
        period=contract.action.period,
        digest=file_digest(path),
    )


def world_digest(contract: RobotContract) -> str:
    """SHA-256 (hex) of the contract's world, without compiling it; raises ContractError."""
    return file_digest(scene_path(contract))


@lru_cache(maxsize=8)
def compile_world(path: Path, efforts: tuple[tuple[str, str | None], ...] = (), keep_tendons: bool = False) -> World:
    """Compile once; callers copy the model (the hand's meshes take most of a second)."""
    try:
        file = read_scene_once(path)
        if keep_tendons:
            file = file.model_copy(update={"edit": file.edit.model_copy(update={"tendons": True})})
        return build(file, path.parent, efforts)
    except (ContractError, ValueError, KeyError) as error:  # MuJoCo reports parse and compile errors as ValueError
        text = str(error)
        raise ContractError(text if text.startswith(str(path)) else f"{path}: {text}") from error


@lru_cache(maxsize=32)
def file_digest(path: Path) -> str:
    try:
        return digest(read_scene_once(path), path.parent)
    except (OSError, ValueError) as error:
        raise ContractError(f"{path}: {error}") from error


def _warn_of_other_frames(contract: RobotContract, model: mujoco.MjModel, frame: Frame, path: Path) -> None:
    """Say where the contract names a frame that the model has too, elsewhere than the frame that the scene means."""
    named = {source.frame for source in contract.sources if isinstance(source, ObjectSource)} - {"world"}
    for name in sorted(named):
        is_known = any(int(mujoco.mj_name2id(model, kind, name)) >= 0 for kind in FRAME_KINDS)
        if is_known and not Frame(model, name).coincides(frame):
            warnings.warn(
                f"{path}: the contract gives its objects in frame {name!r}, which the model has elsewhere than the "
                f"scene's frame: say `frame: {name}` in the scene if that is meant",
                stacklevel=3,
            )


def steps_in(period: float, timestep: float) -> int:
    """Physics steps of `timestep` (s) in a control period (s); raises ContractError where it is not a multiple."""
    steps = period / timestep
    if abs(steps - round(steps)) > 1e-6 or round(steps) < 1:
        raise ContractError(f"control_period_s {period} is not a multiple of the simulation's step of {timestep} s")
    return round(steps)


def _loose_joints(model: mujoco.MjModel, format_1: bool) -> tuple[int, ...]:
    servos = [i for i in range(model.nu) if format_1 or is_position_servo(model, i)]
    moved = {joint for i in servos for joint in coefficients(model, i) or ()}
    kinds = (HINGE,) if format_1 else SCALAR_JOINTS
    return tuple(j for j in range(model.njnt) if j not in moved and int(model.jnt_type[j]) in kinds)
