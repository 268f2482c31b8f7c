# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""With what quality of service topics are offered: the numbers, in one place, and as rosbag2 writes them into a bag.

Plain data: `nodes/qos.py` makes profiles of them. The table is in docs/ros_interface.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from mbrl_controller.contract.contract import RobotContract

NANO = 1_000_000_000
FOR_EVER = 2**63 - 1  # ns, as DDS has it


@dataclass(frozen=True)
class Offered:
    """A publisher's quality of service. It keeps its last `depth` messages; times in ns."""

    depth: int
    reliability: str = "reliable"
    durability: str = "volatile"
    deadline: int = FOR_EVER
    lifespan: int = FOR_EVER
    liveliness: str = "automatic"
    lease: int = FOR_EVER

    def to_yaml(self) -> str:
        """As an entry of the list that rosbag2 reads, to offer the same on playback."""
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


SENSOR = Offered(5, reliability="best_effort")  # the newest measurement counts; one lost is not worth waiting for
SENSOR_LOCKSTEP = Offered(5)  # nothing may be lost where each state waits for its command
COMMAND = Offered(1)  # an old command must never follow a newer one
COMMAND_DEADLINE = 2.0  # periods; offered in real time, so that a hand's driver can ask DDS to watch over it
REQUEST = Offered(1)  # goals, e-stop, plans
RECORD = Offered(10)  # what the logger joins by stamp
LATCHED = Offered(10, durability="transient_local")  # episode events, also for a logger that comes late
DIAGNOSTICS = Offered(10)


def command(period: float | None) -> Offered:
    """COMMAND with a deadline for a control `period` (s); None, in lockstep, where time has no meaning.

    No lifespan: it counts from the sender's clock, and a hand whose clock is off would get no command at all.
    """
    return COMMAND if period is None else replace(COMMAND, deadline=round(COMMAND_DEADLINE * period * NANO))


def by_role(contract: RobotContract, lockstep: bool) -> dict[str, Offered]:
    """What this package's own nodes offer: by the contract's topics, and by the roles of the other logged ones."""
    sensor = SENSOR_LOCKSTEP if lockstep else SENSOR
    return {source.topic: sensor for source in contract.sources} | {
        "hand command": command(None if lockstep else contract.action.period),
        "command": RECORD,
        "plan": REQUEST,
        "goal": RECORD,
        "tick": RECORD,
        "episode": LATCHED,
        "diagnostics": DIAGNOSTICS,
    }


def by_topic(contract: RobotContract, topics: Mapping[str, str], lockstep: bool) -> dict[str, Offered]:
    """The same by the names that topics have in a file; `topics` as in EpisodeInfo."""
    known = by_role(contract, lockstep)
    return {name: known[role] for role, name in topics.items() if role in known}


def to_yaml(profiles: Iterable[Offered]) -> str:
    """What all publishers of a topic offer."""
    return "".join(profile.to_yaml() for profile in profiles)


def _duration(name: str, ns: int) -> list[str]:
    return [f"  {name}:", f"    sec: {ns // NANO}", f"    nsec: {ns % NANO}"]
