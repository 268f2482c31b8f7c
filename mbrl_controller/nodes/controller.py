# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The controller node: parameters, messages and services around a ControlSession. See docs/ros_interface.md."""

from __future__ import annotations

import functools
import math
import sys
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from typing import Any

from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import Odometry
from rclpy.clock import Clock, ClockType
from sensor_msgs.msg import JointState
from std_srvs.srv import SetBool, Trigger
from trajectory_msgs.msg import JointTrajectory

from mbrl_controller.base.errors import GoalError, MbrlError
from mbrl_controller.contract.contract import RobotContract, load_contract
from mbrl_controller.contract.ros_types import JOINT_STATE, ODOMETRY, POSE
from mbrl_controller.control.core import ControllerCore
from mbrl_controller.control.event_loop import EventTriggeredLoop
from mbrl_controller.control.loop import FixedRateLoop
from mbrl_controller.control.pacing import LATEST, TickTime
from mbrl_controller.control.planner_thread import PlannerThread
from mbrl_controller.control.realtime import RealtimeProcess
from mbrl_controller.control.safety import SILENT, Safety
from mbrl_controller.control.session import ControlSession
from mbrl_controller.control.simulated_time import SimulatedRateLoop
from mbrl_controller.control.standing import Standing
from mbrl_controller.control.state_input import StateInput
from mbrl_controller.control.steps import PlanRequest, Solution
from mbrl_controller.control.timing import LoopStatistics
from mbrl_controller.nodes import diagnostics, messages, qos
from mbrl_controller.nodes.commanders import Commanders
from mbrl_controller.nodes.controller_answers import what_follows
from mbrl_controller.nodes.controller_graph import ControllerGraph
from mbrl_controller.nodes.controller_model import VersionModel, identity, load_beside, load_model
from mbrl_controller.nodes.controller_options import (
    ControllerOptions,
    all_planner_specs,
    check_goal_options,
    general_specs,
    read_options,
    task_values,
)
from mbrl_controller.nodes.controller_output import ControllerOutput
from mbrl_controller.nodes.controller_report import REPORT_S, ControllerReport, Counters, unconfigured
from mbrl_controller.nodes.lifecycle import ManagedNode, run
from mbrl_controller.nodes.parameters import Parameters
from mbrl_controller.nodes.polling import SlowService, polled_subscription, take_all
from mbrl_controller.nodes.scene_reset import SceneReset
from mbrl_controller.nodes.simulated_clock import SimulatedClock
from mbrl_controller.nodes.state_publishers import StatePublishers
from mbrl_controller.nodes.stop_button import StopButton
from mbrl_controller.nodes.tick_shares import TickCounts
from mbrl_controller.nodes.transition_log import TransitionLog

MESSAGE_TYPES = {JOINT_STATE: JointState, ODOMETRY: Odometry, POSE: PoseStamped}
HOUSEKEEPING_S = 0.1
CONTEST_S = 5.0  # discovery of another commander can take seconds: so long after activation both give way
REFINE_MARGIN = 0.05  # of the period, between the planner's own deadline and the one after which it is late


