# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A planner on its own thread, so that a slow plan cannot stall the loop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from mbrl_controller.control.loop import apply_scheduling, start_thread
from mbrl_controller.control.steps import PlanRequest, Solution

Solve = Callable[[PlanRequest, float | None], Solution]


class PlannerThread:
    """Works on one request at a time. A plan that misses its deadline is discarded when it is ready.

    `solve` must be free of side effects, as ControllerCore.solve is: a late one still runs beside the loop.
    """

    def __init__(self, solve: Solve, priority: int = 0, cpus: Sequence[int] = ()) -> None:
        self.late = 0  # plans not ready in time since the start
        self.denied: list[str] = []  # what the system did not grant the thread
        self._solve = solve
        self._change = threading.Condition()
        self._request: tuple[PlanRequest, float | None] | None = None
        self._answer: Solution | Exception | None = None
        self._busy = self._abandoned = self._closed = False
        self._thread = start_thread(self._run, "planner", priority, tuple(cpus))

    def plan(self, request: PlanRequest, deadline: float, refine_until: float | None = None) -> Solution | None:
        """The solution, or None if it is not there by `deadline` (time.monotonic, s).

        `refine_until` is the deadline the planner itself keeps to. Exceptions of `solve` are raised here, in the tick
        they belong to.
        """
        with self._change:
            # A late plan of an earlier tick still holds the thread.
            if not self._wait(lambda: not self._busy, deadline):
                self.late += 1
                return None
            self._request, self._answer = (request, refine_until), None
            self._busy, self._abandoned = True, False
            self._change.notify_all()
            if not self._wait(lambda: not self._busy, deadline):
                self._abandoned = True
                self.late += 1
                return None
            answer, self._answer = self._answer, None
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self, timeout: float = 5.0) -> bool:
        """End the thread after the work in progress; False if that takes longer than `timeout` (s)."""
        with self._change:
            self._closed = True
            self._change.notify_all()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _wait(self, ready: Callable[[], bool], deadline: float) -> bool:
        while not ready():
            left = deadline - time.monotonic()
            if left <= 0 or self._closed:
                return False
            self._change.wait(left)
        return True

    def _run(self, priority: int, cpus: Sequence[int]) -> None:
        self.denied = apply_scheduling(priority, cpus)
        while True:
            with self._change:
                self._change.wait_for(lambda: self._request is not None or self._closed)
                if self._closed or self._request is None:
                    return
                (request, refine_until), self._request = self._request, None
            answer: Solution | Exception
            try:
                answer = self._solve(request, refine_until)
            except Exception as error:
                answer = error
            with self._change:
                self._answer = None if self._abandoned else answer
                self._busy = False
                self._change.notify_all()
