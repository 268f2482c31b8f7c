# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Train the next model version from the log, once; for use between sessions."""

from launch import LaunchDescription

from mbrl_controller.bringup.retraining import retrain_arguments, retraining


def generate_launch_description() -> LaunchDescription:
    """One process; its end is the end of the launch."""
    return LaunchDescription([*retrain_arguments(), retraining()])
