"""Quality of service as rclpy has it; the numbers are in episodes/offered.py, the table in docs/ros_interface.md."""

from __future__ import annotations

from dataclasses import replace

from rclpy.duration import Duration
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

from mbrl_controller.episodes import offered
from mbrl_controller.episodes.contract import PoseSource, Source
from mbrl_controller.episodes.offered import Offered


def profile(numbers: Offered) -> QoSProfile:
    """The same for rclpy."""
    made = QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=numbers.depth,
        reliability=ReliabilityPolicy[numbers.reliability.upper()],
        durability=DurabilityPolicy[numbers.durability.upper()],
    )
    if numbers.deadline != offered.FOR_EVER:
        made.deadline = Duration(nanoseconds=numbers.deadline)
    return made


SENSOR = profile(offered.SENSOR)
SENSOR_LOCKSTEP = profile(offered.SENSOR_LOCKSTEP)
COMMAND = profile(offered.COMMAND)
REQUEST = profile(offered.REQUEST)
RECORD = profile(offered.RECORD)
LATCHED = profile(offered.LATCHED)
DIAGNOSTICS = profile(offered.DIAGNOSTICS)


def sensor(source: Source) -> QoSProfile:
    """SENSOR, but where velocity is made from successive poses all that come between two ticks are kept."""
    return profile(replace(offered.SENSOR, depth=100)) if isinstance(source, PoseSource) else SENSOR


def command(period: float | None) -> QoSProfile:
    """See `offered.command`."""
    return profile(offered.command(period))
