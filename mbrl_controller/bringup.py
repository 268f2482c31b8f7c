"""Actions that the launch files share: the lifecycle nodes, the order they start in and what a crash leads to.

Start: the logger is configured and activated, then the controller, so that the first transition is logged.
Crash of the logger: a new one is started and control goes on. End of the controller: no more commands, which the hand's
own watchdog turns into a hold; the rest is shut down. End of the sim: the controller is stopped first, then the rest.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

from launch import Action, LaunchContext
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    LogInfo,
    OpaqueFunction,
    RegisterEventHandler,
    Shutdown,
    TimerAction,
)
from launch.conditions import IfCondition, UnlessCondition
from launch.event_handlers import OnProcessExit, OnProcessStart
from launch.events import matches_action
from launch.events.process import ProcessExited, SignalProcess
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import LifecycleNode, Node, SetRemap
from launch_ros.event_handlers import OnStateTransition
from launch_ros.events.lifecycle import ChangeState
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare
from lifecycle_msgs.msg import Transition

PACKAGE = "mbrl_controller"
RESPAWN_DELAY_S = 2.0


def shared(*path: str) -> PathJoinSubstitution:
    """A file of this package, wherever it is installed."""
    return PathJoinSubstitution([FindPackageShare(PACKAGE), *path])


def common_arguments() -> list[Action]:
    """Arguments of every launch file that runs a controller."""
    return [
        DeclareLaunchArgument(
            "contract",
            default_value=shared("config", "adroit_baoding.yaml"),
            description="robot contract: topics, joints, limits and task of the hand",
        ),
        DeclareLaunchArgument(
            "model", default_value="current", description="model version to serve; current: the registry's choice"
        ),
        DeclareLaunchArgument("namespace", default_value="", description="namespace of all nodes"),
        DeclareLaunchArgument(
            "remap",
            default_value="",
            description="topics to rename, as from=to,from=to (for example joint_states=/hand/joint_states)",
        ),
        DeclareLaunchArgument(
            "log", default_value="true", choices=["true", "false"], description="keep every transition (logger node)"
        ),
        DeclareLaunchArgument(
            "activate",
            default_value="true",
            choices=["true", "false"],
            description="activate the controller once configured; false leaves that to `ros2 lifecycle set`",
        ),
        DeclareLaunchArgument(
            "controller_params",
            default_value=shared("config", "controller.yaml"),
            description="parameters of the controller",
        ),
        DeclareLaunchArgument(
            "logger_params", default_value=shared("config", "logger.yaml"), description="parameters of the logger"
        ),
        OpaqueFunction(function=_set_remaps),
    ]


def controller_node(**parameters: Any) -> LifecycleNode:
    """The controller, left unconfigured; `drive` takes it through its states. `parameters` win over the file's."""
    return _lifecycle_node("controller", {"model_version": _text("model"), **parameters})


def logger_node() -> LifecycleNode:
    """The logger, left unconfigured; `drive` takes it through its states."""
    return _lifecycle_node("logger", {}, condition=IfCondition(LaunchConfiguration("log")))


def sim_node() -> Node:
    """The simulated hand."""
    return Node(
        package=PACKAGE,
        executable="sim",
        name="sim",
        namespace=LaunchConfiguration("namespace"),
        output="screen",
        parameters=[LaunchConfiguration("sim_params"), {"contract": _text("contract")}],
    )


