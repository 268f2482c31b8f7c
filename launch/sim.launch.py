# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A simulated hand with the controller and the logger of the real one."""

from launch import LaunchDescription

from mbrl_controller.bringup.arguments import hand_arguments, sim_arguments
from mbrl_controller.bringup.hand import hand


def generate_launch_description() -> LaunchDescription:
    """The nodes, and what becomes of them from start to end."""
    # After a drop the sim puts the object back, which on a robot is a person's job.
    simulated = hand(sim=True, auto_reset=True, reset_service="sim/reset")
    return LaunchDescription([*hand_arguments(), *sim_arguments(), simulated])
