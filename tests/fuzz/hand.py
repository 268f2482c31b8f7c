# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A hand of two joints with two balls, one told of by odometry and one by poses, and a model of it; a hand whose
drivers take commands on several topics; and one with states of each kind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from mbrl_controller.tasks.catalog import TASKS

from ..simulation.probe import Probe

JOINTS = ("J0", "J1")
PERIOD = 0.05  # s
OBJECTS = """
format_version: 1
robot: small
task: baoding
task_options: {wrist_joint: J0, center: [0.0, 0.01], period: 6.0}
control_period_s: 0.05
state:
  - {topic: joint_states, type: sensor_msgs/msg/JointState, joints: [J0, J1],
     valid: {position: {lower: -2.0, upper: 2.0}}}
  - {topic: ball_a/odometry, type: nav_msgs/msg/Odometry, object: ball_a, frame: palm, max_age_s: 0.1}
  - {topic: ball_b/pose, type: geometry_msgs/msg/PoseStamped, object: ball_b, frame: palm,
     velocity_filter: {time_constant_s: 0.02}}
command:
  topic: hand/joint_trajectory
  type: trajectory_msgs/msg/JointTrajectory
  safe: neutral
  joints:
    - {name: J0, lower: -1.0, upper: 1.0, neutral: 0.0, max_rate: 3.0}
    - {name: J1, lower: -0.5, upper: 1.0, neutral: 0.1, max_rate: 2.0}
"""

TOPICS = """
format_version: 2
robot: small
task: reach
control_period_s: 0.05
state:
  - {topic: joint_states, type: sensor_msgs/msg/JointState, joints: [A, B, C, D]}
command:
  topics:
    - {topic: fingers, type: sensor_msgs/msg/JointState, driver: fingers, joints: [B, A]}
    - {topic: thumb, type: sensor_msgs/msg/JointState, by: index, joints: [C]}
    - {topic: wrist, type: trajectory_msgs/msg/JointTrajectory, send: {plan: 3}, joints: [D]}
  as: {prefix: left_, scale: 57.3}
  raw: {lower: -200, upper: 255}
  joints:
    - {name: A, lower: -1.0, upper: 1.0, neutral: 0.0, max_rate: 3.0, as: {sign: -1, offset: 10.0}}
    - {name: B, lower: -0.5, upper: 1.0, neutral: 0.1, max_rate: 2.0, as: {name: b}}
    - {name: C, lower: -1.0, upper: 1.0, neutral: 0.1, max_rate: 2.0, as: {scale: 127.0, offset: 127.5, round: true}}
    - {name: D, lower: -0.5, upper: 0.5, neutral: 0.1, max_rate: 2.0}
"""

STATES = """
format_version: 2
robot: small
scene: world/scene.yaml
task: probe
task_options:
  entries: [A.position, B.position, A.velocity, B.velocity, A.effort, B.effort, C.position, D.position,
    cube.position.x, cube.position.y, cube.position.z, cube.velocity.x, cube.velocity.y, cube.velocity.z,
    cube.orientation.x_axis.x, cube.orientation.x_axis.y, cube.orientation.x_axis.z,
    cube.orientation.y_axis.x, cube.orientation.y_axis.y, cube.orientation.y_axis.z,
    cube.angular_velocity.x, cube.angular_velocity.y, cube.angular_velocity.z,
    pen.orientation.x_axis.x, pen.orientation.x_axis.y, pen.orientation.x_axis.z,
    pen.orientation.y_axis.x, pen.orientation.y_axis.y, pen.orientation.y_axis.z,
    pen.angular_velocity.x, pen.angular_velocity.y, pen.angular_velocity.z,
    cup.position.x, cup.position.y, cup.position.z, cup.velocity.x, cup.velocity.y, cup.velocity.z,
    tip_1.value, tip_2.value]
control_period_s: 0.05
state:
  - {topic: fingers, type: sensor_msgs/msg/JointState, fields: [position, velocity, effort], as: command,
     joints: [A, {name: B, as: {sum: [b1, b2]}}], raw: {lower: -300.0, upper: 300.0}}
  - {topic: rest, type: sensor_msgs/msg/JointState, joints: [C, D], publishers: parts, ignore_unknown: true}
  - {topic: cube/odom, type: nav_msgs/msg/Odometry, object: cube, frame: palm, transform: tf,
     fields: [position, velocity, orientation, angular_velocity], valid: {angular_velocity: {lower: -50, upper: 50}}}
  - {topic: pen/pose, type: geometry_msgs/msg/PoseStamped, object: pen, frame: palm, rate_hz: 60.0,
     transform: {frame_id: camera, translation: [0.1, 0, 0.5], rotation: [0, 1, 0, 0]},
     fields: [orientation, angular_velocity], velocity_filter: {time_constant_s: 0.02}}
  - {topic: /tf, type: tf2_msgs/msg/TFMessage, object: cup, child_frame: cup_link, frame: palm}
  - {topic: tips, type: std_msgs/msg/Float32MultiArray, entries: {tip_1.value: 0, tip_2.value: 4}, stamp: receipt}
command:
  topic: targets
  type: sensor_msgs/msg/JointState
  as: {prefix: left_, scale: 57.3}
  joints:
    - {name: A, lower: -1.0, upper: 1.0, neutral: 0.0, max_rate: 3.0, as: {sign: -1, offset: 10.0}}
    - {name: B, lower: -0.5, upper: 1.0, neutral: 0.1, max_rate: 2.0}
    - {name: C, lower: -1.0, upper: 1.0, neutral: 0.1, max_rate: 2.0}
    - {name: D, lower: -0.5, upper: 0.5, neutral: 0.1, max_rate: 2.0}
"""  # each kind of source of format 2, for the task of `probed`


@contextmanager
def probed() -> Iterator[None]:
    """The task `probe` is installed, for these tests alone."""
    TASKS.add("probe", Probe)
    try:
        yield
    finally:
        TASKS.forget()


class StillObjects:
    """Joints reach their targets at once, and nothing else moves."""

    version = "still"
    disagreement_limit: float | None = None
    delta_scale = np.ones(14)

    def rollout(self, state: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """States [1, N, H, S]."""
        states = np.tile(np.asarray(state, dtype=float), (1, *actions.shape[:2], 1))
        states[..., : actions.shape[-1]] = actions
        return states
