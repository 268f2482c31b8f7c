# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The simulated hand with its controller and logger: mbrl_controller's launch file with this package's contract."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.substitutions import FindPackageShare

from leap_cube import share_dir

CONTRACT = share_dir() / "config" / "leap_cube.yaml"


def generate_launch_description() -> LaunchDescription:
    """The arguments of the included file can be given here too, such as model:=v0001 or planner.name:=random."""
    file = PathJoinSubstitution([FindPackageShare("mbrl_controller"), "launch", "sim.launch.py"])
    return LaunchDescription(
        [
            DeclareLaunchArgument("contract", default_value=str(CONTRACT), description="robot contract"),
            IncludeLaunchDescription(
                PythonLaunchDescriptionSource(file),
                launch_arguments={"contract": LaunchConfiguration("contract")}.items(),
            ),
        ]
    )
