# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The contract's joints in a MuJoCo model: what moves each, and where its position is.

A joint of the contract is a hinge or slide of the model, or a fixed tendon, whose length is the joint's position: two
joints that one motor bends are one joint of the contract.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import mujoco
import numpy as np

from mbrl_controller.base.errors import ContractError
from mbrl_controller.simulation.scene_build import JOINT_TRANSMISSIONS
from mbrl_controller.tasks.spaces import ActionSpace, Array

SCALAR_JOINTS = (int(mujoco.mjtJoint.mjJNT_HINGE), int(mujoco.mjtJoint.mjJNT_SLIDE))
TENDON = int(mujoco.mjtTrn.mjTRN_TENDON)
CTRL_MARGIN = 1e-6  # by which a target may exceed an actuator's range without a word: rounding in files


@dataclass(frozen=True)
class HandJoints:
    """Addresses of A joints, in the contract's order; positions are linear in qpos."""

    actuators: np.ndarray  # [A] into ctrl
    qpos: np.ndarray  # [A] into qpos; of a tendon, its first joint
    qvel: np.ndarray  # [A] into qvel
    ctrl_per_position: Array | None  # [A]; None: all 1
    from_qpos: Array | None  # [A, nq] position = from_qpos @ qpos; None: each is one entry of qpos
    from_qvel: Array | None  # [A, nv]

    def positions(self, qpos: Array) -> Array:
        """[..., A] rad (a slide: m) of qpos [..., nq]."""
        found: Array = qpos[..., self.qpos] if self.from_qpos is None else qpos @ self.from_qpos.T
        return found

    def velocities(self, qvel: Array) -> Array:
        """[..., A] rad/s of qvel [..., nv]."""
        found: Array = qvel[..., self.qvel] if self.from_qvel is None else qvel @ self.from_qvel.T
        return found

    def controls(self, target: Array) -> Array:
        """What to write for targets [..., A] into the actuators' controls."""
        return target if self.ctrl_per_position is None else target * self.ctrl_per_position

    def targets(self, controls: Array) -> Array:
        """Inverse of `controls`."""
        return controls if self.ctrl_per_position is None else controls / self.ctrl_per_position

    def place(self, qpos: Array, positions: Array) -> None:
        """Change qpos [nq] so that `positions` [A] hold; a tendon's joints share its change by their coefficients."""
        if self.from_qpos is None:
            qpos[self.qpos] = positions
            return
        for row, wanted in zip(self.from_qpos, positions, strict=True):
            qpos += row * (wanted - row @ qpos) / (row @ row)


def find_joint(model: mujoco.MjModel, name: str) -> int:
    """Id of the hinge or slide, -1 if there is none."""
    joint = int(mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_JOINT, name))
    # int(): MuJoCo 4.0.0's enums do not compare equal to NumPy integers.
    return joint if joint >= 0 and int(model.jnt_type[joint]) in SCALAR_JOINTS else -1


def tendon_joints(model: mujoco.MjModel, tendon: int) -> dict[int, float] | None:
    """Coefficient of each joint of a fixed tendon; None for one that runs through space."""
    found = {}
    for i in range(model.tendon_adr[tendon], model.tendon_adr[tendon] + model.tendon_num[tendon]):
        if int(model.wrap_type[i]) != int(mujoco.mjtWrap.mjWRAP_JOINT):
            return None
        found[int(model.wrap_objid[i])] = float(model.wrap_prm[i])
    return found


def coefficients(model: mujoco.MjModel, actuator: int) -> dict[int, float] | None:
    """Joints that a position actuator moves, with their shares in what it sets; None for one of another kind."""
    kind, target = int(model.actuator_trntype[actuator]), int(model.actuator_trnid[actuator, 0])
    if kind in JOINT_TRANSMISSIONS:
        return {target: 1.0} if int(model.jnt_type[target]) in SCALAR_JOINTS else None
    return tendon_joints(model, target) if kind == TENDON else None


def is_position_servo(model: mujoco.MjModel, actuator: int) -> bool:
    """Whether a control is a target that the actuator goes to."""
    affine = int(model.actuator_biastype[actuator]) == int(mujoco.mjtBias.mjBIAS_AFFINE)
    gain, spring = model.actuator_gainprm[actuator, 0], model.actuator_biasprm[actuator, 1]
    return bool(affine and gain > 0 and np.isclose(gain, -spring))


def find_hand(model: mujoco.MjModel, action: ActionSpace, given: Mapping[str, str]) -> HandJoints:
    """The contract's joints; raises ContractError naming all that no single position actuator moves.

    Args:
        model: of the world.
        action: the contract's joints with their limits; a target that an actuator's range cuts gives a warning.
        given: contract's joint -> actuator, where the names do not tell.
    """
    unknown = sorted(set(given) - set(action.names))
    problems = [f"actuators: the contract has no joint {', '.join(unknown)}"] if unknown else []
    actuators, rows = [], []
    for name in action.names:
        try:
            actuator, row = _find(model, name, given.get(name))
            actuators.append(actuator)
            rows.append(row)
        except ContractError as error:
            problems.append(str(error))
    twice = sorted({model.actuator(i).name for i in actuators if actuators.count(i) > 1})
    if twice:
        problems.append(f"{', '.join(twice)} moves two joints of the contract")
    if problems:
        raise ContractError("; ".join(problems))
    hand = _hand(model, actuators, rows)
    _warn_of_cut_targets(model, action, hand)
    return hand


