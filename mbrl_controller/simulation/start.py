# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""How an episode starts: the scene's pose, and what is drawn around it from a seed."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

import mujoco
import numpy as np

from mbrl_controller.base.errors import ContractError
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.simulation.hand_joints import coefficients, find_joint, is_position_servo
from mbrl_controller.simulation.scene import Scene
from mbrl_controller.simulation.scene_file import BY_OPTION, Turn, VaryObject
from mbrl_controller.simulation.sim_options import SimOptions
from mbrl_controller.tasks.spaces import Array

LIMIT_MARGIN = 1e-6  # rad; rounding in files


def start_qpos(scene: Scene, contract: RobotContract) -> Array:
    """qpos [nq] at the start of an episode, before anything is drawn.

    A joint is where the scene's `start.joints`, else its key pose, else the contract's neutral pose has it; in format 1
    the neutral pose comes first. Raises ContractError for an unknown name, and for a commanded joint beyond its limits.
    """
    try:
        _check_vary(scene, contract)
        return _start_qpos(scene, contract)
    except ContractError as error:
        raise ContractError(f"{scene.path}: {error}") from error


def _start_qpos(scene: Scene, contract: RobotContract) -> Array:
    model, start, key = scene.model, scene.file.start, scene.key
    qpos: Array = model.qpos0.copy()
    neutral, hand = contract.action.neutral, scene.hand
    hand.place(qpos, neutral)
    for joint in range(model.njnt):
        pose = key.qpos.get(model.joint(joint).name or model.body(int(model.jnt_bodyid[joint])).name)
        if pose is not None:
            at = int(model.jnt_qposadr[joint])
            qpos[at : at + len(pose)] = pose
    for name, angle in start.joints.items():
        joint = find_joint(model, name)
        if joint >= 0:
            qpos[model.jnt_qposadr[joint]] = angle
        elif name in contract.action.names:
            positions = hand.positions(qpos)
            positions[contract.action.names.index(name)] = angle
            hand.place(qpos, positions)
        else:
            raise ContractError(f"start.joints: the world has no joint {name!r}")
    free = _free_bodies(model)
    for name, placed in start.objects.items():
        if name not in free:
            raise ContractError(f"start.objects: the world has no free body {name!r}; it has: {_list(free)}")
        at = free[name]
        if placed.position is not None:
            qpos[at : at + 3] = placed.position
        if placed.orientation is not None:
            qpos[at + 3 : at + 7] = np.roll(placed.orientation, 1)
    if scene.file.neutral_first:
        hand.place(qpos, neutral)
    positions, action = hand.positions(qpos), contract.action
    outside = (positions < action.lower - LIMIT_MARGIN) | (positions > action.upper + LIMIT_MARGIN)
    if outside.any():
        at = int(np.argmax(outside))
        raise ContractError(
            f"start: joint {action.names[at]} is at {positions[at]:.4g}, the contract's limits are "
            f"[{action.lower[at]:.4g}, {action.upper[at]:.4g}]"
        )
    return qpos


def held_controls(scene: Scene, qpos: Array) -> Array:
    """ctrl [nu] that holds `qpos`, also by actuators that the contract does not command.

    What is no position servo gets the key pose's control, else 0.
    """
    model = scene.model
    held = np.zeros(model.nu)
    for i in range(model.nu):
        moved = coefficients(model, i)
        if moved is not None and is_position_servo(model, i):
            length = sum(share * qpos[model.jnt_qposadr[joint]] for joint, share in moved.items())
            held[i] = length * model.actuator_gear[i, 0]
        else:
            held[i] = scene.key.ctrl.get(model.actuator(i).name, 0.0)
    return held


