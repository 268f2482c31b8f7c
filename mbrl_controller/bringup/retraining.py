# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The retrain job in a launch."""

from __future__ import annotations

from launch import Action, LaunchContext
from launch.actions import DeclareLaunchArgument, ExecuteProcess, OpaqueFunction
from launch_ros.substitutions import ExecutableInPackage

from mbrl_controller.base.resources import PACKAGE
from mbrl_controller.bringup.arguments import SWITCH, contract_file, text
from mbrl_controller.bringup.parameter_files import existing_path


def retrain_arguments() -> list[Action]:
    """What `mbrl retrain` is told."""
    return [
        DeclareLaunchArgument("task", default_value="baoding", description="task to train a model for"),
        DeclareLaunchArgument(
            "contract",
            default_value="",
            description="robot contract, a path or a file of config/; empty: the task's",
        ),
        DeclareLaunchArgument(
            "episodes",
            default_value="",
            description="files or folders to learn from, separated by commas; empty: the whole log",
        ),
        DeclareLaunchArgument(
            "warm",
            default_value="false",
            choices=SWITCH,
            description="start from the weights of this robot's last version",
        ),
        DeclareLaunchArgument("notes", default_value="", description="kept on the model's card"),
    ]


def retraining() -> Action:
    """One process; its end is the end of the launch, where nothing else runs in it."""
    return OpaqueFunction(function=_start)


def _start(context: LaunchContext) -> list[Action]:
    contract, notes = text(context, "contract"), text(context, "notes")
    episodes = [part.strip() for part in text(context, "episodes").split(",")]
    options = [
        *([f"--contract={contract_file(contract)}"] if contract else []),
        *(f"--episodes={existing_path('episodes', part)}" for part in episodes if part),
        *(["--warm"] if text(context, "warm").lower() == "true" else []),
        *([f"--notes={notes}"] if notes else []),
    ]
    command = [ExecutableInPackage(executable="retrain", package=PACKAGE), text(context, "task"), *options]
    return [ExecuteProcess(cmd=command, name="retrain", output="screen")]
