# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A hand's model file as other people have it, MJCF or URDF: its joints, and a copy that stands alone."""

from __future__ import annotations

import shutil
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mujoco
import numpy as np

from mbrl_controller.base.errors import ContractError
from mbrl_controller.contract.draft import MAX_RATE, JointLimits, urdf_joints
from mbrl_controller.simulation.hand_joints import coefficients, is_position_servo

ASSETS = "assets"
STEP = 0.005  # s, the largest physics step of a hand in contact
SETTLE = 2.0  # s in which an object that is not held falls
FALL = 0.05  # m


@dataclass(frozen=True)
class HandModel:
    """What a model file says of a hand."""

    joints: tuple[JointLimits, ...]  # what its position servos move, in their order
    bare: bool  # no joint has an actuator: `joints` are the hinges that follow no other, and need servos
    objects: dict[str, tuple[float, float, float]]  # free bodies, and where they start (m, the world's frame)
    key: str | None  # the first key pose, which is the start
    timestep: float  # s
    efforts: dict[str, float] = field(default_factory=dict)  # what a joint's motor gives at most, N m, where it is told


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

    Raises ContractError, and OSError where nothing can be written.
    """
    spec = _load(path)
    _collect_assets(path, spec, folder)
    model = _compile(path, spec)
    (folder / name).write_text(spec.to_xml())
    return _describe(path, spec, model)


def held_objects(path: Path, hand: HandModel) -> dict[str, tuple[float, float, float]]:
    """Those of the hand's objects that do not fall while it stands in its start pose, and where they come to rest (m).

    `path`: the hand's MJCF. Raises ContractError if it cannot be compiled.
    """
    model = _compile(path, _load(path))
    data = mujoco.MjData(model)
    if model.nkey:
        mujoco.mj_resetDataKeyframe(model, data, 0)
    mujoco.mj_forward(model, data)
    data.ctrl[:] = data.actuator_length  # of position servos: they hold it
    began = {name: float(data.body(name).xpos[2]) for name in hand.objects}
    mujoco.mj_step(model, data, nstep=round(SETTLE / model.opt.timestep))
    if data.time < 0.9 * SETTLE:  # it diverged, and MuJoCo began again
        return {}
    held = {}
    for name, height in began.items():
        x, y, z = (round(value, 4) for value in data.body(name).xpos.tolist())
        if z > height - FALL:
            held[name] = (x, y, z)
    return held


def _load(path: Path) -> mujoco.MjSpec:
    if not path.is_file():
        raise ContractError(f"{path}: there is no such file")
    try:
        spec = mujoco.MjSpec.from_file(str(path))
    except ValueError as error:
        raise ContractError(f"{path}: MuJoCo cannot read it: {error}") from error
    if is_urdf(path):
        _let_base_overlap(spec)
    return spec


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


@dataclass(frozen=True)
class _Part:
    """What a contract can command: a joint, or a tendon that bends several."""

    name: str
    shares: dict[int, float]  # of the model's joints in its position
    ranges: list[Any]  # each (lower, upper); it is within all of them


def _describe(path: Path, spec: mujoco.MjSpec, model: mujoco.MjModel) -> HandModel:
    start = model.key_qpos[0] if model.nkey else model.qpos0
    rates = {joint.name: joint.max_rate for joint in urdf_joints(path)} if is_urdf(path) else {}
    parts = [_servo(path, model, i) for i in range(model.nu)] or [_hinge(model, i) for i in _leaders(spec, model)]
    joints = []
    for part in parts:
        if not part.name or not part.ranges:
            what = f"joint {part.name} has no limits" if part.name else "a joint of the hand has no name"
            raise ContractError(f"{path}: {what}, which a contract needs")
        lower, upper = max(float(r[0]) for r in part.ranges), min(float(r[1]) for r in part.ranges)
        neutral = sum(share * float(start[model.jnt_qposadr[joint]]) for joint, share in part.shares.items())
        joints.append(JointLimits(part.name, lower, upper, neutral, rates.get(part.name, MAX_RATE)))
    return HandModel(
        joints=tuple(joints),
        bare=not model.nu,
        objects=_objects(model, start),
        key=(model.key(0).name or None) if model.nkey else None,
        timestep=float(model.opt.timestep),
        efforts=_efforts(model),
    )


def _efforts(model: mujoco.MjModel) -> dict[str, float]:
    """The joints' limits of effort, which a URDF's `effort` becomes: the smaller one, where a model has two."""
    limited = [joint for joint in range(model.njnt) if model.jnt_actfrclimited[joint]]
    return {model.joint(joint).name: float(np.abs(model.jnt_actfrcrange[joint]).min()) for joint in limited}


def _servo(path: Path, model: mujoco.MjModel, actuator: int) -> _Part:
    """What an actuator moves."""
    name, shares = model.actuator(actuator).name or f"number {actuator}", coefficients(model, actuator)
    if shares is None or not is_position_servo(model, actuator):
        raise ContractError(
            f"{path}: actuator {name} is no position servo (<position>) on a hinge, a slide or a fixed tendon; "
            "a contract commands positions: in a copy of the file, make it one or remove it"
        )
    ratio, target = float(model.actuator_gear[actuator, 0]), int(model.actuator_trnid[actuator, 0])
    if len(shares) == 1:
        joint, share = next(iter(shares.items()))
        part = _hinge(model, joint)
        ratio *= share
    else:
        limits = [model.tendon_range[target]] if model.tendon_limited[target] else []
        part = _Part(model.tendon(target).name, shares, limits)
    if model.actuator_ctrllimited[actuator]:
        part.ranges.append(np.sort(model.actuator_ctrlrange[actuator] / ratio))
    return part


def _hinge(model: mujoco.MjModel, joint: int) -> _Part:
    limits = [model.jnt_range[joint]] if model.jnt_limited[joint] else []
    return _Part(model.joint(joint).name, {joint: 1.0}, limits)


def _leaders(spec: mujoco.MjSpec, model: mujoco.MjModel) -> list[int]:
    """The hinges, but for those that follow another one."""
    coupling = int(mujoco.mjtEq.mjEQ_JOINT)
    followers = {equality.name1 for equality in spec.equalities if int(equality.type) == coupling and equality.name2}
    hinge = int(mujoco.mjtJoint.mjJNT_HINGE)
    joints = [joint for joint in range(model.njnt) if int(model.jnt_type[joint]) == hinge]
    return [joint for joint in joints if model.joint(joint).name not in followers]


def _objects(model: mujoco.MjModel, start: Any) -> dict[str, tuple[float, float, float]]:
    """The free bodies that have names, and where they start."""
    found = {}
    for joint in range(model.njnt):
        name = model.body(int(model.jnt_bodyid[joint])).name
        if int(model.jnt_type[joint]) == int(mujoco.mjtJoint.mjJNT_FREE) and name:
            x, y, z = start[model.jnt_qposadr[joint] :][:3].tolist()
            found[name] = (x, y, z)
    return found


def fitting_step(timestep: float, period: float) -> float:
    """The physics step (s) of which `period` (s) is a multiple: `timestep`, or the next smaller one, at most `STEP`."""
    step = min(timestep, STEP)
    steps = period / step
    return step if abs(steps - round(steps)) < 1e-6 else period / float(np.ceil(steps))