def draw_start(
    qpos: Array, scene: Scene, contract: RobotContract, options: SimOptions, rng: np.random.Generator
) -> Array:
    """Draw a start qpos [nq] around `qpos`: what the scene names in `start.vary`, and nothing else.

    Args:
        qpos: start without noise [nq].
        scene: the world.
        contract: limits of the joints; its task turns the objects.
        options: ranges where the scene leaves them to it.
        rng: source of the draws; their number does not depend on the ranges.
    """
    action, model = contract.action, scene.model
    drawn = qpos.copy()
    ranges = [_joint_range(scene, name, options.start_pose_noise) for name in action.names]
    if any(size is not None for size in ranges):
        size = np.array([value or 0.0 for value in ranges])
        pose = scene.hand.positions(qpos) + size * rng.uniform(-1, 1, len(action))
        scene.hand.place(drawn, np.clip(pose, action.lower, action.upper))
    # In format 1 there were no other free bodies than those of the state.
    free = {name: scene.free_qpos[name] for name in scene.objects} if scene.file.neutral_first else _free_bodies(model)
    wanted = {name: found for name in sorted(free) if (found := _vary_object(scene, name)) is not None}
    for name, how in wanted.items():
        if how.position is not None:
            spread = options.start_object_noise if how.position == BY_OPTION else np.array(how.position)
            at = free[name]
            drawn[at : at + 3] += spread * rng.uniform(-1, 1, 3)
    for joint in scene.loose_joints:
        within = _joint_range(scene, model.joint(joint).name, options.start_angle_noise)
        if within is not None:
            drawn[model.jnt_qposadr[joint]] += within * rng.uniform(-1, 1)
    for name, how in wanted.items():
        if how.orientation is not None:
            at = free[name] + 3
            drawn[at : at + 4] = _turned(drawn[at : at + 4], how, options, rng)
    if options.start_turn:  # drawn last and only if set, so that a seed's other draws stay the same
        places = [slice(scene.free_qpos[name], scene.free_qpos[name] + 3) for name in sorted(scene.objects)]
        positions = np.stack([drawn[place] for place in places]) if places else np.zeros((0, 3))
        turned = contract.task.turn_objects(positions, options.start_turn * rng.uniform(-1, 1))
        for place, position in zip(places, turned, strict=True):
            drawn[place] = position
    return drawn


def _joint_range(scene: Scene, name: str, by_option: float) -> float | None:
    """+-range of a joint's start (rad or m); None: it is not drawn. A name comes before a pattern."""
    joints = scene.file.start.vary.joints
    for pattern in (name, *joints):
        if pattern in joints and fnmatchcase(name, pattern):
            size = joints[pattern]
            return by_option if size == BY_OPTION else float(size)
    return None


def _vary_object(scene: Scene, name: str) -> VaryObject | None:
    objects = scene.file.start.vary.objects
    return next((objects[p] for p in (name, *objects) if p in objects and fnmatchcase(name, p)), None)


def _turned(quaternion: Array, how: VaryObject, options: SimOptions, rng: np.random.Generator) -> Array:
    """A quaternion (w, x, y, z) turned in the world as `how` says."""
    axis = rng.standard_normal(3)
    amount = rng.uniform(-1, 1)
    if how.orientation == "any":
        drawn: Array = np.array([rng.standard_normal(), *axis])
        drawn /= np.linalg.norm(drawn)
        return drawn
    size = options.start_orientation_noise
    if isinstance(how.orientation, Turn):
        size = how.orientation.range
        axis = axis if how.orientation.about is None else np.array(how.orientation.about)
    turn, result = np.zeros(4), np.zeros(4)
    mujoco.mju_axisAngle2Quat(turn, axis / np.linalg.norm(axis), size * amount)
    mujoco.mju_mulQuat(result, turn, quaternion)
    return result


def _free_bodies(model: mujoco.MjModel) -> dict[str, int]:
    """Address in qpos of each free body's position."""
    free = int(mujoco.mjtJoint.mjJNT_FREE)
    joints = [joint for joint in range(model.njnt) if int(model.jnt_type[joint]) == free]
    return {model.body(int(model.jnt_bodyid[joint])).name: int(model.jnt_qposadr[joint]) for joint in joints}


def _check_vary(scene: Scene, contract: RobotContract) -> None:
    """Refuse names and patterns that stand for nothing: what they were meant for would never vary."""
    vary, model = scene.file.start.vary, scene.model
    joints = {*contract.action.names, *(model.joint(joint).name for joint in scene.loose_joints)}
    for what, patterns, known in (("joints", vary.joints, joints), ("objects", vary.objects, _free_bodies(model))):
        for pattern in () if scene.file.neutral_first else patterns:
            if not any(fnmatchcase(name, pattern) for name in known):
                raise ContractError(
                    f"start.vary.{what}: {pattern!r} stands for none of what can vary, which is {_list(known)}"
                )


def _list(names: Iterable[str]) -> str:
    return ", ".join(sorted(filter(None, names))) or "nothing with a name"
