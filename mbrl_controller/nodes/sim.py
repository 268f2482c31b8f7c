# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The simulated hand behind the topics of the real one, in real time or in lockstep with the controller."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from rclpy.clock import Clock, ClockType
from rosgraph_msgs.msg import Clock as ClockMessage
from std_msgs.msg import String
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory

from mbrl_controller.base.units import NO_UNIT
from mbrl_controller.contract.contract import load_contract
from mbrl_controller.models.origin import simulated_world
from mbrl_controller.nodes import qos
from mbrl_controller.nodes.controller_options import find_contract
from mbrl_controller.nodes.diagnostics import ERROR, OK, WARN, DiagnosticsPublisher
from mbrl_controller.nodes.lifecycle import ManagedNode, run
from mbrl_controller.nodes.messages import message_class
from mbrl_controller.nodes.parameter_spec import Spec, specs_of
from mbrl_controller.nodes.parameters import Parameters
from mbrl_controller.nodes.sim_runner import Runner
from mbrl_controller.nodes.sim_runners import RESET_WAIT_S, LockstepRunner, RealTimeRunner
from mbrl_controller.nodes.world_topic import TOPIC as WORLD_TOPIC
from mbrl_controller.simulation.sim_options import SimOptions
from mbrl_controller.simulation.sim_presets import make_sim_options, preset_names

GOAL_TOPIC = "controller/goal"  # heard where there is a viewer to show it
SPECS = [
    Spec("autostart", True, "configure and activate at the start", read_only=True),
    Spec("contract", "", "robot contract: a path, or a file of the package's config/; empty: adroit_baoding.yaml"),
    Spec("seed", 0, "seed of the first start; each reset takes the next one", unit=NO_UNIT, lower=0),
    Spec("preset", "nominal", "sensors, delays and physics", choices=tuple(preset_names())),
    Spec("lockstep", False, "one state per control period; each waits for the command that answers the last"),
    Spec("state_rate", 100.0, "rate of the states in real time", unit="Hz", lower=1.0, upper=1000.0),
    Spec("publish_clock", True, "publish /clock; false if another simulator does: one graph has one clock"),
    Spec("viewer_port", 0, "local port of a web view of the scene; 0: none", unit=NO_UNIT,
         lower=0, upper=65535),
    *specs_of(SimOptions, "options."),
]  # fmt: skip


class Sim(ManagedNode):
    """Publishes the contract's state topics and, unless told not to, /clock; takes its command topics."""

    def __init__(self) -> None:
        super().__init__("sim")
        self._settings = Parameters(self, SPECS, lambda values: None, lambda: None)
        self.failure = ""
        self._handles: list[Callable[[], object]] = []
        self._runner: Runner | None = None

    def setup(self) -> None:
        """Read the parameters, load the world, make the topics."""
        values = self._settings.values()
        contract = load_contract(find_contract(values["contract"]))
        runner_type = LockstepRunner if values["lockstep"] else RealTimeRunner
        given = {
            name.removeprefix("options."): values[name] for name in self._settings.given if name.startswith("options.")
        }
        options = make_sim_options(values["preset"], given)
        viewer = None
        lockstep, publishers = values["lockstep"], {}
        for source in contract.sources:
            if source.topic not in publishers:  # several objects may share one
                profile = qos.lockstep_sensor(contract, source) if lockstep else qos.sensor(source)
                publishers[source.topic] = self.create_publisher(message_class(source.type), source.topic, profile)
        reliable = qos.SENSOR_LOCKSTEP if lockstep else qos.SENSOR
        clock = self.create_publisher(ClockMessage, "/clock", reliable) if values["publish_clock"] else None
        for publisher in (*publishers.values(), *filter(None, [clock])):
            self._handles.append(lambda p=publisher: self.destroy_publisher(p))  # type: ignore[misc]
        runner = self._runner = runner_type(contract, options, values, publishers, clock, self._failed)
        if values["viewer_port"]:
            from mbrl_controller.simulation.viewer import Viewer

            viewer = runner.viewer = Viewer(runner.simulation, values["viewer_port"])
            self._handles.append(viewer.close)
            goal = self.create_subscription(JointTrajectory, GOAL_TOPIC, runner.show_goal, qos.RECORD)
            self._handles.append(functools.partial(self.destroy_subscription, goal))
            self.get_logger().info(f"watch at {viewer.url}")
        for to in contract.destinations:
            receive = functools.partial(runner.receive, to.topic)
            heard = self.create_subscription(message_class(to.type), to.topic, receive, qos.COMMAND)
            self._handles.append(functools.partial(self.destroy_subscription, heard))
        told = self.create_publisher(String, WORLD_TOPIC, qos.LATCHED)
        told.publish(String(data=simulated_world(runner.simulation.scene.digest)))
        service = self.create_service(Trigger, "~/reset", self._reset)
        self._diagnostics = DiagnosticsPublisher(self, "simulation")
        timer = self.create_timer(1.0, self._report, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self._handles += [
            lambda: self.destroy_publisher(told),
            lambda: self.destroy_service(service),
            lambda: self.destroy_timer(timer),
        ]

    def start(self) -> None:
        """Let time pass."""
        assert self._runner is not None
        self._runner.start()

    def stop(self) -> None:
        """Stop time; the hand stays where it is."""
        if self._runner is not None:
            self._runner.stop()

    def halt(self) -> None:
        """Let go of who waits for a reset: it would hold up the end."""
        if self._runner is not None:
            self._runner.let_go()

    def teardown(self) -> None:
        """Leave all topics."""
        self.stop()
        while self._handles:
            self._handles.pop()()
        self._runner = None

    def _failed(self, error: Exception) -> None:
        self.failure = f"simulation ended: {type(error).__name__}: {error}"
        self.get_logger().error(self.failure)

    def _reset(self, request: Any, response: Any) -> Any:
        runner = self._runner
        if runner is None or not self.is_active:
            response.success, response.message = False, "the simulation is not active"
        else:
            response.success = runner.request_reset(RESET_WAIT_S)
            response.message = f"new start from seed {runner.seed}" if response.success else "the simulation is stuck"
        return response

    def _report(self) -> None:
        runner = self._runner
        if runner is None:
            return
        values = runner.report()
        level, text = OK, "running" if self.is_active else "not active"
        if self.failure:
            level, text = ERROR, self.failure
        elif self.is_active and runner.silent_s() > 3 * runner.contract.action.period:
            level = WARN
            text = "waiting for a command" if runner.lockstep else "no commands: the last target is held"
        elif runner.behind_s > 0:
            level, text = WARN, f"{runner.behind_s:.1f} s behind real time: the machine is too slow"
        self._diagnostics.publish(level, text, values, runner.contract.file.robot)


def main() -> int:
    """Entry point of `sim`."""
    made: list[Sim] = []

    def make() -> Sim:
        made.append(Sim())
        return made[0]

    code = run(make, until=lambda node: bool(made[0].failure))
    return 1 if made and made[0].failure else code


if __name__ == "__main__":
    raise SystemExit(main())
