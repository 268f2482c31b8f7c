"""Controller and logger for a real hand, whose driver publishes the contract's state topics and takes its commands."""

from launch import LaunchDescription

from mbrl_controller import bringup


def generate_launch_description() -> LaunchDescription:
    """The nodes, and what drives them from start to shutdown."""
    controller, logger = bringup.controller_node(), bringup.logger_node()
    return LaunchDescription(
        [*bringup.common_arguments(), *bringup.drive(controller, logger), logger, controller],
    )
