"""Train the next model version from the log, once; for use between sessions."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, ExecuteProcess
from launch.substitutions import LaunchConfiguration
from launch_ros.substitutions import ExecutableInPackage


def generate_launch_description() -> LaunchDescription:
    """One process; its end is the end of the launch."""
    return LaunchDescription(
        [
            DeclareLaunchArgument("task", default_value="baoding", description="task to train a model for"),
            ExecuteProcess(
                cmd=[ExecutableInPackage(executable="retrain", package="mbrl_controller"), LaunchConfiguration("task")],
                name="retrain",
                output="screen",
            ),
        ]
    )
