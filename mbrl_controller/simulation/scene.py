# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Loads the simulated world of a contract's robot and task, and indexes the state entries in it.

Worlds are data: `sim/<task>/scene.yaml` defines the MJCF to load, changes to it, and how an episode starts.
"""

from __future__ import annotations

import copy
import importlib.util
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import mujoco
import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mbrl_controller.base.errors import ContractError
from mbrl_controller.base.shares import shared_files
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.models.spec import describe_validation
from mbrl_controller.tasks.spaces import Array, parse_entry

Vector3 = tuple[float, float, float]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelFile(_Strict):
    """An MJCF file beside scene.yaml, or inside an installed Python package."""

    package: str | None = None
    file: str


class Edit(_Strict):
    """Changes to a third-party model."""

    remove_bodies: tuple[str, ...] = ()
    remove_sites: tuple[str, ...] = ()
    floor: dict[str, float] = Field(default_factory=dict, description="z of plane geoms in the world, m")
    tendons: bool = Field(default=True, description="keep the file's tendons, whose ranges couple joints")
    place: dict[str, Vector3] = Field(default_factory=dict, description="body positions in their parents, m")
    gains: dict[str, float] = Field(default_factory=dict, description="position gain by joint, N m/rad")
    default_gain: float | None = Field(default=None, gt=0, description="position gain of the other joints, N m/rad")


class Start(_Strict):
    """How an episode starts."""

    settle: float = Field(default=0.5, ge=0, le=10, description="time of holding the start pose before time 0, s")
    joints: dict[str, float] = Field(default_factory=dict, description="rad; the contract's neutral pose overrides")


class Ball(_Strict):
    """A free ball added to the model's world."""

    position: Vector3 = Field(description="at the start of an episode, m, world frame")
    radius: float = Field(gt=0, description="m")
    mass: float = Field(gt=0, description="kg")
    condim: Literal[1, 3, 4, 6] = 4
    friction: Vector3 = Field(description="sliding, torsional (m), rolling (m)")
    rgba: tuple[float, float, float, float] = (0.7, 0.7, 0.7, 1.0)


class Camera(_Strict):
    """Default viewpoint, in the world frame (m)."""

    position: Vector3
    look_at: Vector3


class SceneFile(_Strict):
    """The YAML document of a world."""

    format_version: Literal[1]
    robot: str
    task: str
    model: ModelFile
    balls: dict[str, Ball] = Field(default_factory=dict)
    edit: Edit = Edit()
    timestep: float = Field(gt=0, le=0.02, description="s of one physics step")
    start: Start = Start()
    camera: Camera


@dataclass(frozen=True)
class Scene:
    """A compiled world. `model` is a copy for this caller. Indices are in the contract's order."""

    file: SceneFile
    model: mujoco.MjModel
    joint_qpos: np.ndarray  # [A] into qpos
    joint_qvel: np.ndarray  # [A] into qvel
    actuators: np.ndarray  # [A] into ctrl
    objects: dict[str, int]  # free bodies of the state -> body id
    state_index: np.ndarray  # [S] into concatenate(qpos, qvel)
    substeps: int  # physics steps in a control period

    @property
    def free_qpos(self) -> dict[str, int]:
        """Address in qpos of each object's x, y, z, then orientation (w, x, y, z)."""
        return {name: int(self.model.jnt_qposadr[self.model.body_jntadr[body]]) for name, body in self.objects.items()}

    @property
    def free_qvel(self) -> dict[str, int]:
        """Address in qvel of each object's linear (world frame), then angular velocity (body frame)."""
        return {name: int(self.model.jnt_dofadr[self.model.body_jntadr[body]]) for name, body in self.objects.items()}


def available() -> dict[tuple[str, str], Path]:
    """Worlds of all packages: (robot, task) -> scene.yaml. Raises ContractError where two have the same."""
    found: dict[tuple[str, str], Path] = {}
    for path in shared_files("sim/*/scene.yaml"):
        file = _read_scene(path)
        other = found.setdefault((file.robot, file.task), path)
        if other != path:
            raise ContractError(f"{other} and {path} are both worlds for robot {file.robot!r} and task {file.task!r}")
    return found


