# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""From scene.yaml to a compiled model: the model file with the scene's changes, objects, actuators and options."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import mujoco
import numpy as np

from mbrl_controller.base.errors import ContractError
from mbrl_controller.simulation.model_files import model_path
from mbrl_controller.simulation.scene_file import Edit, Options, PositionActuator, SceneFile, SceneObject
from mbrl_controller.tasks.spaces import Array

JOINT_TRANSMISSIONS = (int(mujoco.mjtTrn.mjTRN_JOINT), int(mujoco.mjtTrn.mjTRN_JOINTINPARENT))
SPARSE_NV = 60  # degrees of freedom from which `jacobian: auto` is sparse


@dataclass(frozen=True)
class KeyPose:
    """A key pose of a model file, by name, so that it outlives changes to the model."""

    qpos: Mapping[str, Array] = field(default_factory=dict)  # joint, or body of an unnamed joint -> its part of qpos
    ctrl: Mapping[str, float] = field(default_factory=dict)  # actuator -> control


@dataclass(frozen=True)
class World:
    """A compiled scene."""

    model: mujoco.MjModel
    key: KeyPose


def build(file: SceneFile, folder: Path, efforts: Iterable[tuple[str, str | None]]) -> World:
    """Compile a scene; raises ContractError, or ValueError in MuJoCo's words.

    Args:
        file: the scene.
        folder: where its files are.
        efforts: joints whose effort is measured, by a sensor `<joint>.effort`; each with the actuator that the scene
            names for it.
    """
    spec = mujoco.MjSpec.from_file(str(model_path(file, folder)))
    key = KeyPose()
    if not file.neutral_first:
        key = _key_pose(spec, file.start.key)
        for element in list(spec.keys):
            spec.delete(element)  # their sizes need not be those of the changed model
    _edit(spec, file.edit)
    for name, item in file.objects.items():
        _add_object(spec, name, item, folder)
    _add_actuators(spec, file.add_actuators)
    if file.ctrlrange == "joint":
        for actuator in spec.actuators:
            if int(actuator.trntype) in JOINT_TRANSMISSIONS:
                actuator.ctrlrange = spec.joint(actuator.target).range
    for name, actuator in efforts:
        _add_effort_sensor(
            spec, name, name if actuator is None else _found(spec.actuator(actuator), "actuator", actuator).target
        )
    _set_options(file.options, spec.option)
    model = spec.compile()
    _warn_of_traps(model)
    return World(model, key)


def _key_pose(spec: mujoco.MjSpec, name: str | None) -> KeyPose:
    if name is None:
        return KeyPose()
    names = [key.name for key in spec.keys]
    if name not in names:
        raise ContractError(f"start.key: the model has no key pose {name!r}; it has: {', '.join(names) or 'none'}")
    model = spec.compile()
    pose = model.key(name)
    sizes = {int(mujoco.mjtJoint.mjJNT_FREE): 7, int(mujoco.mjtJoint.mjJNT_BALL): 4}
    qpos = {}
    for joint in range(model.njnt):
        at = int(model.jnt_qposadr[joint])
        own = model.joint(joint).name or model.body(int(model.jnt_bodyid[joint])).name
        qpos[own] = np.array(pose.qpos[at : at + sizes.get(int(model.jnt_type[joint]), 1)])
    return KeyPose(qpos, {model.actuator(i).name: float(pose.ctrl[i]) for i in range(model.nu)})


def _edit(spec: mujoco.MjSpec, edit: Edit) -> None:
    for name in edit.remove_bodies:
        spec.delete(_found(spec.body(name), "body", name))
    for name in edit.remove_sites:
        spec.delete(_found(spec.site(name), "site", name))
    for name, height in edit.floor.items():
        floor = _found(spec.geom(name), "geom", name)
        floor.pos = [*floor.pos[:2], height]
    for element in (
        *_named(spec.cameras, edit.remove_cameras, "camera"),
        *_named(spec.sensors, edit.remove_sensors, "sensor"),
        *(() if edit.tendons else spec.tendons),
    ):
        spec.delete(element)
    for name, position in edit.place.items():
        _found(spec.body(name), "body", name).pos = position
    for name, (x, y, z, w) in edit.turn.items():
        body = _found(spec.body(name), "body", name)
        body.alt.type = mujoco.mjtOrientation.mjORIENTATION_QUAT  # the file may give it otherwise, which would count
        body.quat = [w, x, y, z]
    unknown = set(edit.gains) - {actuator.target for actuator in spec.actuators}
    if unknown:
        raise ContractError(f"edit.gains: no actuator for {', '.join(sorted(unknown))}")
    for actuator in spec.actuators:
        gain = edit.gains.get(actuator.target, edit.default_gain)
        if gain is not None:
            actuator.gainprm[0], actuator.biasprm[1] = gain, -gain
    for pattern, physics in edit.joints.items():
        for joint in matching(spec.joints, pattern, "edit.joints"):
            for name, value in physics.model_dump(exclude_none=True).items():
                _set(joint, name, value)


