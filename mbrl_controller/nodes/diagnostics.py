# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""/diagnostics, with the keys of diagnostic_updater (rates) and ros2_control (periodicity, execution time)."""

from __future__ import annotations

import math
from collections.abc import Mapping

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node

from mbrl_controller.control.timing import LoopStatistics, Summary
from mbrl_controller.nodes.qos import DIAGNOSTICS

OK, WARN, ERROR = (int.from_bytes(level, "little") for level in
                   (DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR))  # fmt: skip


class DiagnosticsPublisher:
    """Publishes one status, named `<node>: <what>`."""

    def __init__(self, node: Node, what: str) -> None:
        self._node = node
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", DIAGNOSTICS)
        self._name = f"{node.get_fully_qualified_name().lstrip('/')}: {what}"

    def publish(self, level: int, message: str, values: Mapping[str, object], hardware: str = "") -> None:
        """Send it; floats are written with six digits."""
        status = DiagnosticStatus(
            level=level.to_bytes(1, "little"), name=self._name, message=message, hardware_id=hardware
        )
        status.values = [KeyValue(key=key, value=text(value)) for key, value in values.items()]
        array = DiagnosticArray(status=[status])
        array.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(array)


def text(value: object) -> str:
    """A value as diagnostics carry it."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def timing(statistics: LoopStatistics, period: float) -> dict[str, object]:
    """Keys of a loop's timing since its start; times in ms. `period` (s): what is aimed at."""
    actual = statistics.period.summary()
    rate = 1.0 / actual.mean if actual.count and actual.mean > 0 else math.nan
    values: dict[str, object] = {
        "Target frequency (Hz)": 1.0 / period,
        "Actual frequency (Hz)": rate,
        "ticks": statistics.ticks,
        "missed ticks": statistics.missed,
        "figures cover": f"{statistics.ticks} ticks in {period * (statistics.ticks + statistics.missed):.6g} s",
    }
    values.update(series("periodicity", actual))
    values.update(series("execution time", statistics.execution.summary()))
    values.update(series("lateness", statistics.lateness.summary()))
    return values


def series(name: str, summary: Summary) -> dict[str, object]:
    """Keys of one series given in s, in ms."""
    entries = (
        ("average", summary.mean),
        ("standard deviation", summary.std),
        ("min", summary.min),
        ("max", summary.max),
        ("p50", summary.p50),
        ("p99", summary.p99),
        ("p99.9", summary.p999),
    )
    return {f"{name}.{key} (ms)": 1e3 * value for key, value in entries}


def timing_line(statistics: LoopStatistics) -> str:
    """A loop's timing since its start in one line, for the log."""
    parts = [f"{statistics.ticks} ticks, {statistics.missed} missed"]
    for name in ("lateness", "execution", "period"):
        s = getattr(statistics, name).summary()
        if s.count:
            values = " / ".join(f"{1e3 * value:.4g}" for value in (s.p50, s.p99, s.p999, s.max))
            parts.append(f"{name} p50 / p99 / p99.9 / max {values} ms")
    return "; ".join(parts)


def worse(value: float, warn: float, error: float) -> int:
    """The level of a value by its thresholds; NaN is not a fault."""
    return ERROR if value > error else WARN if value > warn else OK
