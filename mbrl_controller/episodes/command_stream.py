# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Commands that anybody sent, at whatever rate, cut into control periods.

A command is in force until the next one. A period begins with a command that came a control period or more after the
one before; else periods follow one another. A period's command is the one in force at its middle. Where others that
were in force within it are further away than the hand may go in a period, the period is doubtful, and is left out.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from mbrl_controller.base.errors import MessageError
from mbrl_controller.contract import ros_types
from mbrl_controller.contract.command_messages import read_plan
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.episodes import ros_messages
from mbrl_controller.episodes.command_intervals import PERIOD_TOLERANCE, Stamps
from mbrl_controller.episodes.decoding import reason_of
from mbrl_controller.episodes.exclusions import Exclusion
from mbrl_controller.episodes.time_series import TimeSeries
from mbrl_controller.tasks.spaces import Array

DOUBTFUL = "several commands in one period"
_STAMPED = (ros_types.JOINT_STATE, ros_types.TRAJECTORY)
_LATEST = 2**62  # ns; beyond it, sums of times would not fit
_OTHER_CLOCK = 1.0  # s; a command stamped further from when it came is stamped by another clock
_EVER = np.iinfo(np.int64).max
_LONGEST_POINT = 2.0  # control periods from one point of a trajectory to the next: in between it is interpolated


class CommandStream:
    """Collects the messages of a contract's command topics, in any order."""

    def __init__(self, contract: RobotContract) -> None:
        self._contract = contract
        self._period = contract.action.period
        self._plans: dict[str, list[tuple[int, Stamps, Array]]] = {to.topic: [] for to in contract.destinations}
        self._rejected: Counter[str] = Counter()

    def add(self, topic: str, message: Any, logged: int) -> bool:
        """Add a message of the contract's command `topic`; returns whether it can be used. It counts from its stamp, or
        from when it was `logged` (ns) if it has none."""
        try:
            times, targets = read_plan(self._contract, topic, message)
            stamp = self._stamp(topic, message) or logged
            if not 0 < stamp < _LATEST:
                raise MessageError(f"command: received at no time on {topic}")
            if abs(stamp - logged) > _OTHER_CLOCK * ros_messages.NANO:
                raise MessageError(f"command: stamped more than {_OTHER_CLOCK:g} s before or after it came on {topic}")
            steps = np.diff(times, prepend=0.0)
            if (steps > _LONGEST_POINT * self._period).any():
                raise MessageError(f"command: points of a trajectory more than two control periods apart on {topic}")
        except MessageError as error:
            self._rejected[reason_of(error)] += 1
            return False
        begins = stamp + np.round(np.append(0.0, times[:-1]) * ros_messages.NANO).astype(np.int64)
        self._plans[topic].append((stamp, begins, targets))
        return True

    def _stamp(self, topic: str, message: Any) -> int:
        """The message's own stamp (ns); 0 without one."""
        stamped = self._contract.destination(topic).type in _STAMPED
        return max(ros_messages.stamp_ns(message), 0) if stamped else 0

    def build(self) -> tuple[TimeSeries, Counter[str]]:
        """The whole commands [K, A] (rad), each from when it was in force, and reason -> rejected messages. A joint
        keeps its target."""
        pieces = [piece for plans in self._plans.values() for piece in _in_force(plans)]
        width = len(self._contract.action)
        if not pieces:
            return TimeSeries(np.zeros(0, np.int64), np.zeros((0, width))), self._rejected
        stamps = np.concatenate([begins for begins, _ in pieces])
        rows = np.concatenate([targets for _, targets in pieces])
        order = np.argsort(stamps, kind="stable")
        stamps, rows = stamps[order], rows[order]
        newest = np.where(np.isnan(rows), -1, np.arange(len(rows))[:, None])
        newest = np.maximum.accumulate(newest, axis=0)
        known = (newest >= 0).all(1)
        rejected = Counter(self._rejected)
        if missing := [name for name, at in zip(self._contract.action.names, newest[-1], strict=True) if at < 0]:
            rejected[f"command: never heard for {', '.join(missing)}"] += len(rows)
        values = rows[newest, np.arange(width)][known]
        last = np.diff(stamps[known], append=_EVER) > 0  # of those of one moment, the last to come
        return TimeSeries(stamps[known][last], values[last]), rejected


def _in_force(plans: list[tuple[int, Stamps, Array]]) -> list[tuple[Stamps, Array]]:
    """The points of one topic's messages, each message's until the next one."""
    plans = sorted(plans, key=lambda plan: plan[0])
    ends = [*(stamp for stamp, _, _ in plans), _EVER][1:]
    return [(begins[begins < end], rows[begins < end]) for (_, begins, rows), end in zip(plans, ends, strict=False)]


def control_periods(
    commands: TimeSeries, begin: int, end: int, period: float, reach: Array
) -> tuple[TimeSeries, list[Exclusion]]:
    """Cut an episode into control periods.

    Args:
        commands: each from when it was in force.
        begin: of the episode, ns.
        end: of the episode, ns.
        period: control period, ns.
        reach: how far a joint may go in a period [A], rad.

    Returns:
        The commands at the beginnings of the periods, and the doubtful periods.
    """
    changed = np.append(True, (np.diff(commands.values, axis=0) != 0).any(1)) if len(commands) else np.zeros(0, bool)
    stamps, values = commands.stamps[changed], commands.values[changed]
    ticks = _ticks(stamps, begin, end, period)
    ends = np.append(ticks[1:], end)[: len(ticks)]
    first = np.searchsorted(stamps, ticks, side="right") - 1
    middle = np.searchsorted(stamps, ticks + (ends - ticks) // 2, side="right") - 1
    last = np.searchsorted(stamps, ends, side="left") - 1
    doubtful = [
        Exclusion(int(ticks[k]) + 1, int(ends[k]) - 1, DOUBTFUL)
        for k in np.flatnonzero(last > first)
        if (np.abs(values[first[k] : last[k] + 1] - values[middle[k]]) > reach + 1e-9).any()
    ]
    return TimeSeries(ticks, values[middle]), doubtful


def _ticks(stamps: Stamps, begin: int, end: int, period: float) -> Stamps:
    """Beginnings (ns) of the periods of an episode whose commands changed at `stamps` (ns)."""
    if not len(stamps) or max(begin, int(stamps[0])) >= end:
        return np.zeros(0, np.int64)
    near = PERIOD_TOLERANCE * period
    alone = np.append(True, np.diff(stamps) >= period - near)
    start = max(begin, int(stamps[0]))
    anchors = np.append(start, stamps[alone & (stamps > start) & (stamps < end)])
    parts = []
    for anchor, following in zip(anchors.tolist(), [*anchors[1:].tolist(), end + near], strict=True):
        count = max(int(np.ceil((following - near - anchor) / period)), 1)
        parts.append(anchor + np.round(np.arange(count) * period).astype(np.int64))
    return np.concatenate(parts)
