"""Sensors that go on sending but have stopped measuring: new stamps on values that are the same to the last bit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mbrl_controller.episodes.contract import RobotContract
from mbrl_controller.tasks.spaces import Array

MOVED = 0.25  # of what max_rate allows in a period: a command that moves so far moves a joint measurably


@dataclass
class _Watch:
    """One source. It has stood still for `periods` while commands went up to `moved` away from `command`."""

    topic: str
    entries: NDArray[np.intp]  # into the state
    joints: NDArray[np.intp]  # into the command: of what it measures; of an object: all
    is_object: bool
    values: Array | None = None
    command: Array | None = None
    periods: int = 0
    moved: float = 0.0


class FrozenSensors:
    """Notices a source none of whose values changes although the hand is commanded to move.

    A hand at rest may well measure the same angles again and again, and a blocked finger too; that all joints of a
    source stand still under moving commands is a fault. An object may rest under moving fingers, so objects are
    watched only where someone says that theirs cannot.
    """

    def __init__(self, contract: RobotContract) -> None:
        self._reach = contract.action.max_rate * contract.action.period
        self._watches = []
        self._stamp = -np.inf
        state, names = contract.task.state, contract.action.names
        for source in contract.sources:
            entries = source.entries()
            joints = [i for i, name in enumerate(names) if f"{name}.position" in entries]
            moved = np.array(joints or range(len(names)), dtype=np.intp)
            self._watches.append(_Watch(source.topic, state.indices(entries), moved, not joints))

    def reset(self) -> None:
        """Begin anew."""
        self._stamp = -np.inf
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
        for watch in self._watches:
            enough = objects_for if watch.is_object else joints_for
            if enough and watch.periods >= enough and watch.moved >= MOVED:
                return f"{watch.topic}: the same values for {watch.periods} periods while the commands moved: frozen"
        return ""

    def _look(self, watch: _Watch, values: Array, command: Array | None, new: bool) -> None:
        if watch.values is None or not np.array_equal(values, watch.values):
            watch.values, watch.command, watch.periods, watch.moved = values.copy(), command, 0, 0.0
            return
        watch.periods += new
        if watch.command is None:
            watch.command = command
        elif command is not None:
            change = np.abs(command - watch.command) / self._reach
            watch.moved = max(watch.moved, float(change[watch.joints].max()))
