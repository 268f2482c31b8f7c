"""A simulated hand with the controller and the logger of the real one."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument

from mbrl_controller import bringup


def generate_launch_description() -> LaunchDescription:
    """The nodes, and what drives them from start to shutdown."""
    sim, controller, logger = bringup.sim_node(), bringup.controller_node(), bringup.logger_node()
    return LaunchDescription(
        [
            *bringup.common_arguments(),
            DeclareLaunchArgument(
                "sim_params",
                default_value=bringup.shared("config", "sim.yaml"),
                description="parameters of the sim",
            ),
            *bringup.drive(controller, logger),
            bringup.stop_with_sim(sim, controller),
            sim,
            logger,
            controller,
        ]
    )
