# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Log lines about transitions of the safety state."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from mbrl_controller.control.safety import SafetyState, Transition
from mbrl_controller.control.standing import Standing

QUIET_S = 1.0  # between two lines of one kind
ALWAYS = {SafetyState.INACTIVE, SafetyState.STOPPED, SafetyState.HANDED_OVER}  # each of these is told
WARNED = {SafetyState.HOLDING, SafetyState.STOPPED, SafetyState.HANDED_OVER}


class TransitionLog:
    """Logs every transition to stopped, handed over and inactive; of others at most one a second and state, with the
    number left out. Thread-safe."""

    def __init__(self, standing: Standing, logger: Any, clock: Callable[[], float] = time.monotonic) -> None:
        self._standing, self._logger, self._clock = standing, logger, clock
        self._count = 0
        self._quiet_until: dict[SafetyState, float] = {}  # s, of `clock`
        self._delayed: dict[SafetyState, tuple[Transition, int]] = {}  # the last one, and how many
        self._lock = threading.Lock()

    def write(self) -> bool:
        """Log what is new; whether there was anything. Call it regularly."""
        with self._lock:
            seen, now = self._count, self._clock()
            changes, self._count = self._standing.changes_since(seen)
            self._log_delayed(now, all_of_them=False)
            forgotten = self._count - seen - len(changes)
            if forgotten > 0:
                self._logger.warning(f"{forgotten} changes of state came too fast to be told")
            for change in changes:
                self._take(change, now)
            return self._count > seen

    def _take(self, change: Transition, now: float) -> None:
        kind = change.after
        if kind in ALWAYS:
            self._log_delayed(now, all_of_them=True)  # in the order in which it happened
            self._log(change, 0)
        elif now >= self._quiet_until.get(kind, now):
            self._quiet_until[kind] = now + QUIET_S
            self._log(change, 0)
        else:
            self._delayed[kind] = change, self._delayed.get(kind, (change, 0))[1] + 1

    def _log_delayed(self, now: float, all_of_them: bool) -> None:
        for kind, (change, count) in list(self._delayed.items()):
            if all_of_them or now >= self._quiet_until[kind]:
                del self._delayed[kind]
                self._quiet_until[kind] = now + QUIET_S
                self._log(change, count - 1)

    def _log(self, change: Transition, left_out: int) -> None:
        text = f"{change.before.value} -> {change.after.value}: {change.reason}"
        if left_out:
            text += f" ({left_out} more like this left out)"
        if change.after in WARNED:
            self._logger.warning(text)
        else:
            self._logger.info(text)