def _find(model: mujoco.MjModel, name: str, given: str | None) -> tuple[int, dict[int, float]]:
    """Actuator of a contract's joint, and the shares of the model's joints in its position."""
    if given is not None:
        actuator = int(mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_ACTUATOR, given))
        if actuator < 0:
            raise ContractError(f"actuators: {name}: the model has no actuator {given!r}; it has: {_actuators(model)}")
    else:
        actuator = _by_name(model, name)
    row = coefficients(model, actuator)
    own = model.actuator(actuator).name or f"number {actuator}"
    if row is None or not is_position_servo(model, actuator):
        raise ContractError(
            f"joint {name}: actuator {own} is not a position servo on a hinge, a slide or a fixed tendon; a contract "
            "commands positions (add_actuators adds such)"
        )
    return actuator, row


def _by_name(model: mujoco.MjModel, name: str) -> int:
    """The actuator of the joint, or of the tendon, of this name."""
    joint = find_joint(model, name)
    tendon = int(mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_TENDON, name))
    if joint < 0 and tendon < 0:
        raise ContractError(f"the model has no joint or tendon {name!r}; its actuators: {_actuators(model)}")
    found: list[int] = []
    also: list[int] = []
    for i in range(model.nu):
        kind, target = int(model.actuator_trntype[i]), int(model.actuator_trnid[i, 0])
        moved = coefficients(model, i) or {}
        if (kind in JOINT_TRANSMISSIONS and target == joint) or (kind == TENDON and target == tendon):
            found.append(i)
        elif joint in moved:
            (found if len(moved) == 1 else also).append(i)
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(model.actuator(i).name for i in found)
        raise ContractError(f"joint {name!r} has several actuators ({names}): name one under `actuators` of the scene")
    if also:
        names = ", ".join(f"{model.actuator(i).name!r}" for i in also)
        raise ContractError(
            f"joint {name!r} is moved together with others by {names}: let the contract command the tendon, whose "
            "length is a joint's position then (its name, or `actuators` of the scene)"
        )
    raise ContractError(f"joint {name!r} has no actuator (add_actuators of the scene adds one)")


def _actuators(model: mujoco.MjModel) -> str:
    return ", ".join(model.actuator(i).name for i in range(model.nu)) or "none (add_actuators of the scene adds some)"


def _hand(model: mujoco.MjModel, actuators: list[int], rows: list[dict[int, float]]) -> HandJoints:
    first = [next(iter(row)) for row in rows]
    gears = np.array([model.actuator_gear[i, 0] for i in actuators])
    tendon = np.array([int(model.actuator_trntype[i]) == TENDON for i in actuators], dtype=bool)
    # A tendon over one joint is that joint at another ratio: the contract's position is the joint's.
    single = np.array([len(row) == 1 for row in rows], dtype=bool)
    share = np.array([row[joint] if one else 1.0 for row, joint, one in zip(rows, first, single, strict=True)])
    ratio = gears * np.where(tendon, share, 1.0)
    from_qpos = from_qvel = None
    if not single.all():
        from_qpos, from_qvel = np.zeros((len(rows), model.nq)), np.zeros((len(rows), model.nv))
        for i, row in enumerate(rows):
            for joint, share_of_joint in row.items() if not single[i] else [(first[i], 1.0)]:
                from_qpos[i, model.jnt_qposadr[joint]] = share_of_joint
                from_qvel[i, model.jnt_dofadr[joint]] = share_of_joint
    return HandJoints(
        actuators=np.array(actuators),
        qpos=np.array([model.jnt_qposadr[joint] for joint in first]),
        qvel=np.array([model.jnt_dofadr[joint] for joint in first]),
        ctrl_per_position=None if (ratio == 1.0).all() else ratio,
        from_qpos=from_qpos,
        from_qvel=from_qvel,
    )


def _warn_of_cut_targets(model: mujoco.MjModel, action: ActionSpace, hand: HandJoints) -> None:
    ends = np.sort([hand.controls(action.lower), hand.controls(action.upper)], axis=0)
    ranges = model.actuator_ctrlrange[hand.actuators]
    limited = model.actuator_ctrllimited[hand.actuators].astype(bool)
    cut = limited & ((ends[0] < ranges[:, 0] - CTRL_MARGIN) | (ends[1] > ranges[:, 1] + CTRL_MARGIN))
    if cut.any():
        names: Iterable[str] = (name for name, is_cut in zip(action.names, cut, strict=True) if is_cut)
        warnings.warn(
            f"simulation: the model's ctrlrange cuts targets within the contract's limits of {', '.join(names)}; "
            "narrow the limits, or say `ctrlrange: joint` in the scene",
            stacklevel=2,
        )
