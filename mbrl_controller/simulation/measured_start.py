# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""From measured states to the simulator's own: what is measured is set, the rest is estimated.

| not measured | estimate |
|---|---|
| velocity of a joint | 0; where the state one period earlier is known, the change of position since then |
| orientation of an object | as at the start of an episode |
| velocity, angular velocity of an object | 0 |
| activation of an actuator with a filter | as if its joint rested where it is measured |

What the state does not name at all, such as a joint that nobody measures, stays as an episode begins.
"""

from __future__ import annotations

import numpy as np

from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.simulation.hand_joints import find_joint
from mbrl_controller.simulation.many_worlds import ManyWorlds
from mbrl_controller.simulation.scene import Scene
from mbrl_controller.simulation.start import held_controls, start_qpos
from mbrl_controller.tasks.orientation import (
    AXES,
    axes_to_matrix,
    axes_to_quaternion,
    matrix_to_axes,
    quaternion_to_axes,
)
from mbrl_controller.tasks.spaces import Array, parse_entry


class MeasuredStart:
    """Physics [N, size] of states [N, S]. `unseen`: what is estimated, in words."""

    def __init__(self, scene: Scene, contract: RobotContract, worlds: ManyWorlds) -> None:
        self.scene, self._worlds, self._period = scene, worlds, contract.action.period
        self._places = {name: i for i, name in enumerate(contract.task.state.names)}
        names, places, model = contract.action.names, self._places, scene.model
        self._joint = {
            kind: np.array([places.get(f"{name}.{kind}", -1) for name in names]) for kind in ("position", "velocity")
        }
        loose = [
            (name, find_joint(model, name))
            for name in dict.fromkeys(entry.owner for entry in map(parse_entry, places) if not entry.is_object)
            if name not in names
        ]
        self._loose = [
            (places.get(f"{name}.position", -1), places.get(f"{name}.velocity", -1),
             int(model.jnt_qposadr[joint]), int(model.jnt_dofadr[joint]))
            for name, joint in loose if joint >= 0
        ]  # fmt: skip
        self._objects = list(scene.objects)
        self._base = np.zeros(worlds.size)
        self._base[worlds.qpos] = start_qpos(scene, contract)
        self.ctrl = held_controls(scene, self._base[worlds.qpos])  # [nu]; of the commanded ones it does not count
        self._filters = np.flatnonzero(model.actuator_actnum == 1)
        self.unseen = self._list_unseen()

    def physics(self, state: Array, before: Array | None = None) -> Array:
        """Physics [N, size] of states [N, S]; `before`: the states one control period earlier, where they are known."""
        physics = np.tile(self._base, (len(state), 1))
        if before is not None:
            self._move(physics, state, before)
        return self.overwrite(physics, state)

    def overwrite(self, physics: Array, state: Array) -> Array:
        """A copy of `physics` [N, size] in which what `state` [N, S] measures is as measured; the rest stays."""
        physics = np.array(physics)
        qpos, qvel = physics[:, self._worlds.qpos], physics[:, self._worlds.qvel]
        hand = self.scene.hand
        for kind, own, tendons in (("position", qpos, hand.from_qpos), ("velocity", qvel, hand.from_qvel)):
            addresses = hand.qpos if kind == "position" else hand.qvel
            for joint, place in enumerate(self._joint[kind]):
                if place < 0:
                    continue
                if tendons is None:
                    own[:, addresses[joint]] = state[:, place]
                else:  # its joints share the change, as in HandJoints.place
                    row = tendons[joint]
                    own += np.outer((state[:, place] - own @ row) / (row @ row), row)
        for position, velocity, at, vat in self._loose:
            if position >= 0:
                qpos[:, at] = state[:, position]
            if velocity >= 0:
                qvel[:, vat] = state[:, velocity]
        for name in self._objects:
            self._place_object(name, qpos, qvel, state)
        for i in self._filters.tolist():
            self._settle(i, physics, qpos)
        return physics

    def _move(self, physics: Array, state: Array, before: Array) -> None:
        """Joint velocities from two positions; where velocities are measured, these replace them."""
        qvel, hand = physics[:, self._worlds.qvel], self.scene.hand
        for joint, place in enumerate(self._joint["position"]):
            if place >= 0:
                speed = (state[:, place] - before[:, place]) / self._period
                if hand.from_qvel is None:
                    qvel[:, hand.qvel[joint]] = speed
                else:
                    row = hand.from_qvel[joint]
                    qvel += np.outer((speed - qvel @ row) / (row @ row), row)
        for position, _, _, vat in self._loose:
            if position >= 0:
                qvel[:, vat] = (state[:, position] - before[:, position]) / self._period

    def _place_object(self, name: str, qpos: Array, qvel: Array, state: Array) -> None:
        at, vat = self.scene.free_qpos[name], self.scene.free_qvel[name]
        found = {
            quantity: places
            for quantity, parts in (("position", "xyz"), ("velocity", "xyz"), ("angular_velocity", "xyz"),
                                    ("orientation", AXES))
            if (places := [self._places.get(f"{name}.{quantity}.{part}", -1) for part in parts]) and min(places) >= 0
        }  # fmt: skip
        frame = self.scene.reader.frame
        rotation, origin, speed, spin = frame.twist(qpos, qvel)

        def turned(values: Array) -> Array:
            return values if frame.is_world else (rotation @ values[..., None])[..., 0]

        if "position" in found:
            qpos[:, at : at + 3] = turned(state[:, found["position"]]) + origin
        if "orientation" in found:
            axes = state[:, found["orientation"]]
            axes = axes if frame.is_world else matrix_to_axes(rotation @ axes_to_matrix(axes))
            qpos[:, at + 3 : at + 7] = np.roll(axes_to_quaternion(axes), 1, axis=-1)
        if "velocity" in found:
            offset = qpos[:, at : at + 3] - origin
            qvel[:, vat : vat + 3] = turned(state[:, found["velocity"]]) + speed + np.cross(spin, offset)
        if "angular_velocity" in found:
            quaternion = np.roll(qpos[:, at + 3 : at + 7], -1, axis=-1)
            world = turned(state[:, found["angular_velocity"]]) + spin
            qvel[:, vat + 3 : vat + 6] = _in_body(quaternion, world)

    def _settle(self, actuator: int, physics: Array, qpos: Array) -> None:
        """Let a filtered actuator's activation be its control at rest; a commanded joint rests where it is."""
        act = self._worlds.act.start + int(self.scene.model.actuator_actadr[actuator])
        hand = self.scene.hand
        own = np.flatnonzero(hand.actuators == actuator)
        if len(own):
            physics[:, act] = hand.controls(hand.positions(qpos))[:, own[0]]
        else:
            physics[:, act] = self.ctrl[actuator]

    def _list_unseen(self) -> tuple[str, ...]:
        found = []
        for kind in ("position", "velocity"):
            missing = int((self._joint[kind] < 0).sum())
            if missing:
                found.append(f"{kind} of {missing} joints")
        for name in self._objects:
            for quantity, part in (("velocity", "x"), ("orientation", AXES[0]), ("angular_velocity", "x")):
                if f"{name}.{quantity}.{part}" not in self._places:
                    found.append(f"{quantity.replace('_', ' ')} of {name}")
        if len(self._filters):
            found.append(f"activation of {len(self._filters)} actuators")
        return tuple(found)


def _in_body(quaternion: Array, vector: Array) -> Array:
    """Vectors [N, 3] of the world in the axes of bodies with orientations [N, 4] (x, y, z, w)."""
    own = axes_to_matrix(quaternion_to_axes(quaternion))
    turned: Array = (np.swapaxes(own, -1, -2) @ vector[..., None])[..., 0]
    return turned