def scene_path(contract: RobotContract) -> Path:
    """The scene.yaml that the contract names, else the one for its robot and task; raises ContractError."""
    named = contract.file.scene
    if named is not None:
        if contract.folder is None:
            raise ContractError(
                f"contract of {contract.file.robot}: its scene {named} is beside the contract's file, which is not "
                "known here; give the file (--contract FILE)"
            )
        path = (contract.folder / named).resolve()
        if not path.is_file():
            raise ContractError(f"contract of {contract.file.robot}: its scene {path} does not exist")
        return path
    worlds = available()
    key = (contract.file.robot, contract.task.name)
    if key not in worlds:
        known = ", ".join(f"{robot}/{task}" for robot, task in sorted(worlds))
        raise ContractError(
            f"no simulated world for robot {key[0]!r} and task {key[1]!r}; known: {known}; a contract can name "
            "its own: scene: scene.yaml"
        )
    return worlds[key]


def load_scene(contract: RobotContract) -> Scene:
    """The world of a contract; raises ContractError if there is none or it does not match."""
    path = scene_path(contract)
    file = _read_scene(path)
    for what, own, wanted in (("robot", file.robot, contract.file.robot), ("task", file.task, contract.task.name)):
        if own != wanted:
            raise ContractError(f"{path}: it is a world for {what} {own!r}, the contract says {wanted!r}")
    model = copy.copy(_compile(path))
    return _index(contract, file, model)


@lru_cache(maxsize=32)
def _read_scene(path: Path) -> SceneFile:
    try:
        return SceneFile.model_validate(yaml.safe_load(path.read_text()))
    except ValidationError as error:
        raise ContractError(f"{path}: {describe_validation(error)}") from error
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ContractError(f"{path}: {error}") from error


@lru_cache(maxsize=8)
def _compile(path: Path) -> mujoco.MjModel:
    """Compile once; callers copy it (the hand's meshes take most of a second)."""
    file = _read_scene(path)
    try:
        spec = mujoco.MjSpec.from_file(str(_model_path(file, path.parent)))
        _edit(spec, file.edit)
        for name, ball in file.balls.items():
            _add_ball(spec, name, ball)
        option = spec.option
        option.timestep = file.timestep
        option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
        option.cone = mujoco.mjtCone.mjCONE_PYRAMIDAL
        option.noslip_iterations = 0
        # MuJoCo 4.0.0's Newton solver is wrong with sparse Jacobians.
        option.jacobian = mujoco.mjtJacobian.mjJAC_DENSE
        return spec.compile()
    except (ValueError, KeyError) as error:  # MuJoCo reports parse and compile errors as ValueError
        raise ContractError(f"{path}: {error}") from error


def _model_path(file: SceneFile, folder: Path) -> Path:
    if file.model.package is None:
        return folder / file.model.file
    found = importlib.util.find_spec(file.model.package)
    if found is None or not found.submodule_search_locations:
        raise ContractError(
            f"the simulated {file.robot} hand needs the Python package {file.model.package!r}, which is not installed "
            f"(pip install {file.model.package.replace('_', '-')})"
        )
    return Path(found.submodule_search_locations[0]) / file.model.file


def _edit(spec: mujoco.MjSpec, edit: Edit) -> None:
    for name in edit.remove_bodies:
        spec.delete(_found(spec.body(name), "body", name))
    for name in edit.remove_sites:
        spec.delete(_found(spec.site(name), "site", name))
    for name, height in edit.floor.items():
        floor = _found(spec.geom(name), "geom", name)
        floor.pos = [*floor.pos[:2], height]
    # The scene has its own camera; the sensors are not read and cost time in every step.
    for element in [*spec.cameras, *spec.sensors, *(() if edit.tendons else spec.tendons)]:
        spec.delete(element)
    for name, position in edit.place.items():
        _found(spec.body(name), "body", name).pos = position
    unknown = set(edit.gains) - {actuator.target for actuator in spec.actuators}
    if unknown:
        raise ContractError(f"edit.gains: no actuator for {', '.join(sorted(unknown))}")
    for actuator in spec.actuators:
        gain = edit.gains.get(actuator.target, edit.default_gain)
        if gain is not None:
            actuator.gainprm[0], actuator.biasprm[1] = gain, -gain
        # The contract's limits apply; the actuator's own range must not change a target silently.
        actuator.ctrlrange = spec.joint(actuator.target).range


