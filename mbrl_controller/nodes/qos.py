# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Quality of service as rclpy profiles; numbers in episodes/offered_qos.py, table in docs/ros_interface.md."""

from __future__ import annotations

from dataclasses import replace
from enum import Enum

from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.contract.sources import Source, TransformSource
from mbrl_controller.episodes import offered_qos
from mbrl_controller.episodes.offered_qos import OfferedQos


def profile(numbers: OfferedQos) -> QoSProfile:
    """The same for rclpy."""
    made = QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=numbers.depth,
        reliability=ReliabilityPolicy[numbers.reliability.upper()],
        durability=DurabilityPolicy[numbers.durability.upper()],
    )
    if numbers.deadline != offered_qos.INFINITE:
        made.deadline = Duration(nanoseconds=numbers.deadline)
    return made


SENSOR = profile(offered_qos.SENSOR)
SENSOR_LOCKSTEP = profile(offered_qos.SENSOR_LOCKSTEP)
COMMAND = profile(offered_qos.COMMAND)
REQUEST = profile(offered_qos.REQUEST)
RECORD = profile(offered_qos.RECORD)
LATCHED = profile(offered_qos.LATCHED)
DIAGNOSTICS = profile(offered_qos.DIAGNOSTICS)
# A button that bounces, or beats, must not push its own `true` out of the queue while the node loads a model.
STATIC_FRAMES = profile(replace(offered_qos.LATCHED, depth=100))  # several nodes tell theirs
E_STOP = profile(replace(offered_qos.REQUEST, depth=500))
E_STOP_LATCHED = profile(replace(offered_qos.LATCHED, depth=500))  # hears earlier messages, but no volatile publisher


def sensor(source: Source) -> QoSProfile:
    """SENSOR, but where samples are made from successive messages all that come between two ticks are kept."""
    all_count = source.derived or source.publishers == "parts"
    depth = 1000 if isinstance(source, TransformSource) else 100 if all_count else SENSOR.depth  # /tf is everybody's
    return profile(replace(offered_qos.SENSOR, depth=depth))


def lockstep_sensor(contract: RobotContract, source: Source) -> QoSProfile:
    """See `offered_qos.lockstep_sensor`."""
    return profile(offered_qos.lockstep_sensor(contract, source))


def command(period: float | None) -> QoSProfile:
    """See `offered_qos.command`."""
    return profile(offered_qos.command(period))


def offered_on(node: Node, topic: str, usual: OfferedQos) -> list[OfferedQos]:
    """What the publishers of `topic` offer, as far as discovery knows; `usual` for the rest, such as depths.

    Empty where there is no publisher. May be called on any thread.
    """
    found = [_read(info.qos_profile, usual) for info in node.get_publishers_info_by_topic(topic)]
    return list(dict.fromkeys(found))


def _read(told: QoSProfile, usual: OfferedQos) -> OfferedQos:
    depth_known = told.history == HistoryPolicy.KEEP_LAST and told.depth > 0
    return OfferedQos(
        depth=told.depth if depth_known else usual.depth,
        reliability=_known(told.reliability, usual.reliability),
        durability=_known(told.durability, usual.durability),
        deadline=_time(told.deadline),
        lifespan=_time(told.lifespan),
        liveliness=_known(told.liveliness, usual.liveliness),
        lease=_time(told.liveliness_lease_duration),
    )


def _known(policy: Enum, usual: str) -> str:
    name = getattr(policy, "name", "UNKNOWN")  # what rclpy has no name for is a plain number
    return usual if name in ("UNKNOWN", "SYSTEM_DEFAULT", "BEST_AVAILABLE") else name.lower()


def _time(duration: Duration) -> int:
    return int(duration.nanoseconds) or offered_qos.INFINITE
