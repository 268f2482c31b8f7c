"""Quality of service, in one place. The table is in docs/ros_interface.md."""

from __future__ import annotations

from rclpy.duration import Duration
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

from mbrl_controller.episodes.contract import PoseSource, Source


def _profile(depth: int, reliable: bool = True, latched: bool = False) -> QoSProfile:
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )


SENSOR = _profile(5, reliable=False)  # the newest measurement counts; one lost is not worth waiting for
SENSOR_LOCKSTEP = _profile(5)  # nothing may be lost where each state waits for its command
COMMAND = _profile(1)  # an old command must never follow a newer one
COMMAND_DEADLINE = 2.0  # periods; offered in real time, so that a hand's driver can ask DDS to watch over it
REQUEST = _profile(1)  # goals
# A button that bounces, or beats, must not push its own `true` out of the queue while the node loads a model.
E_STOP = _profile(500)
E_STOP_LATCHED = _profile(500, latched=True)  # hears what was published before, but no volatile publisher
RECORD = _profile(10)  # what the logger joins by stamp
LATCHED = _profile(10, latched=True)  # episode events, also for a logger that comes late
DIAGNOSTICS = _profile(10)


def sensor(source: Source) -> QoSProfile:
    """SENSOR, but where velocity is made from successive poses all that come between two ticks are kept."""
    return _profile(100, reliable=False) if isinstance(source, PoseSource) else SENSOR


def command(period: float | None) -> QoSProfile:
    """COMMAND with a deadline for a control `period` (s); None, in lockstep, where time has no meaning.

    No lifespan: it counts from the sender's clock, and a hand whose clock is off would get no command at all.
    """
    profile = _profile(1)
    if period is not None:
        profile.deadline = Duration(seconds=COMMAND_DEADLINE * period)
    return profile