def _add_ball(spec: mujoco.MjSpec, name: str, ball: Ball) -> None:
    body = spec.worldbody.add_body(name=name, pos=ball.position)
    body.add_freejoint(name=name)
    body.add_geom(
        name=name,
        type=mujoco.mjtGeom.mjGEOM_SPHERE,
        size=[ball.radius, 0, 0],
        mass=ball.mass,
        condim=ball.condim,
        friction=ball.friction,
        rgba=ball.rgba,
    )


def _found(element: Any, kind: str, name: str) -> Any:
    if element is None:
        raise ContractError(f"the model has no {kind} {name!r}")
    return element


def _index(contract: RobotContract, file: SceneFile, model: mujoco.MjModel) -> Scene:
    joints = contract.action.names
    ids = [_joint_id(model, name) for name in joints]
    by_joint = {int(model.actuator_trnid[i, 0]): i for i in range(model.nu)}
    missing = [name for name, i in zip(joints, ids, strict=True) if i < 0 or i not in by_joint]
    if missing:
        raise ContractError(f"the simulated {file.robot} hand has no actuated joint {', '.join(missing)}")
    objects: dict[str, int] = {}
    index = [_state_entry(model, name, objects) for name in contract.task.state.names]
    steps = contract.action.period / file.timestep
    if abs(steps - round(steps)) > 1e-6 or round(steps) < 1:
        raise ContractError(
            f"control_period_s {contract.action.period} is not a multiple of the simulation's step of {file.timestep} s"
        )
    return Scene(
        file=file,
        model=model,
        joint_qpos=np.array([model.jnt_qposadr[i] for i in ids]),
        joint_qvel=np.array([model.jnt_dofadr[i] for i in ids]),
        actuators=np.array([by_joint[i] for i in ids]),
        objects=objects,
        state_index=np.array(index),
        substeps=round(steps),
    )


def _joint_id(model: mujoco.MjModel, name: str) -> int:
    return int(mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_JOINT, name))


def _state_entry(model: mujoco.MjModel, name: str, objects: dict[str, int]) -> int:
    """Index of a state entry in concatenate(qpos, qvel); adds free bodies to `objects`."""
    entry = parse_entry(name)
    owner = entry.owner
    joint = _joint_id(model, owner)
    if joint < 0:
        body = int(mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_BODY, owner))
        joint = int(model.body_jntadr[body]) if body >= 0 else -1
    if joint < 0:
        raise ContractError(f"the simulated world has no joint or object {owner!r} for the state's {name}")
    # int(): MuJoCo 4.0.0's enums do not compare equal to NumPy integers.
    free = int(model.jnt_type[joint]) == int(mujoco.mjtJoint.mjJNT_FREE)
    if free != entry.is_object:
        raise ContractError(f"the state's {name} does not match the simulated {owner!r}")
    if free:
        objects[owner] = int(model.jnt_bodyid[joint])
    if entry.quantity not in ("position", "velocity"):
        raise ContractError(f"the state's {name} cannot be simulated")
    offset = "xyz".index(entry.component) if entry.is_object else 0
    if entry.quantity == "position":
        return int(model.jnt_qposadr[joint]) + offset
    return int(model.nq + model.jnt_dofadr[joint]) + offset


def start_qpos(scene: Scene, neutral: Array) -> Array:
    """qpos [nq] at the start of an episode, before noise: `neutral` pose [A], balls at their start positions."""
    qpos: Array = scene.model.qpos0.copy()
    for name, angle in scene.file.start.joints.items():
        joint = _joint_id(scene.model, name)
        if joint < 0:
            raise ContractError(f"start.joints: the world has no joint {name!r}")
        qpos[scene.model.jnt_qposadr[joint]] = angle
    qpos[scene.joint_qpos] = neutral
    return qpos
