# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The topics that a contract's commands go to, ready for encoding and decoding."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mbrl_controller.base.errors import ContractError
from mbrl_controller.contract.commands import Command, CommandTopic, Plan
from mbrl_controller.contract.fields import Range
from mbrl_controller.contract.joint_map import JointMap, joint_map
from mbrl_controller.tasks.spaces import Array

ROLE = "hand command"


@dataclass(frozen=True, eq=False)
class Destination:
    """A command topic and its n joints."""

    file: CommandTopic
    role: str  # of the topic in an episode's metadata
    at: NDArray[np.intp]  # [n] the joints' indices in the action
    map: JointMap
    lower: Array  # [n] limits in the driver's units, whole where it gets whole numbers
    upper: Array  # [n]
    raw: Range | None  # the values that the driver takes

    @property
    def topic(self) -> str:
        """As in the contract."""
        return self.file.topic

    @property
    def type(self) -> str:
        """Message type."""
        return self.file.type

    @property
    def driver(self) -> str | None:
        """Name of the node that receives the commands."""
        return self.file.driver

    @property
    def points(self) -> int:
        """How many points of a plan a message has at most."""
        return self.file.send.plan if isinstance(self.file.send, Plan) else 1


def destinations(command: Command, period: float) -> tuple[Destination, ...]:
    """All topics of a command; raises ContractError naming topic and joint. `period`: control period, s."""
    _check_joints(command)
    several = len(command.destinations) > 1
    return tuple(
        _destination(command, to, f"{ROLE} {to.topic}" if several else ROLE, period) for to in command.destinations
    )


def _check_joints(command: Command) -> None:
    """Each joint goes to one topic, and no topic is named twice."""
    topics, joints = [to.topic for to in command.destinations], [joint.name for joint in command.joints]
    if twice := sorted({topic for topic in topics if topics.count(topic) > 1}):
        raise ContractError(f"command.topics names {', '.join(twice)} twice")
    for joint in joints:
        on = [to.topic for to in command.destinations for name in to.joints if name == joint]
        if len(on) != 1:
            where = f"is on {' and on '.join(on)}" if on else "is on no topic"
            raise ContractError(f"command.topics: joint {joint} {where}; each joint goes to one topic")
    for to in command.destinations:
        if unknown := [name for name in to.joints if name not in joints]:
            raise ContractError(f"command.topics: {to.topic}: {', '.join(unknown)}: not one of command.joints")


def _destination(command: Command, to: CommandTopic, role: str, period: float) -> Destination:
    where = f"command: {to.topic}"
    names = [joint.name for joint in command.joints]
    at = np.array([names.index(name) for name in to.joints], dtype=np.intp)
    joints = [command.joints[i] for i in at]
    mapped = joint_map([(joint.name, joint.mapping) for joint in joints], command.mapping, where)
    for joint, driver in zip(to.joints, mapped.drivers, strict=True):
        if len(driver) > 1:
            raise ContractError(f"{where}: joint {joint}: as: sum is for measurements; name the driver's coupled joint")
    ends = mapped.to_driver(np.array([[joint.lower for joint in joints], [joint.upper for joint in joints]]))
    lower = np.where(mapped.whole, np.ceil(ends.min(0)), ends.min(0))
    upper = np.where(mapped.whole, np.floor(ends.max(0)), ends.max(0))
    for i, joint in enumerate(joints):
        if lower[i] > upper[i]:
            raise ContractError(f"{where}: joint {joint.name}: no whole number of the driver lies within its limits")
        if mapped.whole[i] and (unit := 1 / mapped.scale[i]) > joint.max_rate * period:
            raise ContractError(
                f"{where}: joint {joint.name}: as: round: a whole number is {unit:.3g} rad, further than max_rate lets "
                f"it go in a control period ({joint.max_rate * period:.3g} rad)"
            )
        if command.raw is not None and not command.raw.lower <= lower[i] <= upper[i] <= command.raw.upper:
            raise ContractError(
                f"{where}: joint {joint.name}: its limits are, for the driver, [{lower[i]:.6g}, {upper[i]:.6g}], "
                f"outside raw [{command.raw.lower:.6g}, {command.raw.upper:.6g}]"
            )
    return Destination(to, role, at, mapped, lower, upper, command.raw)