def _set(joint: Any, name: str, value: float) -> None:
    """Set a joint's physics; damping is a polynomial from MuJoCo 4 on, of which this is the linear term."""
    if np.ndim(getattr(joint, name)):
        getattr(joint, name)[:] = 0.0
        getattr(joint, name)[0] = value
    else:
        setattr(joint, name, value)


def _named(elements: Iterable[Any], names: tuple[str, ...] | str, kind: str) -> list[Any]:
    if names == "all":
        return list(elements)
    known = {element.name: element for element in elements}
    return [_found(known.get(name), kind, name) for name in names]


def matching(joints: Iterable[Any], pattern: str, where: str) -> list[Any]:
    """The hinges and slides whose names match; raises ContractError if there are none."""
    scalar = (int(mujoco.mjtJoint.mjJNT_HINGE), int(mujoco.mjtJoint.mjJNT_SLIDE))
    known = [joint for joint in joints if int(joint.type) in scalar]
    found = [joint for joint in known if fnmatchcase(joint.name, pattern)]
    if not found:
        raise ContractError(f"{where}: the model has no joint {pattern!r}; it has: {_list(j.name for j in known)}")
    return found


def _add_actuators(spec: mujoco.MjSpec, wanted: Mapping[str, PositionActuator]) -> None:
    driven = {actuator.target for actuator in spec.actuators}
    for pattern, servo in wanted.items():
        joints = matching(spec.joints, pattern, "add_actuators")
        for joint in joints:
            if joint.name in driven:
                raise ContractError(f"add_actuators: {pattern!r}: joint {joint.name!r} has an actuator already")
            driven.add(joint.name)
            actuator = spec.add_actuator(name=joint.name, target=joint.name, trntype=mujoco.mjtTrn.mjTRN_JOINT)
            actuator.set_to_position(kp=servo.kp, kv=servo.kv)
            if servo.force is not None:
                actuator.forcerange = [-servo.force, servo.force]
                actuator.forcelimited = mujoco.mjtLimited.mjLIMITED_TRUE


def _add_object(spec: mujoco.MjSpec, name: str, item: SceneObject, folder: Path) -> None:
    if spec.body(name) is not None:
        raise ContractError(f"objects: the model has a body {name!r} already")
    x, y, z, w = item.orientation
    body = spec.worldbody.add_body(name=name, pos=item.position, quat=[w, x, y, z])
    body.add_freejoint(name=name)
    half = [0.5 * part for part in item.size]
    if item.shape == "capsule":
        half[1] -= half[0]  # MuJoCo's length is without the caps
    geom = body.add_geom(
        name=name,
        type=getattr(mujoco.mjtGeom, f"mjGEOM_{item.shape.upper()}"),
        size=[*half, 0.0, 0.0, 0.0][:3],
        mass=item.mass,
        condim=item.condim,
        friction=item.friction,
        rgba=item.rgba,
    )
    if item.file is not None:
        path = folder / item.file
        if not path.is_file():
            raise ContractError(f"objects: {name}: there is no file {path}")
        spec.add_mesh(name=name, file=str(path.resolve()), scale=item.scale)
        geom.meshname = name


def _add_effort_sensor(spec: mujoco.MjSpec, name: str, measured: str) -> None:
    is_joint = spec.joint(measured) is not None
    if is_joint or spec.tendon(measured) is not None:
        spec.add_sensor(
            name=f"{name}.effort",
            type=mujoco.mjtSensor.mjSENS_JOINTACTFRC if is_joint else mujoco.mjtSensor.mjSENS_TENDONACTFRC,
            objtype=mujoco.mjtObj.mjOBJ_JOINT if is_joint else mujoco.mjtObj.mjOBJ_TENDON,
            objname=measured,
        )


def _found(element: Any, kind: str, name: str) -> Any:
    if element is None:
        raise ContractError(f"the model has no {kind} {name!r}")
    return element


def _list(names: Iterable[str]) -> str:
    return ", ".join(filter(None, names)) or "none with a name"


def _warn_of_traps(model: mujoco.MjModel) -> None:
    jacobian = int(model.opt.jacobian)
    sparse = jacobian == int(mujoco.mjtJacobian.mjJAC_SPARSE) or (
        jacobian == int(mujoco.mjtJacobian.mjJAC_AUTO) and model.nv >= SPARSE_NV
    )
    newton = int(model.opt.solver) == int(mujoco.mjtSolver.mjSOL_NEWTON)
    if sparse and newton and mujoco.__version__ == "4.0.0":
        warnings.warn(
            "MuJoCo 4.0.0 solves contacts wrongly with solver newton and a sparse jacobian: "
            "say options: {jacobian: dense} in the scene, or install another version of MuJoCo",
            stacklevel=2,
        )


def _set_options(options: Options, target: mujoco.MjOption) -> None:
    """Set what the scene names in a model's options."""
    words = {
        "integrator": (mujoco.mjtIntegrator, "mjINT_"),
        "cone": (mujoco.mjtCone, "mjCONE_"),
        "jacobian": (mujoco.mjtJacobian, "mjJAC_"),
        "solver": (mujoco.mjtSolver, "mjSOL_"),
    }
    for name, value in options.model_dump(exclude_none=True).items():
        if name in words:
            kind, prefix = words[name]
            value = getattr(kind, prefix + value.upper())
        setattr(target, name, value)
