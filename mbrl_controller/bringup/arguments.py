# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Launch arguments and their checked values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from launch import Action, LaunchContext
from launch.actions import DeclareLaunchArgument
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.substitutions import FindPackageShare
from launch_ros.utilities import make_namespace_absolute, prefix_namespace

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.base.resources import PACKAGE
from mbrl_controller.base.shares import config_file
from mbrl_controller.bringup.parameter_files import check_concerns, existing_path, parameter_file

SWITCH = ["true", "false", "True", "False"]  # Python's spelling too: it is what other launch files hand on
LOG_LEVELS = ("debug", "info", "warn", "error", "fatal")


def shared(*path: str) -> PathJoinSubstitution:
    """A file in this package's share folder."""
    return PathJoinSubstitution([FindPackageShare(PACKAGE), *path])


def hand_arguments() -> list[Action]:
    """Arguments of every launch file that runs a controller."""
    return [
        DeclareLaunchArgument(
            "contract",
            default_value=shared("config", "adroit_baoding.yaml"),
            description="robot contract: topics, joints, limits and task of the hand; a path, or a file of config/",
        ),
        DeclareLaunchArgument(
            "model", default_value="current", description="model version to serve; current: the registry's choice"
        ),
        DeclareLaunchArgument(
            "planner.name",
            default_value="",
            description="planning algorithm; random: moves the hand at random, needs no model; empty: as its file says",
        ),
        DeclareLaunchArgument("namespace", default_value="", description="namespace of all nodes"),
        DeclareLaunchArgument(
            "remap",
            default_value="",
            description="topics to rename, as from=to,from=to (for example joint_states=/hand/joint_states)",
        ),
        DeclareLaunchArgument(
            "use_sim_time",
            default_value="",
            choices=["", *SWITCH],
            description="the controller and the logger take their time from /clock; empty: as their files say",
        ),
        DeclareLaunchArgument("log_level", default_value="info", description=f"of all nodes: {', '.join(LOG_LEVELS)}"),
        DeclareLaunchArgument(
            "log", default_value="true", choices=SWITCH, description="keep every transition (logger node)"
        ),
        DeclareLaunchArgument(
            "panel",
            default_value="false",
            choices=SWITCH,
            description="serve a page that shows and steers (panel node)",
        ),
        DeclareLaunchArgument(
            "panel_params", default_value=shared("config", "panel.yaml"), description="parameters of the panel"
        ),
        DeclareLaunchArgument(
            "signals",
            default_value="false",
            choices=SWITCH,
            description="publish numbers by name and markers for RViz, Foxglove, PlotJuggler (signals node)",
        ),
        DeclareLaunchArgument(
            "signals_params",
            default_value=shared("config", "signals.yaml"),
            description="parameters of the signals node",
        ),
        DeclareLaunchArgument(
            "activate",
            default_value="true",
            choices=SWITCH,
            description="activate the controller once configured; false leaves that to `ros2 lifecycle set`",
        ),
        DeclareLaunchArgument(
            "respawn",
            default_value="false",
            choices=SWITCH,
            description="start a controller (or sim) that ended again; the controller is left unconfigured then",
        ),
        DeclareLaunchArgument(
            "required",
            default_value="false",
            choices=SWITCH,
            description="the end of the controller (or sim) ends the whole launch, with status 1 after a crash",
        ),
        DeclareLaunchArgument(
            "params_file",
            default_value="",
            description="one file with parameters of all nodes; wins over controller_params and the like",
        ),
        DeclareLaunchArgument(
            "controller_params",
            default_value=shared("config", "controller.yaml"),
            description="parameters of the controller",
        ),
        DeclareLaunchArgument(
            "logger_params", default_value=shared("config", "logger.yaml"), description="parameters of the logger"
        ),
    ]


def sim_arguments() -> list[Action]:
    """Further arguments of launch files with a simulated hand."""
    return [
        DeclareLaunchArgument(
            "sim_params", default_value=shared("config", "sim.yaml"), description="parameters of the sim"
        ),
        DeclareLaunchArgument(
            "publish_clock",
            default_value="",
            choices=["", *SWITCH],
            description="the sim publishes /clock; false for all but one sim; empty: as its file says",
        ),
    ]


@dataclass(frozen=True)
class HandSettings:
    """Values of a hand's arguments. None: not given."""

    contract: Path
    model: str
    planner: str  # empty: as its file says
    namespace: str  # in full, with what groups around pushed
    remappings: tuple[tuple[str, str], ...]
    use_sim_time: bool | None
    publish_clock: bool | None
    log_level: str
    logged: bool
    panel: bool
    signals: bool
    activate: bool
    respawn: bool
    required: bool
    parameter_files: dict[str, Path]  # node -> its own
    params_file: Path | None  # all nodes'


def read_hand(context: LaunchContext, nodes: Sequence[str]) -> HandSettings:
    """The arguments' values in `context`; raises MbrlError naming the argument at fault."""
    logged, panel, signals, respawn, required = (
        _switch(context, name) is True for name in ("log", "panel", "signals", "respawn", "required")
    )
    skipped = {name for name, wanted in (("logger", logged), ("panel", panel), ("signals", signals)) if not wanted}
    if respawn and required:
        raise MbrlError("launch arguments respawn and required: what is started again cannot end the launch; choose")
    level = text(context, "log_level")
    if level.lower() not in LOG_LEVELS:
        raise MbrlError(f"launch argument log_level: {level!r} is not one of {', '.join(LOG_LEVELS)}")
    common = text(context, "params_file")
    namespace = make_namespace_absolute(
        prefix_namespace(context.launch_configurations.get("ros_namespace"), text(context, "namespace"))
    )
    files = {}
    for node in nodes:
        if node not in skipped:
            files[node] = parameter_file(f"{node}_params", text(context, f"{node}_params"))
            check_concerns(f"{node}_params", files[node], f"{namespace.rstrip('/')}/{node}")
    return HandSettings(
        contract=contract_file(text(context, "contract")),
        model=text(context, "model"),
        planner=text(context, "planner.name"),
        namespace=namespace,
        remappings=remappings(text(context, "remap")),
        use_sim_time=_switch(context, "use_sim_time"),
        publish_clock=_switch(context, "publish_clock") if "sim" in nodes else None,
        log_level=level,
        logged=logged,
        panel=panel,
        signals=signals,
        activate=_switch(context, "activate") is True,
        respawn=respawn,
        required=required,
        parameter_files=files,
        params_file=parameter_file("params_file", common) if common else None,
    )


def text(context: LaunchContext, argument: str) -> str:
    """A launch argument's value."""
    return str(LaunchConfiguration(argument).perform(context)).strip()


def contract_file(given: str) -> Path:
    """The contract's file; raises MbrlError if there is none."""
    try:
        path = config_file(given or "adroit_baoding.yaml")
    except MbrlError as error:
        raise MbrlError(f"launch argument contract: {error}") from error
    return existing_path("contract", str(path))


def remappings(given: str) -> tuple[tuple[str, str], ...]:
    """Pairs (from, to) in from=to,from=to (or ROS's own from:=to); raises MbrlError where a part is none."""
    pairs = []
    for part in filter(None, (part.strip() for part in given.split(","))):
        source, equals, target = part.replace(":=", "=", 1).partition("=")
        if not (source and equals and target):
            raise MbrlError(f"launch argument remap: {part!r} is not of the form from=to")
        pairs.append((source, target))
    return tuple(pairs)


def _switch(context: LaunchContext, argument: str) -> bool | None:
    given = text(context, argument).lower()
    return None if not given else given == "true"
