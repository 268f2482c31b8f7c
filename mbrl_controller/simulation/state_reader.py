# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""From MuJoCo's numbers to the contract's state: orientations as axes, all in the contract's frame."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import mujoco
import numpy as np

from mbrl_controller.base.errors import ContractError
from mbrl_controller.simulation.hand_joints import HandJoints, find_joint
from mbrl_controller.tasks.orientation import AXES, axes_to_matrix, matrix_to_axes, quaternion_to_axes
from mbrl_controller.tasks.spaces import Array, EntryName, parse_entry

_SENSOR = re.compile(r"(?P<name>.*?)(\[(?P<index>\d+)\])?")
FRAME_KINDS = (mujoco.mjtObj.mjOBJ_BODY, mujoco.mjtObj.mjOBJ_SITE)
PARTS = {"position": "xyz", "velocity": "xyz", "orientation": AXES, "angular_velocity": "xyz"}


class Frame:
    """A body or site of the model: the frame of the contract's objects."""

    def __init__(self, model: mujoco.MjModel, name: str) -> None:
        """Raises ContractError if the model has no such body or site."""
        self._model = model
        for kind in FRAME_KINDS:
            self._kind, self._id = kind, int(mujoco.mj_name2id(model, kind, name))
            if self._id >= 0:
                break
        else:
            raise ContractError(f"frame: the model has no body or site {name!r}")
        body = self._id if kind == mujoco.mjtObj.mjOBJ_BODY else int(model.site_bodyid[self._id])
        self.is_world = kind == mujoco.mjtObj.mjOBJ_BODY and body == 0
        # What `twist` gives where no joint moves the frame.
        self.fixed: tuple[Array, Array, Array, Array] | None = None
        if self.is_world:
            self.fixed = np.eye(3), np.zeros(3), np.zeros(3), np.zeros(3)
            return
        self._data = mujoco.MjData(model)
        if int(model.body_weldid[body]) == 0:  # no joint moves it
            self.fixed = self._at(model.qpos0, np.zeros(model.nv))

    def coincides(self, other: Frame) -> bool:
        """Whether both are one, whatever the joints do."""
        if (self._kind, self._id) == (other._kind, other._id):
            return True
        both = self.fixed is not None and other.fixed is not None
        return both and all(np.allclose(a, b) for a, b in zip(self.fixed or (), other.fixed or (), strict=True))

    def twist(self, qpos: Array, qvel: Array) -> tuple[Array, Array, Array, Array]:
        """Rotation [..., 3, 3], position, velocity and angular velocity [..., 3] in the world."""
        if self.fixed is not None:
            return self.fixed
        rows = [self._at(q, v) for q, v in zip(qpos.reshape(-1, qpos.shape[-1]), qvel.reshape(-1, qvel.shape[-1]),
                                               strict=True)]  # fmt: skip
        lead = qpos.shape[:-1]
        rotation, position, velocity, spin = (np.array([row[i] for row in rows]) for i in range(4))
        return (
            rotation.reshape(*lead, 3, 3),
            position.reshape(*lead, 3),
            velocity.reshape(*lead, 3),
            spin.reshape(*lead, 3),
        )

    def _at(self, qpos: Array, qvel: Array) -> tuple[Array, Array, Array, Array]:
        model, data = self._model, self._data
        data.qpos[:], data.qvel[:] = qpos, qvel
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        mujoco.mj_comVel(model, data)
        own = data.body(self._id) if self._kind == mujoco.mjtObj.mjOBJ_BODY else data.site(self._id)
        both = np.zeros(6)
        mujoco.mj_objectVelocity(model, data, self._object_kind(), self._id, both, 0)
        return own.xmat.reshape(3, 3).copy(), own.xpos.copy(), both[3:].copy(), both[:3].copy()

    def _object_kind(self) -> int:
        """Of a body, the frame that xpos is of: MuJoCo's "body" is at the centre of mass here."""
        is_body = self._kind == mujoco.mjtObj.mjOBJ_BODY
        return int(mujoco.mjtObj.mjOBJ_XBODY if is_body else self._kind)


