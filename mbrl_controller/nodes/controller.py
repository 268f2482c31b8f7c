# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The controller node: parameters, messages and services around a ControlSession. See docs/ros_interface.md.

What a configured controller has is a ConfiguredController, what an active one has beside it a ControlLoop.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any

from rclpy.clock import Clock, ClockType
from std_srvs.srv import SetBool, Trigger

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.contract.contract import load_contract
from mbrl_controller.control.realtime import RealtimeProcess
from mbrl_controller.control.safety import SILENT
from mbrl_controller.control.standing import Standing
from mbrl_controller.control.timing import LoopStatistics
from mbrl_controller.nodes import diagnostics
from mbrl_controller.nodes.configured_controller import ConfiguredController, uses_simulated_time
from mbrl_controller.nodes.control_loop import ControlLoop
from mbrl_controller.nodes.controller_model import identity
from mbrl_controller.nodes.controller_options import (
    RENAMED,
    all_planner_specs,
    general_specs,
    read_options,
    task_values,
)
from mbrl_controller.nodes.controller_report import REPORT_S, Counters, unconfigured, what_follows
from mbrl_controller.nodes.lifecycle import ManagedNode, run
from mbrl_controller.nodes.parameters import Parameters
from mbrl_controller.nodes.stop_button import StopButton
from mbrl_controller.nodes.tick_shares import TickCounts
from mbrl_controller.nodes.transition_log import TransitionLog

HOUSEKEEPING_S = 0.1


