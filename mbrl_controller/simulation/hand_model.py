# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A hand's model file as other people have it, MJCF or URDF: its joints, and a copy that stands alone."""

from __future__ import annotations

import shutil
import xml.etree.ElementTree as ET
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import mujoco
import numpy as np

from mbrl_controller.base.errors import ContractError
from mbrl_controller.contract.draft import MAX_RATE, JointLimits, urdf_joints

ASSETS = "assets"
# Of the servos that a URDF's joints get, because a URDF has none: a guess, to be replaced by the hand's own.
GAIN, DAMPING, ARMATURE = 2.0, 0.1, 0.001  # N m/rad, N m s/rad, kg m2
STEP = 0.005  # s, the largest physics step of a hand in contact


@dataclass(frozen=True)
class HandModel:
    """What a model file says of a hand."""

    joints: tuple[JointLimits, ...]  # those with a position servo, in the actuators' order
    objects: dict[str, tuple[float, float, float]]  # free bodies, and where they start (m, the world's frame)
    key: str | None  # the first key pose, which is the start
    timestep: float  # s


def read_hand(path: Path) -> HandModel:
    """The hand in an MJCF or URDF; raises ContractError, which names the file and what it lacks."""
    spec = _load(path)
    return _describe(path, spec, _compile(path, spec))


def is_urdf(path: Path) -> bool:
    """Whether a model file is a URDF and no MJCF, as its root element says; raises ContractError if it is no XML."""
    try:
        return bool(next(element for _, element in ET.iterparse(path, events=("start",))).tag == "robot")
    except (OSError, ET.ParseError) as error:
        raise ContractError(f"{path}: cannot be read as XML: {error}") from error


def copy_hand(path: Path, folder: Path, name: str) -> HandModel:
    """Write the model as the MJCF `folder`/`name`, with the meshes and textures that it uses in `folder`/assets.

    Joints of a file without actuators get position servos. Raises ContractError, and OSError where nothing can be
    written.
    """
    spec = _load(path)
    _collect_assets(path, spec, folder)
    model = _compile(path, spec)
    (folder / name).write_text(spec.to_xml())
    return _describe(path, spec, model)


def _load(path: Path) -> mujoco.MjSpec:
    if not path.is_file():
        raise ContractError(f"{path}: there is no such file")
    try:
        spec = mujoco.MjSpec.from_file(str(path))
    except ValueError as error:
        raise ContractError(f"{path}: MuJoCo cannot read it: {error}") from error
    if not len(spec.actuators):
        _add_servos(spec, _dependent(spec))
        _let_base_overlap(spec)
    return spec


def _dependent(spec: mujoco.MjSpec) -> set[str]:
    """Joints that follow another one, which nobody commands."""
    joint = int(mujoco.mjtEq.mjEQ_JOINT)
    return {equality.name1 for equality in spec.equalities if int(equality.type) == joint and equality.name2}


def _add_servos(spec: mujoco.MjSpec, without: set[str]) -> None:
    for joint in spec.joints:
        if int(joint.type) != int(mujoco.mjtJoint.mjJNT_HINGE) or joint.name in without:
            continue
        joint.damping = np.where(np.asarray(joint.damping) > 0, joint.damping, DAMPING)
        joint.armature = joint.armature or ARMATURE
        actuator = spec.add_actuator(name=joint.name, target=joint.name, trntype=mujoco.mjtTrn.mjTRN_JOINT)
        actuator.set_to_position(kp=GAIN)


def _let_base_overlap(spec: mujoco.MjSpec) -> None:
    """Let bodies that move on the hand's base touch it, as MuJoCo lets neighbours; for one that stands it does not."""
    free = int(mujoco.mjtJoint.mjJNT_FREE)
    standing, above = ["world"], list(spec.worldbody.bodies)
    first = []
    while above:
        body = above.pop()
        if not len(body.joints):
            standing.append(body.name)
            above += body.bodies
        elif int(body.joints[0].type) != free:
            first.append(body.name)
    for base in filter(None, standing):
        for name in filter(None, first):
            spec.add_exclude(bodyname1=base, bodyname2=name)


