# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""From a contract's state back to a pose of the MuJoCo model, as far as the state tells it: for pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import mujoco
import numpy as np

from mbrl_controller.base.errors import ContractError
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.simulation.hand_joints import find_joint
from mbrl_controller.simulation.scene import Scene
from mbrl_controller.simulation.start import start_qpos
from mbrl_controller.simulation.state_reader import Frame
from mbrl_controller.tasks.orientation import AXES, axes_to_matrix, axes_to_quaternion, matrix_to_axes
from mbrl_controller.tasks.spaces import Array, parse_entry

FREE = int(mujoco.mjtJoint.mjJNT_FREE)


@dataclass(frozen=True)
class ObjectEntries:
    """Where an object's pose is in the state. `orientation`: None where the state has none."""

    position: np.ndarray  # [3]
    orientation: np.ndarray | None  # [6]


def object_entries(names: Sequence[str]) -> dict[str, ObjectEntries]:
    """The objects whose position a state has, by name, in its order. `names`: of its entries."""
    index = {name: i for i, name in enumerate(names)}
    owners = dict.fromkeys(entry.owner for entry in map(parse_entry, names) if entry.is_object)
    found = {}
    for owner in owners:
        position = [index.get(f"{owner}.position.{axis}") for axis in "xyz"]
        turned = [index.get(f"{owner}.orientation.{axis}") for axis in AXES]
        if None not in position:
            found[owner] = ObjectEntries(np.array(position), None if None in turned else np.array(turned))
    return found


class StatePose:
    """Poses of a model. What the state does not have stays where an episode begins."""

    def __init__(
        self,
        model: mujoco.MjModel,
        contract: RobotContract,
        home: Array,
        place: Callable[[Array, Array], None],
        frame: str = "world",
    ) -> None:
        """
        Args:
            model: of the world, or of the hand alone.
            contract: whose states are shown.
            home: qpos [nq] to begin with.
            place: writes commanded joints [A] (rad) into a qpos [nq].
            frame: body or site of the model that is the contract's frame.
        """
        names = contract.task.state.names
        self._home, self._place = home, place
        self.frame = Frame(model, frame)
        self._no_speed = np.zeros(model.nv)
        self.joint_places = np.array(
            [names.index(n) if (n := f"{joint}.position") in names else -1 for joint in contract.action.names]
        )
        self._loose = [
            (i, int(model.jnt_qposadr[joint]))
            for i, entry in enumerate(map(parse_entry, names))
            if entry.quantity == "position" and not entry.is_object and entry.owner not in contract.action.names
            if (joint := find_joint(model, entry.owner)) >= 0
        ]
        self.objects = {
            name: (entries, at)
            for name, entries in object_entries(names).items()
            if (at := _free_qpos(model, name)) is not None
        }

    @property
    def loose_addresses(self) -> list[int]:
        """Addresses in qpos of the joints of the state that nobody commands, such as a valve's."""
        return [at for _, at in self._loose]

    @classmethod
    def of_scene(cls, scene: Scene, contract: RobotContract) -> StatePose:
        """For a contract's own world."""
        return cls(scene.model, contract, start_qpos(scene, contract), scene.hand.place, scene.file.frame)

    @classmethod
    def of_model(cls, model: mujoco.MjModel, contract: RobotContract) -> StatePose:
        """For a model of the hand alone, whose joints have the contract's names; raises ContractError if none does."""
        found = [(i, find_joint(model, name)) for i, name in enumerate(contract.action.names)]
        known = [(i, int(model.jnt_qposadr[joint])) for i, joint in found if joint >= 0]
        if not known:
            raise ContractError(f"the model has none of the contract's joints: {', '.join(contract.action.names)}")
        own, addresses = (list(column) for column in zip(*known, strict=True))

        def place(qpos: Array, positions: Array) -> None:
            qpos[addresses] = positions[own]

        home: Array = (model.key_qpos[0] if model.nkey else model.qpos0).copy()
        place(home, contract.action.neutral)
        return cls(model, contract, home, place)

    def qpos(self, state: Array) -> Array:
        """qpos [nq] of a state [S]; entries that are not finite leave their joint or object at the start."""
        qpos = self._home.copy()
        has = self.joint_places >= 0
        if has.all() and np.isfinite(state[self.joint_places]).all():
            self._place(qpos, state[self.joint_places])
        for i, at in self._loose:
            if np.isfinite(state[i]):
                qpos[at] = state[i]
        rotation, origin = self.frame.twist(qpos, self._no_speed)[:2]
        for entries, at in self.objects.values():
            position = state[entries.position]
            if np.isfinite(position).all():
                qpos[at : at + 3] = origin + rotation @ position
            if entries.orientation is not None and np.isfinite(axes := state[entries.orientation]).all():
                turned = matrix_to_axes(rotation @ axes_to_matrix(axes))
                qpos[at + 3 : at + 7] = np.roll(axes_to_quaternion(turned), 1)
        return qpos

    def with_joints(self, qpos: Array, positions: Array) -> Array:
        """A copy of qpos [nq] with the commanded joints at `positions` [A] (rad)."""
        moved = qpos.copy()
        self._place(moved, positions)
        return moved


def _free_qpos(model: mujoco.MjModel, name: str) -> int | None:
    """Address in qpos of a free object, named after its joint or its body; None if there is none."""
    joint = int(mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_JOINT, name))
    if joint < 0:
        body = int(mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_BODY, name))
        joint = int(model.body_jntadr[body]) if body >= 0 else -1
    return int(model.jnt_qposadr[joint]) if joint >= 0 and int(model.jnt_type[joint]) == FREE else None
