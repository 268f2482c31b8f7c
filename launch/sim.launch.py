"""A simulated hand with the controller and the logger of the real one."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument

from mbrl_controller import bringup


def generate_launch_description() -> LaunchDescription:
    """The nodes, and what drives them from start to shutdown."""
    sim, logger = bringup.sim_node(), bringup.logger_node()
    # After a drop the sim puts the object back, which on a robot is a person's job.
    controller = bringup.controller_node(auto_reset=True, reset_service="sim/reset")
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