class ControllerNode(ManagedNode):
    """Plans with a learned model, publishes commands at the contract's rate."""

    _world_clock: SimulatedClock | None = None

    def __init__(self, name: str = "controller", **options: Any) -> None:
        super().__init__(name, **options)
        self._session: ControlSession | None = None
        self._loop: FixedRateLoop | EventTriggeredLoop | None = None
        self._planner: PlannerThread | None = None
        self._process = RealtimeProcess()
        self._told_refused: list[str] = []
        self._counters = Counters()
        self._standing = Standing()
        self._transition_log = TransitionLog(self._standing, self.get_logger())
        self._table = Parameters(
            self, [*general_specs(), *all_planner_specs()], self._check_parameters, self._apply_parameters
        )
        self._diagnostics = diagnostics.DiagnosticsPublisher(self, "control")
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)  # works also while simulated time stands still
        self._reported, self._report_now = 0.0, True
        # A stop is heard and cleared in whatever state the node is.
        self._stop_button = StopButton(self, lambda: self._e_stop("e-stop (topic)"))
        self.create_service(Trigger, "~/e_stop", self._on_e_stop_service)
        self.create_service(Trigger, "~/reset", self._on_reset)
        self.create_service(SetBool, "~/hand_over", self._on_hand_over)
        self.create_timer(HOUSEKEEPING_S, self._keep_house, clock=self._steady)

    # --- lifecycle ----------------------------------------------------------------------------------------------

    def setup(self) -> None:
        """Check the contract, load the model, subscribe to the state."""
        first = self._table.values()
        contract = load_contract(read_options(first).contract)
        self._table.set_defaults(task_values(contract.task.name, first["planner.name"]))
        o = self._options = read_options(self._table.values())
        self._period = o.period(contract.action.period)
        check_goal_options(contract, o)
        planner = o.make_planner(len(contract.action))
        model = load_model(contract, o)
        safety = Safety(contract.action, o.safety, contract.file.command.safe, self._standing)
        core = ControllerCore(contract, model, planner, o.core, safety, o.session.seed, active=False)
        self._inputs = StateInput(contract, self._trigger, self._counters.rejections)
        self._contract = contract
        self._commanders = Commanders(self, contract.file.command.topic)
        self._scene = SceneReset(self, o.reset_service, self._scene_was_reset) if o.reset_service else None
        self._output = ControllerOutput(self, contract, lambda: self._session_name)
        self._command_profile = qos.command(None if o.lockstep else contract.action.period)
        self._graph = ControllerGraph(
            self, contract.file.command, self._command_profile, lambda: self._output.listeners
        )
        self._world_clock = SimulatedClock(self) if self._by_simulated_time(o) else None
        self._session = ControlSession(
            core,
            self._inputs,
            o.session,
            self._output.send,
            lockstep=o.lockstep,
            reset_scene=self._scene.ask if self._scene else None,
            simulated=self._world_clock.time if self._world_clock else None,
        )
        self._report = ControllerReport()
        self._connect(contract, o)
        self.get_logger().info(
            f"{contract.file.robot}, task {contract.task.name}, model {model.version} "
            f"({model.ensemble.spec.precision}), planner {o.planner}, "
            f"{1 / self._period:.6g} Hz{', in lockstep' if o.lockstep else ''}"
        )
        self._tell_fallback(model)

    def start(self) -> None:
        """Begin to tick."""
        session, o = self._session, self._options
        assert session is not None
        contested = self._commanders.contested(own=False)
        if contested:
            raise MbrlError(contested)
        if self._by_simulated_time(o) != (self._world_clock is not None):
            raise MbrlError("use_sim_time was changed since configuration: clean up and configure again")
        self._activated, self._looked, self._rival = time.monotonic(), -math.inf, ""
        self._session_name = o.session_name or datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        self._output.open_command(self._command_profile)
        self._counters.counted = TickCounts()
        self._report.begin()
        self._stop_button.hear_now()  # what came meanwhile counts before the first command
        self._stop_button.watch()
        session.enter(self._now())
        if o.lockstep:
            self._loop = EventTriggeredLoop(
                self._tick_lockstep, on_error=self._loop_failed, ready=lambda: not self._graph.nobody_listens()
            )
        else:
            self._process = RealtimeProcess(
                priority=max(o.priority - 1, 1) if o.priority else 0,
                lock_memory=o.lock_memory,
                gc_in_slack=o.gc_in_slack,
            )
            self._process.start()
            self._planner = PlannerThread(session.core.solve, o.priority, o.cpus)
            self._loop = self._make_loop(o)
        self._loop.start()

    def _make_loop(self, o: ControllerOptions) -> FixedRateLoop:
        make: Callable[..., FixedRateLoop] = FixedRateLoop
        if self._world_clock is not None:
            make = functools.partial(SimulatedRateLoop, clock=self._world_clock.time, stalled=self._time_stands_still)
        return make(
            self._period,
            self._tick,
            on_error=self._loop_failed,
            in_slack=self._process.in_slack,
            priority=min(o.priority + 1, 99) if o.priority else 0,
            cpus=o.cpus,
        )

    def stop(self) -> None:
        """The safe command first; then the loop."""
        if self._session is not None:
            self._session.leave(self._now())
        if self._loop is not None:
            self._loop.stop()
            statistics, late = self._loop.statistics, self._planner.late if self._planner is not None else 0
            self._counters.counted = TickCounts(statistics.ticks, statistics.missed, late)
            self.get_logger().info(diagnostics.timing_line(statistics))
            self._loop = None
        if self._planner is not None:
            self._planner.close()
            self._planner = None
        self._process.stop()
        self._output.close_command()

    def teardown(self) -> None:
        """Leave all topics and services."""
        self._session = None
        for subscription in self.__dict__.pop("_subscriptions_made", []):
            self.destroy_subscription(subscription)
        for attribute in ("_loader", "_scene", "_output", "_world_clock"):
            part = self.__dict__.pop(attribute, None)
            if part is not None:
                part.close()

    def halt(self) -> None:
        """The safe command, then none."""
        session = self._session
        if session is not None:
            session.leave(self._now())

    def reason_changed(self) -> None:
        """Report at the next opportunity."""
        self._transition_log.write()
        self._report_now = True

    def _connect(self, contract: RobotContract, o: ControllerOptions) -> None:
        self._subscriptions_made = [self.create_subscription(JointTrajectory, "~/set_goal", self._on_goal, qos.REQUEST)]
        self._graph.add_requests("e_stop", qos.E_STOP, matters=True)
        self._graph.add_requests("~/set_goal", qos.REQUEST, matters=False)
        self._polled = []
        for source in contract.sources:
            kind, on_state = MESSAGE_TYPES[source.type], functools.partial(self._on_state, source.topic)
            profile = qos.SENSOR_LOCKSTEP if o.lockstep else qos.sensor(source)
            publishers = StatePublishers(self, source, profile)
            if o.lockstep:  # each state is waited for; in real time the loop looks for what has arrived
                subscription = self.create_subscription(kind, source.topic, publishers.before(on_state), profile)  # type: ignore[arg-type]
            else:
                subscription = polled_subscription(self, kind, source.topic, profile)
                self._polled.append((subscription, on_state, publishers.hear))
            publishers.subscription = subscription
            self._graph.states.append(publishers)
            self._subscriptions_made.append(subscription)
        # Loading a model must not hold up an e-stop.
        self._loader = SlowService(self, Trigger, "~/load_model", self._on_load_model)

    # --- ticking ------------------------------------------------------------------------------------------------

    def _tick(self, when: TickTime) -> None:
        session, planner, loop = self._session, self._planner, self._loop
        if session is None or planner is None or loop is None:
            return
        period = loop.wall_period if isinstance(loop, FixedRateLoop) else 0.0
        deadline = when.due + self._options.deadline_fraction * period

        def solve(request: PlanRequest) -> Solution | None:
            return planner.plan(request, deadline, deadline - REFINE_MARGIN * period)

        self._give_way(session)
        self._watch_stop_button(session)
        for subscription, on_state, hear in self._polled:
            take_all(subscription, on_state, self._looked, hear)
        self._looked = when.began
        execution = loop.statistics.execution.last
        # What this tick comes to is counted with the next one.
        counted = TickCounts(loop.statistics.ticks, loop.statistics.missed - when.missed, planner.late)
        self._counters.counted = counted
        self._output.counters = (when.lateness, execution, loop.statistics.missed, planner.late)
        clock = self._now()
        if clock <= 0:
            session.hold("no time on /clock yet", clock)
            return
        if missing := self._stop_button.missing(self._options.e_stop_deadline_s):
            session.hold(missing, clock)
            return
        if not self._graph.holds(session, clock):
            session.step(clock, self._elapsed(when.began), clock, solve, expires=when.due + (1 + LATEST) * period)

    def _tick_lockstep(self) -> None:
        session, loop = self._session, self._loop
        if session is None or loop is None:
            return
        self._give_way(session)
        self._watch_stop_button(session)
        self._output.counters = (0.0, loop.statistics.execution.last, 0, 0)
        stamp = self._lockstep_stamp()
        if missing := self._stop_button.missing(self._options.e_stop_deadline_s):
            session.hold(missing, stamp)
            return
        if not self._graph.holds(session, stamp):
            session.step(stamp, None, None, session.core.solve)

    def _lockstep_stamp(self) -> float:
        stamp = self._inputs.newest_stamp
        return self._now() if stamp is None else stamp

    def _time_stands_still(self, seconds: float) -> None:
        """Hold; called by a loop that lives by /clock, about once in a period."""
        session = self._session
        if session is None:
            return
        self._give_way(session)
        self._watch_stop_button(session)
        clock = self._now()
        reason = "no time on /clock yet" if clock <= 0 else f"time on /clock has stood still for {seconds:.2f} s"
        if not self._graph.holds(session, clock):
            session.hold(reason, clock)

    def _give_way(self, session: ControlSession) -> None:
        """Send nothing any more where another node commands the hand."""
        if not session.core.safety.is_handed_over and (contested := self._commanders.contested(own=True)):
            session.hand_over(contested, self._now())
            if time.monotonic() - self._activated < CONTEST_S:
                self._rival = contested

    def _watch_stop_button(self, session: ControlSession) -> None:
        """Stop where the stop button must be heard of and is not."""
        silence = self._stop_button.silence(self._options.e_stop_deadline_s)
        if silence and self._standing.stop is None:
            session.stop(silence, self._now())

    def _trigger(self) -> None:
        loop = self._loop
        if isinstance(loop, EventTriggeredLoop):
            loop.trigger()

    def _loop_failed(self, error: Exception) -> None:
        session = self._session
        if session is not None:
            session.stop(f"the control loop failed: {type(error).__name__}: {error}", self._now())
        self.get_logger().fatal(f"the control loop failed: {type(error).__name__}: {error}; deactivate and activate")

    def _by_simulated_time(self, o: ControllerOptions) -> bool:
        """Whether periods are of the time on /clock. In lockstep they are of nobody's."""
        return bool(getattr(self.get_clock(), "ros_time_is_active", False)) and not o.lockstep

    def _elapsed(self, when: float) -> float:
        """`when` (s, time.monotonic) on the clock by which silence is told: simulated time, where that is used."""
        return when if self._world_clock is None else self._world_clock.time.at(when)

    def _now(self) -> float:
        """s, node clock."""
        return 1e-9 * float(self.get_clock().now().nanoseconds)

    # --- callbacks ----------------------------------------------------------------------------------------------

    def _on_state(self, topic: str, message: Any, received: float | None = None) -> None:
        self._inputs.receive(topic, message, self._elapsed(time.monotonic() if received is None else received))

    def _on_goal(self, message: JointTrajectory) -> None:
        session = self._session
        if session is None:
            return
        try:
            goal = messages.read_goal(session.core.task, message)
        except GoalError as error:
            self._counters.goals_refused += 1
            self._counters.last_goal_refusal = str(error)
            self.get_logger().warning(f"goal refused: {error}", throttle_duration_sec=1.0)
            return
        session.set_goal(goal, self._now())
        self.get_logger().info(f"new goal, {len(goal.times)} points", throttle_duration_sec=1.0)

    def _on_e_stop_service(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        before = self._standing.stop
        self._e_stop("e-stop (service)")
        already = "" if before is None else f" already: {before.reason}"
        response.success, response.message = True, f"stopped{already}; ~/reset clears it"
        return response

    def _e_stop(self, reason: str) -> None:
        session, now = self._session, self._now()
        if self._standing.stop is not None:
            return
        if session is None:
            self._standing.latch_stop(reason, now)
        else:
            session.stop(reason, now)
        self._transition_log.write()
        self._report_now = True

    def _on_reset(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        session, stop, now = self._session, self._standing.stop, self._now()
        silence = self._stop_button.silence(self._options.e_stop_deadline_s) if self.is_active else ""
        if stop is not None and silence:
            response.message = f"not reset, still stopped: {silence}"
            return response
        problem = self._state_problem()
        if session is None:
            self._standing.clear_stop("reset", now)
        else:
            for event in session.reset(now):
                self._output.publish_event(event)
        response.success, response.message = True, self._what_follows(problem)
        if stop is not None:
            response.message = f"stop cleared ({stop.reason}); {response.message}"
        self._transition_log.write()
        self._report_now = True
        return response

    def _on_hand_over(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        """True: someone else commands the hand from now on; false: this controller does again."""
        session, now, reason = self._session, self._now(), "asked for (service)"
        self._report_now = True
        if request.data:
            if session is None:
                self._standing.latch_hand_over(reason, now)
            else:
                session.hand_over(reason, now)
            response.success, response.message = True, self._what_follows("")
            return response
        # Discovery is asked for its present knowledge: a master that still lives is in it.
        response.message = self._commanders.contested(own=True) if self.is_active else ""
        if not response.message:
            problem = self._state_problem()
            response.success = (
                self._standing.clear_hand_over() if session is None else session.take_back("taken back (service)", now)
            )
            response.message = self._what_follows(problem) if response.success else "it was not handed over"
        return response

    def _state_problem(self) -> str:
        """Why the state cannot be used; empty if it can, or where nothing is asked of it."""
        session, clock = self._session, self._now()
        if session is None or not self.is_active:
            return ""
        if missing := self._stop_button.missing(self._options.e_stop_deadline_s):
            return missing
        if nobody := self._graph.nobody_listens():
            return nobody
        if self._options.lockstep:
            return session.state_problem(None, None)
        return "no time on /clock yet" if clock <= 0 else session.state_problem(self._looked, clock)

    def _what_follows(self, problem: str) -> str:
        session, loop = self._session, self._loop
        return what_follows(
            self._standing,
            session,
            active=self.is_active,
            ticking=loop is not None and loop.running,
            problem=problem,
            reset_service="" if session is None else self._options.reset_service,
        )

    def _scene_was_reset(self) -> None:
        session = self._session
        if session is not None:
            session.scene_was_reset(self._elapsed(time.monotonic()))
            if self._inputs.newest_stamp is not None:  # in lockstep: its state is here already
                self._trigger()

    # --- models -------------------------------------------------------------------------------------------------

    def _on_load_model(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        """Runs beside the loop; the answer comes after the swap."""
        session, counters = self._session, self._counters
        if session is None:
            response.message = "not configured"
            return response
        before = session.core.model.version
        try:
            model = load_beside(self._contract, self._options)
        except MbrlError as error:
            counters.models_refused += 1
            counters.last_model_refusal = response.message = str(error)
            self.get_logger().error(f"model refused, {before} stays: {error}")
            return response
        if self._session is not session:
            response.message = "the node was cleaned up meanwhile"
            return response
        session.swap(model)
        response.success, response.message = True, f"{before} -> {model.version}"
        self._report_now = True
        self.get_logger().info(f"model {response.message} ({model.ensemble.spec.precision})")
        self._tell_fallback(model)
        return response

    def _tell_fallback(self, model: VersionModel) -> None:
        if model.fallback:
            self.get_logger().warning(
                f"model {model.version} serves its fp32 file, not the 8-bit one: {model.fallback}"
            )

    # --- parameters ---------------------------------------------------------------------------------------------

    def _check_parameters(self, values: dict[str, Any]) -> None:
        options = read_options(values)
        if self._session is not None:
            options.period(self._contract.action.period)
            check_goal_options(self._contract, options)
            options.make_planner(len(self._contract.action))

    def _apply_parameters(self) -> None:
        session = self._session
        if session is None:
            return
        before, o = self._options, read_options(self._table.values())
        if o.e_stop_deadline_s != before.e_stop_deadline_s:
            self._stop_button.watch()
        self._options = o
        planner = o.make_planner(len(self._contract.action))
        session.reconfigure(planner, o.core, o.safety, o.session, self._now())

    # --- diagnostics --------------------------------------------------------------------------------------------

    def _keep_house(self) -> None:
        """Ten times a second, on the executor: log and report what the loop has no time for."""
        self._stop_button.look()
        session = self._session
        if session is not None:
            scene = self._scene
            if scene is not None:
                scene.poll()
        if self._transition_log.write():
            self._report_now = True
        if session is not None and self.is_active:
            self._give_way(session)  # also where no states come to tick on
            self._watch_stop_button(session)
            if self._options.lockstep and self._graph.holds_anew(session):  # no tick comes to say so
                self._graph.holds(session, self._lockstep_stamp())
            if self._rival:
                self.give_up(self._rival)
                session.take_back("given up", self._now())  # activation looks at the topic again
        if session is not None:
            self._graph.look(self.is_active)
            for text in self._graph.untold([*self._graph.errors(), *self._graph.warnings(self.is_active)]):
                self.get_logger().warning(text)
        now = time.monotonic()
        if self._report_now or now - self._reported >= REPORT_S:
            self._reported, self._report_now = now, False
            self._publish_report(session)

    def _publish_report(self, session: ControlSession | None) -> None:
        state = self.lifecycle_state
        if session is None:
            level, message, values = unconfigured(self._standing, self.reason)
            self._diagnostics.publish(level, message, {"lifecycle state": state, **values})
            return
        loop, planner = self._loop, self._planner
        expected = not self.is_active or session.core.safety.state in SILENT
        self._counters.transport = self._graph.warnings(not expected)
        self._counters.misled = self._graph.errors()
        refused = [*(loop.refused if loop else []), *(planner.refused if planner else []), *self._process.refused]
        refused = list(dict.fromkeys(refused))
        self._tell_refused(refused)
        expected = not self.is_active or session.core.safety.is_handed_over
        others = [] if expected else self._commanders.others(own=True)
        level, message, values = self._report.make(
            session,
            loop.statistics if loop is not None else LoopStatistics(),
            self._counters,
            self._options.thresholds,
            period=self._period,
            lockstep=self._options.lockstep,
            active=self.is_active,
            model=identity(session.core.model),
            refused=refused,
            other_commanders=others,
        )
        if self.is_active and loop is not None and not loop.running:
            level = diagnostics.ERROR
        elif not self.is_active and " failed: " in self.reason:
            stopped = self._standing.stop is not None
            level, message = diagnostics.ERROR, f"{message}; {self.reason}" if stopped else self.reason
        values = {"lifecycle state": state, "transition": self.reason, **values, **self._process.values()}
        if self._world_clock is not None:
            values["simulated time (times real time)"] = self._world_clock.time.speed
        self._diagnostics.publish(level, message, values, self._contract.file.robot)

    def _tell_refused(self, refused: list[str]) -> None:
        if refused and refused != self._told_refused:
            self.get_logger().warning(f"the system did not grant: {'; '.join(refused)}")
        self._told_refused = refused


def main(args: Sequence[str] | None = None) -> None:
    """Run the controller until SIGINT or SIGTERM."""
    sys.exit(run(ControllerNode, args))


if __name__ == "__main__":
    main()
