# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Controller and logger for a real hand, whose driver publishes the contract's state topics and takes its commands."""

from launch import LaunchDescription

from mbrl_controller.bringup.arguments import hand_arguments
from mbrl_controller.bringup.hand import hand


def generate_launch_description() -> LaunchDescription:
    """The nodes, and what becomes of them from start to end."""
    return LaunchDescription([*hand_arguments(), hand()])