class ControllerNode(ManagedNode):
    """Plans with a learned model, publishes commands at the contract's rate."""

    def __init__(self, name: str = "controller", **options: Any) -> None:
        super().__init__(name, **options)
        self._joined = time.monotonic()  # the ROS graph, s
        self._configured: ConfiguredController | None = None
        self._loop: ControlLoop | None = None  # while active
        self._process = RealtimeProcess()  # of the last activation
        self._counters = Counters()
        self._standing = Standing()
        self._transition_log = TransitionLog(self._standing, self.get_logger())
        self._table = Parameters(
            self, [*general_specs(), *all_planner_specs()], self._check_parameters, self._apply_parameters, RENAMED
        )
        self._diagnostics = diagnostics.DiagnosticsPublisher(self, "control")
        self._last_report, self._report_now = 0.0, True
        self._last_logged_denials: list[str] = []
        # A stop is heard and cleared in every state of the node.
        self._stop_button = StopButton(self, lambda: self._e_stop("e-stop (topic)"))
        self.create_service(Trigger, "~/e_stop", self._on_e_stop_service)
        self.create_service(Trigger, "~/reset", self._on_reset)
        self.create_service(SetBool, "~/hand_over", self._on_hand_over)
        steady = Clock(clock_type=ClockType.STEADY_TIME)  # works also while simulated time stands still
        self.create_timer(HOUSEKEEPING_S, self._housekeeping, clock=steady)

    # --- lifecycle ----------------------------------------------------------------------------------------------

    def setup(self) -> None:
        """Check the contract, load the model, subscribe to the state."""
        given = self._table.values()
        contract = load_contract(read_options(given).contract)
        self._table.set_defaults(task_values(contract.task.name, given["planner.name"]))
        options = read_options(self._table.values())
        self._configured = ConfiguredController(self, contract, options, self._standing, self._counters, self._swapped)

    def start(self) -> None:
        """Begin to tick."""
        configured = self._configured
        assert configured is not None
        options, output = configured.options, configured.output
        if conflict := configured.arbiter.await_conflict(self._joined + options.discovery_s):
            raise MbrlError(conflict)
        if uses_simulated_time(self, options) != (configured.clock is not None):
            raise MbrlError("use_sim_time was changed since configuration: clean up and configure again")
        output.session_name = options.session_name or datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        output.open_command(configured.command_profile)
        self._counters.counted = TickCounts()
        configured.report.begin()
        self._stop_button.hear_now()  # what came meanwhile counts before the first command
        self._stop_button.watch()
        configured.session.enter(self.now_s())
        if not options.lockstep:
            self._process = RealtimeProcess(
                priority=max(options.priority - 1, 1) if options.priority else 0,
                lock_memory=options.lock_memory,
                gc_in_slack=options.gc_in_slack,
            )
        self._loop = ControlLoop(self, configured, self._stop_button, self._counters, self._process)
        self._loop.start()

    def stop(self) -> None:
        """The safe command first; then the loop."""
        configured, loop = self._configured, self._loop
        self.halt()
        if loop is not None:
            loop.stop()
            self.get_logger().info(diagnostics.timing_line(loop.statistics))
            self._loop = None
        if configured is not None:
            configured.output.close_command()

    def teardown(self) -> None:
        """Leave all topics and services."""
        configured, self._configured = self._configured, None
        if configured is not None:
            configured.close()

    def halt(self) -> None:
        """The safe command, then none."""
        if configured := self._configured:
            configured.session.leave(self.now_s())

    def reason_changed(self) -> None:
        """Report at the next opportunity."""
        self._transition_log.write()
        self._report_now = True

    def _swapped(self) -> None:
        """The model was swapped, on the thread that loaded it."""
        self._report_now = True

    # --- e-stop, reset, hand-over -------------------------------------------------------------------------------

    def _on_e_stop_service(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        before = self._standing.stop
        self._e_stop("e-stop (service)")
        already = "" if before is None else f" already: {before.reason}"
        response.success, response.message = True, f"stopped{already}; ~/reset clears it"
        return response

    def _e_stop(self, reason: str) -> None:
        configured, now = self._configured, self.now_s()
        if self._standing.stop is not None:
            return
        if configured is None:
            self._standing.latch_stop(reason, now)
        else:
            configured.session.stop(reason, now)
        self.reason_changed()

    def _on_reset(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        configured, stop, now = self._configured, self._standing.stop, self.now_s()
        deadline = configured.options.e_stop_deadline_s if configured is not None and self.is_active else 0.0
        if stop is not None and (silence := self._stop_button.silence(deadline)):
            response.message = f"not reset, still stopped: {silence}"
            return response
        problem = self._state_problem()
        if configured is None:
            self._standing.clear_stop("reset", now)
        else:
            for event in configured.session.reset(now):
                configured.output.publish_event(event)
        response.success, response.message = True, self._what_follows(problem)
        if stop is not None:
            response.message = f"stop cleared ({stop.reason}); {response.message}"
        self.reason_changed()
        return response

    def _on_hand_over(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        """True: someone else commands the hand from now on; false: this controller does again."""
        configured, now, reason = self._configured, self.now_s(), "asked for (service)"
        self._report_now = True
        if request.data:
            if configured is None:
                self._standing.latch_hand_over(reason, now)
            else:
                configured.session.hand_over(reason, now)
            response.success, response.message = True, self._what_follows("")
            return response
        # Discovery is asked for its present knowledge, which has every other master that still lives.
        if configured is not None and self.is_active:
            response.message = configured.arbiter.conflict(own=True)
        if not response.message:
            problem = self._state_problem()
            if configured is None:
                response.success = self._standing.clear_hand_over()
            else:
                response.success = configured.session.take_back("taken back (service)", now)
            response.message = self._what_follows(problem) if response.success else "it was not handed over"
        return response

    def _state_problem(self) -> str:
        """Why the state cannot be used; empty if it can, or while the node is not active."""
        loop = self._loop
        return loop.state_problem() if loop is not None and self.is_active else ""

    def _what_follows(self, problem: str) -> str:
        configured, loop = self._configured, self._loop
        return what_follows(
            self._standing,
            None if configured is None else configured.session,
            active=self.is_active,
            ticking=loop is not None and loop.is_running,
            problem=problem,
            reset_service="" if configured is None else configured.options.reset_service,
        )

    # --- parameters ---------------------------------------------------------------------------------------------

    def _check_parameters(self, values: dict[str, Any]) -> None:
        options, configured = read_options(values), self._configured
        if configured is not None:
            configured.check(options)

    def _apply_parameters(self) -> None:
        if configured := self._configured:
            options = read_options(self._table.values())
            if options.e_stop_deadline_s != configured.options.e_stop_deadline_s:
                self._stop_button.watch()
            configured.reconfigure(options)

    # --- diagnostics --------------------------------------------------------------------------------------------

    def _housekeeping(self) -> None:
        """Ten times a second, on the executor: log and report what the loop has no time for."""
        configured, loop = self._configured, self._loop
        self._stop_button.look()
        if configured is not None and configured.scene is not None:
            configured.scene.poll()
        if self._transition_log.write():
            self._report_now = True
        if configured is not None and loop is not None and self.is_active:
            loop.give_way()  # also where no states come to tick on
            loop.check_stop_button()
            loop.hold_without_listener()
            if loop.conflict:
                self.give_up(loop.conflict)
                configured.session.take_back("given up", self.now_s())  # activation looks at the topic again
        if configured is not None:
            graph = configured.graph
            graph.look(self.is_active)
            for text in graph.new_problems([*graph.errors(), *graph.warnings(self.is_active)]):
                self.get_logger().warning(text)
        now = time.monotonic()
        if self._report_now or now - self._last_report >= REPORT_S:
            self._last_report, self._report_now = now, False
            self._publish_report()

    def _publish_report(self) -> None:
        configured, loop = self._configured, self._loop
        state = self.lifecycle_state
        if configured is None:
            level, message, values = unconfigured(self._standing, self.reason)
            self._diagnostics.publish(level, message, {"lifecycle state": state, **values})
            return
        session, safety = configured.session, configured.session.core.safety
        self._counters.transport = configured.graph.warnings(self.is_active and safety.state not in SILENT)
        self._counters.misled = configured.graph.errors()
        denied = loop.denied if loop is not None else self._process.denied
        if denied and denied != self._last_logged_denials:
            self.get_logger().warning(f"the system did not grant: {'; '.join(denied)}")
        self._last_logged_denials = denied
        commands = self.is_active and not safety.is_handed_over
        level, message, values = configured.report.make(
            session,
            loop.statistics if loop is not None else LoopStatistics(),
            self._counters,
            configured.options.thresholds,
            period=configured.period,
            lockstep=configured.options.lockstep,
            active=self.is_active,
            model=identity(session.core.model),
            denied=denied,
            other_commanders=configured.arbiter.others(own=True) if commands else [],
        )
        if self.is_active and loop is not None and not loop.is_running:
            level = diagnostics.ERROR
        elif not self.is_active and " failed: " in self.reason:
            stopped = self._standing.stop is not None
            level, message = diagnostics.ERROR, f"{message}; {self.reason}" if stopped else self.reason
        values = {"lifecycle state": state, "transition": self.reason, **values, **self._process.values()}
        if configured.clock is not None:
            values["simulated time (times real time)"] = configured.clock.time.speed
        self._diagnostics.publish(level, message, values, configured.contract.file.robot)


def main(args: Sequence[str] | None = None) -> None:
    """Run the controller until SIGINT or SIGTERM."""
    sys.exit(run(ControllerNode, args))


if __name__ == "__main__":
    main()
