# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The loop of an active controller: by real time, by the time on /clock, or for each complete state (lockstep)."""

from __future__ import annotations

import functools
import math
import threading
import time
from collections.abc import Callable

from mbrl_controller.control.event_loop import EventTriggeredLoop
from mbrl_controller.control.loop import FixedRateLoop
from mbrl_controller.control.pacing import MAX_LATENESS, TickTime
from mbrl_controller.control.planner_thread import PlannerThread
from mbrl_controller.control.realtime import RealtimeProcess
from mbrl_controller.control.simulated_time import SimulatedRateLoop
from mbrl_controller.control.steps import PlanRequest, Solution
from mbrl_controller.control.timing import LoopStatistics
from mbrl_controller.nodes.configured_controller import ConfiguredController
from mbrl_controller.nodes.controller_report import Counters
from mbrl_controller.nodes.lifecycle import ManagedNode
from mbrl_controller.nodes.polling import take_all
from mbrl_controller.nodes.stop_button import StopButton
from mbrl_controller.nodes.tick_shares import TickCounts

CONFLICT_S = 5.0  # discovery of another commander can take seconds: within this after activation both give up
REFINE_MARGIN = 0.05  # of the period, between the planner's own deadline and the one after which it is late
NO_TIME = "no time on /clock yet"


