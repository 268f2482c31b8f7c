# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Sensors that go on sending but have stopped measuring: new stamps on values that are the same to the last bit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.tasks.spaces import Array

MOVED = 0.25  # of what max_rate allows in a period: a command that moves so far moves a joint measurably
PAUSED = 0.05  # of the same: a command that moves less lets the hand come to rest


@dataclass
class _Watch:
    """One source, and how the commands moved while its values stayed the same."""

    topic: str
    entries: NDArray[np.intp]  # into the state
    joints: NDArray[np.intp]  # into the command: of what it measures; of an object: all
    is_object: bool
    values: Array | None = None
    periods: int = 0  # in which they should have changed; the present one counts when both of these moved:
    in_force: Array | None = None  # the command that was in force when it began
    sent: Array | None = None  # the command that was sent then
    in_force_moved: bool = False
    sent_moved: bool = False


class FrozenSensors:
    """Notices a source none of whose values changes although the hand is commanded to move.

    A hand at rest may well measure the same angles again and again, and a blocked finger too; that all joints of a
    source stand still under moving commands is a fault. A moving command counts from the look after it was sent on, so
    that it has more than a period to show in the values, and only if the next one moves too: a quick hand may have come
    to rest where a single one sent it. An object may rest under moving fingers, so objects are watched only where
    someone says that theirs cannot.
    """

    def __init__(self, contract: RobotContract) -> None:
        self._reach = contract.action.max_rate * contract.action.period
        self._watches = []
        self._stamp = -np.inf
        self._before: Array | None = None  # the command in force at the last look
        state, names = contract.task.state, contract.action.names
        for source in contract.sources:
            entries = source.entries()
            joints = [i for i, name in enumerate(names) if f"{name}.position" in entries]
            moved = np.array(joints or range(len(names)), dtype=np.intp)
            self._watches.append(_Watch(source.topic, state.indices(entries), moved, not joints))

    def reset(self) -> None:
        """Begin anew."""
        self._stamp, self._before = -np.inf, None
        for watch in self._watches:
            watch.values = None

    def problem(self, state: Array, stamp: float, command: Array | None, joints_for: int, objects_for: int) -> str:
        """What is frozen; empty if nothing is. Call it once a control period.

        `state` [S] was measured at `stamp` (s), and `command` [A] sent last. A source is frozen after `joints_for`,
        one that measures no commanded joint after `objects_for` periods; 0: never.
        """
        new, self._stamp = stamp > self._stamp, max(stamp, self._stamp)
        for watch in self._watches:
            self._look(watch, state[watch.entries], command, new)
        self._before = command
        for watch in self._watches:
            enough = objects_for if watch.is_object else joints_for
            if enough and watch.periods >= enough:
                return f"{watch.topic}: the same values for {watch.periods} periods of moving commands: frozen"
        return ""

    def _look(self, watch: _Watch, values: Array, command: Array | None, new: bool) -> None:
        before = self._before
        if watch.values is None or not np.array_equal(values, watch.values):
            watch.values, watch.periods = values.copy(), 0
            self._begin(watch, before, command)
        elif new and before is not None and command is not None:
            if watch.in_force is None or watch.sent is None or self._change(watch, before, command) < PAUSED:
                self._begin(watch, before, before)
            watch.in_force_moved |= self._change(watch, watch.in_force, before) >= MOVED
            watch.sent_moved |= self._change(watch, watch.sent, command) >= MOVED
            if watch.in_force_moved and watch.sent_moved:
                watch.periods += 1
                self._begin(watch, before, command)

    def _begin(self, watch: _Watch, in_force: Array | None, sent: Array | None) -> None:
        watch.in_force, watch.sent = in_force, sent
        watch.in_force_moved = watch.sent_moved = False

    def _change(self, watch: _Watch, one: Array | None, other: Array) -> float:
        """Largest change of a joint's command, in what max_rate allows in a period; from None there is none."""
        return 0.0 if one is None else float((np.abs(other - one) / self._reach)[watch.joints].max())
