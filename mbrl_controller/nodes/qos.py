"""Quality of service, in one place. The table is in docs/ros_interface.md."""

from __future__ import annotations

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy


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
REQUEST = _profile(1)  # goals, e-stop
RECORD = _profile(10)  # what the logger joins by stamp
LATCHED = _profile(10, latched=True)  # episode events, also for a logger that comes late
DIAGNOSTICS = _profile(10)