def _collect_assets(path: Path, spec: mujoco.MjSpec, folder: Path) -> None:
    """Copy meshes, height fields, skins and textures to one folder, and let `spec` find them there."""
    files = [(element, spec.meshdir) for kind in (spec.meshes, spec.hfields, spec.skins) for element in kind]
    files += [(element, spec.texturedir) for element in spec.textures]
    taken: dict[str, Path] = {}
    for element, below in files:
        if not element.file:
            continue
        source = _find(path, below, element.file)
        name = source.name
        while taken.setdefault(name, source) != source:
            name = f"{len(taken)}_{source.name}"
        if not element.name:
            element.name = source.stem  # which it would have had from the file
        element.file = name
    if taken:
        (folder / ASSETS).mkdir(parents=True, exist_ok=True)
    for name, source in taken.items():
        shutil.copyfile(source, folder / ASSETS / name)
    spec.meshdir = spec.texturedir = ASSETS if taken else ""
    spec.modelfiledir = f"{folder}/"


def _find(path: Path, below: str, file: str) -> Path:
    """Where a file is that a model names: as named, or in the folder of its ROS package, where its name is unique."""
    named = path.parent / below / file.removeprefix("file://")
    if named.is_file():
        return named
    found = sorted(path.resolve().parent.parent.rglob(Path(file).name))
    if len(found) != 1:
        what = f"it is {len(found)} times in" if found else "it is not in"
        raise ContractError(f"{path}: it needs {file}; {what} {path.resolve().parent.parent}")
    return found[0]


def _compile(path: Path, spec: mujoco.MjSpec) -> mujoco.MjModel:
    try:
        return spec.compile()
    except ValueError as error:
        raise ContractError(f"{path}: MuJoCo cannot compile it: {error}") from error


def _describe(path: Path, spec: mujoco.MjSpec, model: mujoco.MjModel) -> HandModel:
    start = np.array(model.key_qpos[0] if model.nkey else model.qpos0)
    rates = {joint.name: joint.max_rate for joint in urdf_joints(path)} if is_urdf(path) else {}
    joints = []
    for i in range(model.nu):
        joint = int(model.actuator_trnid[i, 0])
        if int(model.actuator_trntype[i]) != int(mujoco.mjtTrn.mjTRN_JOINT) or not _is_hinge(model, joint):
            continue  # a tendon's or a slide's, which no contract commands: it keeps its start
        name = model.joint(joint).name
        if not name:
            raise ContractError(f"{path}: a joint with an actuator has no name")
        if model.actuator_gainprm[i, 0] <= 0 or model.actuator_gainprm[i, 0] != -model.actuator_biasprm[i, 1]:
            raise ContractError(f"{path}: the actuator of joint {name} is no position servo (<position>)")
        ranges = [model.jnt_range[joint]] if model.jnt_limited[joint] else []
        ranges += [model.actuator_ctrlrange[i]] if model.actuator_ctrllimited[i] else []
        if not ranges:
            raise ContractError(f"{path}: joint {name} has no limits, which a contract needs")
        lower, upper = max(float(r[0]) for r in ranges), min(float(r[1]) for r in ranges)
        neutral = float(start[model.jnt_qposadr[joint]])
        joints.append(JointLimits(name, lower, upper, neutral, rates.get(name, MAX_RATE)))
    return HandModel(
        joints=tuple(joints),
        objects={name: _place(start, model, joint) for name, joint in _free_bodies(model)},
        key=(model.key(0).name or None) if model.nkey else None,
        timestep=float(model.opt.timestep),
    )


def _is_hinge(model: mujoco.MjModel, joint: int) -> bool:
    return int(model.jnt_type[joint]) == int(mujoco.mjtJoint.mjJNT_HINGE)


def _free_bodies(model: mujoco.MjModel) -> list[tuple[str, int]]:
    """Names of the named free bodies, and their joints."""
    free = int(mujoco.mjtJoint.mjJNT_FREE)
    joints = [joint for joint in range(model.njnt) if int(model.jnt_type[joint]) == free]
    return [(name, joint) for joint in joints if (name := model.body(int(model.jnt_bodyid[joint])).name)]


def _place(qpos: Any, model: mujoco.MjModel, joint: int) -> tuple[float, float, float]:
    x, y, z = qpos[model.jnt_qposadr[joint] :][:3].tolist()
    return x, y, z


def with_fitting_step(model: HandModel, period: float) -> HandModel:
    """The model with a physics step of which `period` (s) is a multiple, at most its own or `STEP`."""
    step = min(model.timestep, STEP)
    steps = period / step
    if abs(steps - round(steps)) > 1e-6:
        step = period / np.ceil(steps)
    return replace(model, timestep=float(step))
