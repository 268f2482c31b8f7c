# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Launches the nodes of one hand: controller, logger and, in simulation, the hand."""

from __future__ import annotations

from typing import Any

from launch import Action, LaunchContext
from launch.actions import EmitEvent, LogInfo, OpaqueFunction, RegisterEventHandler, Shutdown, TimerAction
from launch.event_handlers import OnProcessExit
from launch.events import matches_action
from launch.events.process import ProcessExited, ShutdownProcess
from launch_ros.actions import LifecycleNode, Node
from launch_ros.parameter_descriptions import ParameterValue

from mbrl_controller.base.resources import PACKAGE
from mbrl_controller.bringup.arguments import HandSettings, read_hand
from mbrl_controller.bringup.first_start import FirstStart, Step
from mbrl_controller.bringup.scope import Scope

RESPAWN = {"respawn": True, "respawn_delay": 2.0}  # s
AGAIN = f"a new one is started in {RESPAWN['respawn_delay']:g} s"


def hand(sim: bool = False, **controller_parameters: Any) -> Action:
    """A hand as the launch arguments say, `sim` for a simulated one. `controller_parameters` win over the files'."""

    def launch(context: LaunchContext) -> list[Action]:
        settings = read_hand(context, ("controller", "logger", "panel", "signals", *(["sim"] if sim else [])))
        return _Hand(settings, Scope(context), sim, controller_parameters).actions()

    return OpaqueFunction(function=launch)


class _Hand:
    def __init__(self, settings: HandSettings, scope: Scope, sim: bool, controller_parameters: dict[str, Any]) -> None:
        self._settings, self._scope = settings, scope
        self._ended: set[Node] = set()  # those whose (first) process is gone
        self._is_over = False
        self._crash = ""  # of the process that led to the end
        again = RESPAWN if settings.respawn else {}
        own = {"autostart": False, "model_version": _text(settings.model), **controller_parameters}
        if settings.planner:
            own["planner.name"] = _text(settings.planner)
        self._controller = LifecycleNode(**self._described("controller", own, times=True), **again)
        self._logger = LifecycleNode(**self._described("logger", {"autostart": False}, times=True))
        clock = {} if settings.publish_clock is None else {"publish_clock": settings.publish_clock}
        self._sim = Node(**self._described("sim", clock), **again) if sim else None
        panel = [Node(**self._described("panel", {}, times=True))] if settings.panel else []
        signals = [Node(**self._described("signals", {}))] if settings.signals else []
        self._watching = [*panel, *signals]  # whose ends concern no other node
        self._nodes = [
            *([self._sim] if self._sim else []),
            *([self._logger] if settings.logged else []),
            self._controller,
        ]

    def actions(self) -> list[Action]:
        """The nodes, and what becomes of them from start to end."""
        ends = {self._controller: self._controller_ended, self._logger: self._logger_ended, self._sim: self._sim_ended}
        steps = [
            Step(self._controller, "configure"),
            *([Step(self._controller, "activate")] if self._settings.activate else []),
        ]
        if self._settings.logged:
            steps = [Step(self._logger, "configure"), Step(self._logger, "activate"), *steps]
        return [
            *(RegisterEventHandler(OnProcessExit(target_action=node, on_exit=ends[node])) for node in self._nodes),
            *self._nodes,
            *self._watching,
            FirstStart(steps, self._controller, self._ended.__contains__),
        ]

    def _controller_ended(self, event: ProcessExited, context: LaunchContext) -> list[Action] | None:
        self._ended.add(self._controller)
        if context.is_shutdown:
            return None
        what = _what(event)
        if self._settings.respawn:
            return [LogInfo(msg=f"{what}: {AGAIN}, and left unconfigured")]
        self._is_over = True
        if event.returncode:
            self._crash = self._crash or what
        if self._settings.required:
            return [LogInfo(msg=f"{what}: ending the launch"), *self._end_launch(what)]
        others = EmitEvent(event=ShutdownProcess(process_matcher=[*self._nodes, *self._watching].__contains__))
        return [LogInfo(msg=f"{what}: ending its other nodes"), others]

    def _sim_ended(self, event: ProcessExited, context: LaunchContext) -> list[Action] | None:
        if context.is_shutdown or self._is_over:
            return None
        what = _what(event)
        if self._settings.respawn:
            return [LogInfo(msg=f"{what}: {AGAIN}")]
        if event.returncode:
            self._crash = what
        first = EmitEvent(event=ShutdownProcess(process_matcher=matches_action(self._controller)))
        return [LogInfo(msg=f"{what}: ending its controller"), first]

    def _logger_ended(self, event: ProcessExited, context: LaunchContext) -> list[Action] | None:
        self._ended.add(self._logger)
        if context.is_shutdown or self._is_over:
            return None
        what = _what(event)
        later = TimerAction(period=RESPAWN["respawn_delay"], actions=[OpaqueFunction(function=self._replace_logger)])
        return [LogInfo(msg=f"{what}: control goes on, {AGAIN}"), later]

    def _replace_logger(self, context: LaunchContext) -> list[Action] | None:
        """Start a logger that configures and activates itself.

        Requests for a transition would go to the one that crashed: it is not known to be gone before its lease ends.
        """
        if context.is_shutdown or self._is_over:
            return None
        again = LifecycleNode(**self._described("logger", {"autostart": True}, times=True), **RESPAWN)
        self._nodes.append(again)
        return [self._scope.around(again)]

    def _end_launch(self, reason: str) -> list[Action]:
        """Shut down; with status 1 after a crash, which in launch nothing but an exception gives."""
        if not self._crash:
            return [Shutdown(reason=reason)]

        def fail(context: LaunchContext) -> None:
            raise RuntimeError(self._crash)

        # As a separate event, so that all other handlers of the process's end are heard first.
        return [TimerAction(period=0.0, actions=[OpaqueFunction(function=fail)])]

    def _described(self, name: str, parameters: dict[str, Any], times: bool = False) -> dict[str, Any]:
        """Arguments of a node's action. Of its parameter files the last wins, and `parameters` over all files."""
        given = self._settings
        if times and given.use_sim_time is not None:
            parameters = {"use_sim_time": given.use_sim_time, **parameters}
        files = [given.parameter_files.get(name), given.params_file]
        return {
            "package": PACKAGE,
            "executable": name,
            "name": name,
            "namespace": given.namespace,
            "output": "screen",
            # Not by SetRemap, which reaches whatever is launched afterwards.
            "remappings": list(given.remappings),
            "ros_arguments": ["--log-level", given.log_level],
            "parameters": [
                *(str(file) for file in files if file),
                {"contract": _text(str(given.contract)), **parameters},
            ],
        }


def _what(event: ProcessExited) -> str:
    return f"{event.action.node_name} ended with {event.returncode}"


def _text(value: str) -> ParameterValue:
    """A string parameter, even where it looks like a number."""
    return ParameterValue(value, value_type=str)