class ControlLoop:
    """Each tick: give way, check the stop button, take the state, and step the session or hold.

    The executor's thread asks it to give way and to check the stop button too, where no ticks come.
    """

    def __init__(
        self,
        node: ManagedNode,
        configured: ConfiguredController,
        stop_button: StopButton,
        counters: Counters,
        process: RealtimeProcess,
    ) -> None:
        """Args:
        node: gives the time and takes the log.
        configured: what is to be controlled.
        stop_button: to be heard.
        counters: get the counts of ticks.
        process: started and stopped with the loop, except in lockstep.
        """
        self.last_poll = -math.inf  # s, time.monotonic: when states were last taken
        self.conflict = ""  # another node on the command topic, found soon after activation
        self._node, self._stop_button, self._counters = node, stop_button, counters
        self._configured, self._session, self._process = configured, configured.session, process
        self._started = time.monotonic()
        self._planner: PlannerThread | None = None
        self._loop: FixedRateLoop | EventTriggeredLoop | None = None
        self._feedback: FixedRateLoop | None = None  # between the ticks, beside a planner at work
        self._polling = threading.Lock()

    # --- life ---------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to tick."""
        configured, options = self._configured, self._configured.options
        if options.lockstep:
            loop = EventTriggeredLoop(
                self._tick_lockstep,
                on_error=self._failed,
                ready=lambda: not configured.graph.nobody_listens(),
            )
            self._loop, configured.on_complete_state = loop, loop.trigger
        else:
            self._process.start()
            self._planner = PlannerThread(self._session.core.solve, options.priority, options.cpus)
            self._loop = self._make_fixed_rate_loop(configured.period, self._tick, self._time_stands_still)
            if options.core.feedback:
                self._feedback = self._make_fixed_rate_loop(1 / options.core.feedback_rate, self._correct, _wait)
        self._loop.start()
        if self._feedback is not None:
            self._feedback.start()

    def _make_fixed_rate_loop(
        self, period: float, tick: Callable[[TickTime], None], stalled: Callable[[float], None]
    ) -> FixedRateLoop:
        make: Callable[..., FixedRateLoop] = FixedRateLoop
        options, clock = self._configured.options, self._configured.clock
        if clock is not None:
            make = functools.partial(SimulatedRateLoop, clock=clock.time, stalled=stalled)
        return make(
            period,
            tick,
            on_error=self._failed,
            in_slack=self._process.in_slack if tick == self._tick else None,
            priority=min(options.priority + 1, 99) if options.priority else 0,
            cpus=options.cpus,
        )

    def stop(self) -> None:
        """End the loop after the tick in progress, then its planner."""
        self._configured.on_complete_state = lambda: None
        if self._feedback is not None:
            self._feedback.stop()
        if self._loop is not None:
            self._loop.stop()
            statistics, late = self._loop.statistics, self._planner.late if self._planner is not None else 0
            self._counters.counted = TickCounts(statistics.ticks, statistics.missed, late)
        if self._planner is not None:
            self._planner.close()
        self._process.stop()

    @property
    def statistics(self) -> LoopStatistics:
        """Timing of the ticks since activation."""
        return self._loop.statistics if self._loop is not None else LoopStatistics()

    @property
    def is_running(self) -> bool:
        """Whether it ticks: an error ends it."""
        return self._loop is not None and self._loop.running

    @property
    def denied(self) -> list[str]:
        """What the system did not grant."""
        parts = (self._loop, self._planner, self._process)
        return list(dict.fromkeys(text for part in parts if part is not None for text in part.denied))

    def _failed(self, error: Exception) -> None:
        text = f"the control loop failed: {type(error).__name__}: {error}"
        self._session.stop(text, self._node.now_s())
        self._node.get_logger().fatal(f"{text}; deactivate and activate")

    # --- ticks --------------------------------------------------------------------------------------------------

    def _tick(self, when: TickTime) -> None:
        configured, planner, loop = self._configured, self._planner, self._loop
        if planner is None or not isinstance(loop, FixedRateLoop):
            return
        period = loop.wall_period
        deadline = when.due + configured.options.deadline_fraction * period

        def solve(request: PlanRequest) -> Solution | None:
            return planner.plan(request, deadline, deadline - REFINE_MARGIN * period)

        self.give_way()
        self.check_stop_button()
        self._poll(when.began)
        statistics = loop.statistics
        # The result of this tick is counted with the next one.
        self._counters.counted = TickCounts(statistics.ticks, statistics.missed - when.missed, planner.late)
        configured.output.counters = (when.lateness, statistics.execution.last, statistics.missed, planner.late)
        clock = self._node.now_s()
        if reason := NO_TIME if clock <= 0 else self._missing_button():
            self._session.hold(reason, clock)
        elif not configured.graph.holds(self._session, clock):
            expires = when.due + (1 + MAX_LATENESS) * period
            self._session.step(clock, configured.elapsed(when.began), clock, solve, expires=expires)

    def _poll(self, began: float) -> None:
        """Take the states that have arrived. The feedback's thread does so, too."""
        with self._polling:
            for subscription, on_state, hear in self._configured.polled:
                take_all(subscription, on_state, self.last_poll, hear)
            self.last_poll = max(self.last_poll, began)

    def _correct(self, when: TickTime) -> None:
        """Between two ticks: the plan's feedback on the newest state. What is wrong is the ticks' to find."""
        self._poll(when.began)
        clock = self._node.now_s()
        if clock > 0 and self._session.correct(clock, self._configured.elapsed(when.began), clock):
            self._counters.corrections += 1

    def _tick_lockstep(self) -> None:
        configured = self._configured
        self.give_way()
        self.check_stop_button()
        configured.output.counters = (0.0, self.statistics.execution.last, 0, 0)
        stamp = self._lockstep_stamp()
        if missing := self._missing_button():
            self._session.hold(missing, stamp)
        elif not configured.graph.holds(self._session, stamp):
            self._session.step(stamp, None, None, self._session.core.solve)

    def _time_stands_still(self, seconds: float) -> None:
        """Hold; called about once in a period by a loop that ticks by /clock."""
        self.give_way()
        self.check_stop_button()
        clock = self._node.now_s()
        reason = NO_TIME if clock <= 0 else f"time on /clock has stood still for {seconds:.2f} s"
        if not self._configured.graph.holds(self._session, clock):
            self._session.hold(reason, clock)

    def give_way(self) -> None:
        """Send nothing any more where another node commands the hand."""
        if self._session.core.safety.is_handed_over:
            return
        if conflict := self._configured.arbiter.conflict(own=True):
            self._session.hand_over(conflict, self._node.now_s(), asked=False)
            if time.monotonic() - self._started < CONFLICT_S:
                self.conflict = conflict

    def check_stop_button(self) -> None:
        """Stop where the stop button must be heard and is not."""
        silence = self._stop_button.silence(self._configured.options.e_stop_deadline_s)
        if silence and self._session.core.safety.standing.stop is None:
            self._session.stop(silence, self._node.now_s())

    def hold_without_listener(self) -> None:
        """In lockstep: hold where nobody listens any more, because no tick comes to do so."""
        graph = self._configured.graph
        if self._configured.options.lockstep and graph.holds_anew(self._session):
            graph.holds(self._session, self._lockstep_stamp())

    def state_problem(self) -> str:
        """Why the state cannot be used; empty if it can."""
        session, configured = self._session, self._configured
        if problem := self._missing_button() or configured.graph.nobody_listens():
            return problem
        if configured.options.lockstep:
            return session.state_problem(None, None)
        clock = self._node.now_s()
        return NO_TIME if clock <= 0 else session.state_problem(self.last_poll, clock)

    def _missing_button(self) -> str:
        return self._stop_button.missing(self._configured.options.e_stop_deadline_s)

    def _lockstep_stamp(self) -> float:
        stamp = self._configured.inputs.newest_stamp
        return self._node.now_s() if stamp is None else stamp


def _wait(still_s: float) -> None:
    """There is nothing to correct while time stands still."""