def drive(controller: LifecycleNode, logger: LifecycleNode) -> list[Action]:
    """Handlers that take the logger and then the controller to active, and shut down when the controller ends."""
    logged = IfCondition(LaunchConfiguration("log"))
    return [
        RegisterEventHandler(
            OnProcessStart(target_action=logger, on_start=[_change(logger, Transition.TRANSITION_CONFIGURE)]),
            condition=logged,
        ),
        RegisterEventHandler(
            OnStateTransition(
                target_lifecycle_node=logger,
                start_state="configuring",
                goal_state="inactive",
                entities=[_change(logger, Transition.TRANSITION_ACTIVATE)],
                handle_once=True,  # one started again activates itself
            ),
            condition=logged,
        ),
        RegisterEventHandler(
            OnStateTransition(
                target_lifecycle_node=logger,
                goal_state="active",
                entities=[_change(controller, Transition.TRANSITION_CONFIGURE)],
                handle_once=True,
            ),
            condition=logged,
        ),
        RegisterEventHandler(
            OnProcessStart(target_action=controller, on_start=[_change(controller, Transition.TRANSITION_CONFIGURE)]),
            condition=UnlessCondition(LaunchConfiguration("log")),
        ),
        RegisterEventHandler(
            OnStateTransition(
                target_lifecycle_node=controller,
                start_state="configuring",
                goal_state="inactive",
                entities=[_change(controller, Transition.TRANSITION_ACTIVATE)],
            ),
            condition=IfCondition(LaunchConfiguration("activate")),
        ),
        *[_report_refusal(node, name) for node, name in ((logger, "logger"), (controller, "controller"))],
        RegisterEventHandler(OnProcessExit(target_action=controller, on_exit=_on_exit("controller", Shutdown))),
        RegisterEventHandler(OnProcessExit(target_action=logger, on_exit=_replace_logger)),
    ]


def stop_with_sim(sim: Node, controller: LifecycleNode) -> Action:
    """Handler that stops the controller when the sim ends; the controller's own end then stops the rest."""

    def stop(reason: str) -> Action:
        return EmitEvent(event=SignalProcess(signal_number=signal.SIGINT, process_matcher=matches_action(controller)))

    return RegisterEventHandler(OnProcessExit(target_action=sim, on_exit=_on_exit("sim", stop)))


def _replace_logger(event: ProcessExited, context: LaunchContext) -> list[Action] | None:
    """Start a logger that configures and activates itself.

    Requests for a transition would go to the one that crashed: it is not known to be gone before its lease ends.
    """
    if context.is_shutdown:
        return None
    again = _lifecycle_node("logger", {"autostart": True}, respawn=True, respawn_delay=RESPAWN_DELAY_S)
    text = f"logger ended with {event.returncode}: control goes on, a new one is started"
    return [LogInfo(msg=text), TimerAction(period=RESPAWN_DELAY_S, actions=[again])]


def _lifecycle_node(name: str, extra: dict[str, Any], **kwargs: Any) -> LifecycleNode:
    return LifecycleNode(
        package=PACKAGE,
        executable=name,
        name=name,
        namespace=LaunchConfiguration("namespace"),
        output="screen",
        parameters=[
            LaunchConfiguration(f"{name}_params"),
            {"contract": _text("contract"), "autostart": False, **extra},
        ],
        **kwargs,
    )


def _text(argument: str) -> ParameterValue:
    """A launch argument as a string parameter, even where it looks like a number."""
    return ParameterValue(LaunchConfiguration(argument), value_type=str)


def _change(node: LifecycleNode, transition: int) -> EmitEvent:
    return EmitEvent(event=ChangeState(lifecycle_node_matcher=matches_action(node), transition_id=transition))


def _report_refusal(node: LifecycleNode, name: str) -> Action:
    text = f"{name} refused to be configured, its log says why. Then: ros2 lifecycle set {name} configure"
    return RegisterEventHandler(
        OnStateTransition(
            target_lifecycle_node=node,
            start_state="configuring",
            goal_state="unconfigured",
            entities=[LogInfo(msg=text)],
        )
    )


def _on_exit(name: str, then: Callable[..., Action]) -> Callable[[ProcessExited, LaunchContext], list[Action] | None]:
    """Handler of a process's end; while everything is being shut down an end is no news."""

    def handle(event: ProcessExited, context: LaunchContext) -> list[Action] | None:
        if context.is_shutdown:
            return None
        reason = f"{name} ended with {event.returncode}"
        return [LogInfo(msg=f"{reason}: stopping the rest"), then(reason=reason)]

    return handle


def _set_remaps(context: LaunchContext) -> list[Action]:
    text = LaunchConfiguration("remap").perform(context).strip()
    actions: list[Action] = []
    for pair in filter(None, (part.strip() for part in text.split(","))):
        source, equals, target = pair.partition("=")
        if not (source and equals and target):
            raise ValueError(f"remap: {pair!r} is not of the form from=to")
        actions.append(SetRemap(src=source, dst=target))
    return actions
