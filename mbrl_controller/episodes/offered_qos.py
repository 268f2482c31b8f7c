# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Quality of service that publishers offer, also as rosbag2 writes it into a bag.

Plain data: `nodes/qos.py` turns it into rclpy profiles. The table is in docs/ros_interface.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.contract.frames import TF_STATIC
from mbrl_controller.contract.reward_label import ROLE as REWARD
from mbrl_controller.contract.sources import Source, TrackedSource

NANO = 1_000_000_000
INFINITE = 2**63 - 1  # ns, as in DDS


@dataclass(frozen=True)
class OfferedQos:
    """A publisher's quality of service, keeping its last `depth` messages; times in ns."""

    depth: int
    reliability: str = "reliable"
    durability: str = "volatile"
    deadline: int = INFINITE
    lifespan: int = INFINITE
    liveliness: str = "automatic"
    lease: int = INFINITE

    def to_yaml(self) -> str:
        """An entry of the list from which rosbag2 restores the profile on playback."""
        lines = [
            "- history: keep_last",
            f"  depth: {self.depth}",
            f"  reliability: {self.reliability}",
            f"  durability: {self.durability}",
            *_duration("deadline", self.deadline),
            *_duration("lifespan", self.lifespan),
            f"  liveliness: {self.liveliness}",
            *_duration("liveliness_lease_duration", self.lease),
            "  avoid_ros_namespace_conventions: false",
        ]
        return "".join(f"{line}\n" for line in lines)


SENSOR = OfferedQos(5, reliability="best_effort")  # the newest measurement counts; a lost one is not worth waiting for
SENSOR_LOCKSTEP = OfferedQos(5)  # nothing may be lost when each state waits for its command
COMMAND = OfferedQos(1)  # an old command must never follow a newer one
COMMAND_DEADLINE = 2.0  # periods; offered in real time, so that a hand's driver can let DDS monitor it
REQUEST = OfferedQos(1)  # goals, e-stop, plans
RECORD = OfferedQos(10)  # what the logger joins by stamp
LATCHED = OfferedQos(10, durability="transient_local")  # episode events, also for a logger that comes late
DIAGNOSTICS = OfferedQos(10)


def lockstep_sensor(contract: RobotContract, source: Source) -> OfferedQos:
    """SENSOR_LOCKSTEP with room for all measurements of two control periods, of which none may be lost."""
    if not isinstance(source, TrackedSource):
        return SENSOR_LOCKSTEP
    return replace(SENSOR_LOCKSTEP, depth=SENSOR_LOCKSTEP.depth + 2 * source.per_period(contract.action.period))


def command(period: float | None) -> OfferedQos:
    """COMMAND with a deadline for a control `period` (s); without one for None: lockstep has no real time.

    No lifespan: it counts from the sender's clock, and a hand with another clock would get no command at all.
    """
    return COMMAND if period is None else replace(COMMAND, deadline=round(COMMAND_DEADLINE * period * NANO))


def qos_by_role(contract: RobotContract, lockstep: bool) -> dict[str, OfferedQos]:
    """Offered by this package's nodes: by the contract's topics, and by role for the other logged topics."""
    sensors = {source.key: lockstep_sensor(contract, source) if lockstep else SENSOR for source in contract.sources}
    commands = command(None if lockstep else contract.action.period)
    topics = sensors | {TF_STATIC: LATCHED} | {to.role: commands for to in contract.destinations}
    if contract.file.reward is not None and contract.file.reward.topic not in sensors:
        topics[REWARD] = RECORD
    return topics | {
        "command": RECORD,
        "plan": REQUEST,
        "goal": RECORD,
        "tick": RECORD,
        "episode": LATCHED,
        "diagnostics": DIAGNOSTICS,
    }


def qos_by_topic(contract: RobotContract, topics: Mapping[str, str], lockstep: bool) -> dict[str, OfferedQos]:
    """The same by the topics' names in a file; `topics` as in EpisodeInfo."""
    known = qos_by_role(contract, lockstep)
    return {name: known[role] for role, name in topics.items() if role in known}


def to_yaml(profiles: Iterable[OfferedQos]) -> str:
    """The list of profiles of all publishers of a topic."""
    return "".join(profile.to_yaml() for profile in profiles)


def _duration(name: str, ns: int) -> list[str]:
    return [f"  {name}:", f"    sec: {ns // NANO}", f"    nsec: {ns % NANO}"]
