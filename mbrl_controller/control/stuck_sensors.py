# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Sensors that keep sending but have stopped measuring: new stamps on values that are the same to the last bit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.tasks.spaces import Array, parse_entry

# Of what max_rate allows in a period:
MIN_MOTION_FRACTION = 0.25  # a command that changes by this much moves a joint measurably
REST_FRACTION = 0.05  # a command that changes by less lets the hand come to rest


@dataclass
class _Source:
    """One source, and how the commands changed while its values did not."""

    topic: str
    entries: NDArray[np.intp]  # into the state
    joints: NDArray[np.intp]  # into the command: the joints that it measures; all of them for an object
    is_object: bool
    values: Array | None = None
    stuck_periods: int = 0  # in which the values should have changed. The present one counts once both commands moved:
    in_force: Array | None = None  # the command in force when it began
    sent: Array | None = None  # the command sent last when it began
    in_force_moved: bool = False
    sent_moved: bool = False

    def begin_period(self, in_force: Array | None, sent: Array | None) -> None:
        self.in_force, self.sent = in_force, sent
        self.in_force_moved = self.sent_moved = False


class StuckSensorMonitor:
    """Notices a source none of whose values changes although the hand is commanded to move.

    At rest a hand may measure the same angles again and again, and so may a blocked finger. But all joints of a source
    standing still under moving commands is a fault. Two commands in a row must move, and the first has more than a
    period to show in the values: a quick hand may have come to rest where a single command sent it.

        tick                                   5    6    7
        measured by the source (rad)          .2   .2   .2    a new value at tick 5
        command sent last, in max_rate*period  0   .5    1
        moved: in force / sent                     -/x  x/x   .5 is in force since tick 6, 1 was sent then
        stuck periods                          0    0    1    noticed at tick 7

    Objects may rest under moving fingers, so they are watched only where they cannot (`objects_for`).
    """

    def __init__(self, contract: RobotContract) -> None:
        self._reach = contract.action.max_rate * contract.action.period
        self._sources = []
        self._stamp = -np.inf
        self._previous: Array | None = None  # the command sent last as of the previous call
        state, names = contract.task.state, contract.action.names
        for source in contract.sources:
            # A derived velocity fades for long after its poses have stopped.
            entries = [name for name in source.entries() if parse_entry(name).quantity not in source.derived]
            measured = {entry.owner for entry in map(parse_entry, entries) if entry.quantity == "position"}
            joints = [i for i, name in enumerate(names) if name in measured]
            moved = np.array(joints or range(len(names)), dtype=np.intp)
            self._sources.append(_Source(source.key, state.indices(entries), moved, not joints))

    def reset(self) -> None:
        """Forget everything."""
        self._stamp, self._previous = -np.inf, None
        for source in self._sources:
            source.values = None

    def problem(self, state: Array, stamp: float, command: Array | None, joints_for: int, objects_for: int) -> str:
        """What is stuck; empty if nothing is. Call it once a control period.

        Args:
            state: measured [S].
            stamp: s, of the measurement.
            command: [A], sent last.
            joints_for: stuck periods after which a source of commanded joints is reported; 0: never.
            objects_for: the same for a source that measures no commanded joint.
        """
        is_new, self._stamp = stamp > self._stamp, max(stamp, self._stamp)
        for source in self._sources:
            self._update(source, state[source.entries], command, is_new)
        self._previous = command
        for source in self._sources:
            limit = objects_for if source.is_object else joints_for
            if limit and source.stuck_periods >= limit:
                return f"{source.topic}: the same values for {source.stuck_periods} periods of moving commands: frozen"
        return ""

    def _update(self, source: _Source, values: Array, command: Array | None, is_new: bool) -> None:
        previous = self._previous
        if source.values is None or not np.array_equal(values, source.values):
            source.values, source.stuck_periods = values.copy(), 0
            source.begin_period(previous, command)
        elif is_new and previous is not None and command is not None:
            if (
                source.in_force is None
                or source.sent is None
                or self._change(source, previous, command) < REST_FRACTION
            ):
                source.begin_period(previous, previous)
            source.in_force_moved |= self._change(source, source.in_force, previous) >= MIN_MOTION_FRACTION
            source.sent_moved |= self._change(source, source.sent, command) >= MIN_MOTION_FRACTION
            if source.in_force_moved and source.sent_moved:
                source.stuck_periods += 1
                source.begin_period(previous, command)

    def _change(self, source: _Source, before: Array | None, after: Array) -> float:
        """Largest change of a joint's command, as a fraction of what max_rate allows in a period. None: no change."""
        return 0.0 if before is None else float((np.abs(after - before) / self._reach)[source.joints].max())