@dataclass(frozen=True)
class _Object:
    """A free body: where its numbers are, and where they go in the state."""

    qpos: int
    qvel: int
    entries: Mapping[str, tuple[np.ndarray, np.ndarray]]  # quantity -> components, places in the state


class StateReader:
    """Reads states by the names of their entries, objects in `frame`. `objects`: free bodies among them, with their
    body's id."""

    def __init__(
        self,
        model: mujoco.MjModel,
        names: Sequence[str],
        joints: Mapping[str, int],
        hand: HandJoints,
        frame: Frame,
        sensors: Mapping[str, str],
    ) -> None:
        """
        Args:
            model: of the world.
            names: of the state's entries.
            joints: commanded joints -> place in `hand`.
            hand: what they are in the model.
            frame: of the objects.
            sensors: entry -> sensor, or sensor[index], where the names do not tell.

        Raises:
            ContractError: the world has nothing of an entry's name.
        """
        self._model, self.frame, self._hand = model, frame, hand
        self.objects: dict[str, int] = {}
        self.index = np.zeros(len(names), dtype=np.intp)  # [S] into concatenate(qpos, qvel, sensordata)
        self._tendons: list[tuple[int, str, int]] = []  # place in the state, quantity, place in the hand
        parts: dict[str, dict[str, list[tuple[int, int]]]] = {}
        for at, name in enumerate(names):
            entry = parse_entry(name)
            if entry.quantity in ("value", "effort"):
                self.index[at] = self._sensor(name, entry, sensors)
            elif entry.is_object:
                where = self._free_body(name, entry.owner)
                own = parts.setdefault(entry.owner, {}).setdefault(entry.quantity, [])
                part = PARTS[entry.quantity].index(entry.component)
                own.append((part, at))
                self.index[at] = where[entry.quantity == "velocity"] + part
            elif entry.owner in joints and hand.from_qpos is not None:
                self._tendons.append((at, entry.quantity, joints[entry.owner]))
            else:
                self.index[at] = self._joint(name, entry, joints)
        self._objects = [self._object(name, quantities) for name, quantities in parts.items()]
        turned = any({"orientation", "angular_velocity"} & set(quantities) for quantities in parts.values())
        self.is_plain = not (turned or self._tendons or (parts and not frame.is_world))
        self.needs_sensors = bool((self.index >= model.nq + model.nv).any())

    def read(self, qpos: Array, qvel: Array, sensordata: Array) -> Array:
        """States [..., S] of qpos [..., nq], qvel [..., nv] and sensordata [..., nsensordata]."""
        parts = [qpos, qvel, sensordata] if self.needs_sensors else [qpos, qvel]
        state: Array = np.concatenate(parts, axis=-1)[..., self.index]
        if not self.is_plain:
            self._read_tendons(state, qpos, qvel)
            self._read_objects(state, qpos, qvel)
        return state

    def _read_tendons(self, state: Array, qpos: Array, qvel: Array) -> None:
        if self._tendons:
            found = {"position": self._hand.positions(qpos), "velocity": self._hand.velocities(qvel)}
            for at, quantity, joint in self._tendons:
                state[..., at] = found[quantity][..., joint]

    def _read_objects(self, state: Array, qpos: Array, qvel: Array) -> None:
        if not self._objects:
            return
        rotation, origin, speed, spin = self.frame.twist(qpos, qvel)
        to_frame = np.swapaxes(rotation, -1, -2)

        def turned(vector: Array) -> Array:
            return (to_frame @ vector[..., None])[..., 0]

        for item in self._objects:
            offset = qpos[..., item.qpos : item.qpos + 3] - origin
            quaternion = qpos[..., item.qpos + 3 : item.qpos + 7]
            axes = quaternion_to_axes(np.roll(quaternion, -1, axis=-1))
            own = axes_to_matrix(axes)
            velocity = qvel[..., item.qvel : item.qvel + 3] - speed - np.cross(spin, offset)
            # MuJoCo's angular velocity is in the body's axes.
            angular = (own @ qvel[..., item.qvel + 3 : item.qvel + 6, None])[..., 0] - spin
            values = {
                "position": turned(offset),
                "velocity": turned(velocity),
                "orientation": axes if self.frame.is_world else matrix_to_axes(to_frame @ own),
                "angular_velocity": turned(angular),
            }
            for quantity, (components, places) in item.entries.items():
                state[..., places] = values[quantity][..., components]

    def _object(self, name: str, quantities: Mapping[str, list[tuple[int, int]]]) -> _Object:
        qpos, qvel = self._free_body(name, name)
        entries = {
            key: tuple(np.array(column) for column in zip(*rows, strict=True)) for key, rows in quantities.items()
        }
        return _Object(qpos, qvel - self._model.nq, entries)  # type: ignore[arg-type]

    def _free_body(self, entry: str, name: str) -> tuple[int, int]:
        """Where an object's numbers begin in concatenate(qpos, qvel)."""
        model = self._model
        joint = int(mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_JOINT, name))
        if joint < 0:
            body = int(mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_BODY, name))
            joint = int(model.body_jntadr[body]) if body >= 0 else -1
        if joint < 0 or int(model.jnt_type[joint]) != int(mujoco.mjtJoint.mjJNT_FREE):
            free = (model.body(b).name for b in range(model.nbody) if _is_free(model, b))
            raise ContractError(
                f"the simulated world has no free object {name!r} for the state's {entry}; "
                f"it has: {', '.join(free) or 'none'}"
            )
        self.objects[name] = int(model.jnt_bodyid[joint])
        return int(model.jnt_qposadr[joint]), int(model.nq + model.jnt_dofadr[joint])

    def _joint(self, name: str, entry: EntryName, joints: Mapping[str, int]) -> int:
        model = self._model
        if entry.owner in joints:
            own = joints[entry.owner]
            return int(self._hand.qpos[own] if entry.quantity == "position" else model.nq + self._hand.qvel[own])
        joint = find_joint(model, entry.owner)
        if joint < 0:
            known = (model.joint(i).name for i in range(model.njnt))
            raise ContractError(
                f"the simulated world has no joint {entry.owner!r} for the state's {name}; it has: "
                f"{', '.join(filter(None, known)) or 'none with a name'}"
            )
        return int(model.jnt_qposadr[joint] if entry.quantity == "position" else model.nq + model.jnt_dofadr[joint])

    def _sensor(self, name: str, entry: EntryName, sensors: Mapping[str, str]) -> int:
        model = self._model
        given = sensors.get(name, name if entry.quantity == "effort" else entry.owner)
        found = _SENSOR.fullmatch(given)
        assert found is not None
        sensor = int(mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_SENSOR, found["name"]))
        if sensor < 0:
            known = (model.sensor(i).name for i in range(model.nsensor))
            raise ContractError(
                f"the simulated world has no sensor {found['name']!r} for the state's {name}; it has: "
                f"{', '.join(filter(None, known)) or 'none'} (`sensors` of the scene says which is which)"
            )
        size, part = int(model.sensor_dim[sensor]), int(found["index"] or 0)
        if part >= size or (size > 1 and found["index"] is None):
            raise ContractError(f"sensors: {name}: sensor {found['name']!r} has {size} numbers; say {found['name']}[0]")
        return int(model.nq + model.nv + model.sensor_adr[sensor]) + part


def _is_free(model: mujoco.MjModel, body: int) -> bool:
    joint = int(model.body_jntadr[body])
    return joint >= 0 and int(model.jnt_type[joint]) == int(mujoco.mjtJoint.mjJNT_FREE)
