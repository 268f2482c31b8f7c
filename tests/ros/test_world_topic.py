# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A logger takes a hand for real unless a simulated one says what it is, or nobody can know."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy")

from rclpy.parameter import Parameter
from std_msgs.msg import String

from mbrl_controller.models.origin import REAL
from mbrl_controller.nodes import qos
from mbrl_controller.nodes.world_topic import TOPIC, WorldListener

pytestmark = pytest.mark.ros


def test_a_hand_is_real_until_a_simulated_one_speaks_and_again_when_it_left(ros):
    listener = WorldListener(ros.node)
    assert listener.world == REAL
    sim = ros.node.create_publisher(String, TOPIC, qos.LATCHED)
    ros.wait(lambda: ros.node.count_publishers(TOPIC), "the publisher")
    assert listener.world == ""  # it is there, but has not said what it is
    sim.publish(String(data="sim:\x1b0123\n"))  # what reaches a terminal later has no control characters
    ros.wait(lambda: listener.world == "sim:0123", "its word")
    ros.node.destroy_publisher(sim)
    ros.wait(lambda: listener.world == REAL, "its end")
    listener.close()


def test_what_is_given_counts_and_another_simulators_clock_leaves_it_open(ros):
    assert WorldListener(ros.node, "gazebo").world == "gazebo"
    ros.node.set_parameters([Parameter("use_sim_time", value=True)])
    assert WorldListener(ros.node).world == ""
