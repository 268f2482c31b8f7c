# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Numbers by name and markers, for viewers: made while somebody looks, and only then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("mujoco")

from geometry_msgs.msg import Point
from nav_msgs.msg import Odometry
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64, Float64MultiArray
from trajectory_msgs.msg import JointTrajectory
from visualization_msgs.msg import Marker, MarkerArray

from mbrl_controller.base.resources import share_dir
from mbrl_controller.contract.contract import load_contract
from mbrl_controller.nodes.messages import joint_state, named_row, to_time, trajectory
from mbrl_controller.simulation.hand_picture import find_picture
from mbrl_controller.simulation.world_shapes import WorldShapes

from .conftest import Ros

pytestmark = pytest.mark.ros
MODULE = "mbrl_controller.nodes.signals"
STAMP = 12.5  # s


def row(**values: float) -> Float64MultiArray:
    message = named_row(tuple(values))
    message.data = list(values.values())
    return message


def test_a_tick_is_spread_over_topics_with_its_names_while_somebody_listens(ros: Ros, small_hand: Path) -> None:
    ros.start(MODULE, {"contract": str(small_hand / "contract.yaml"), "rate": 50.0})
    tick = ros.node.create_publisher(Float64MultiArray, "/controller/tick", 10)
    counted = ros.node.count_publishers
    ros.wait(lambda: counted("/controller/signals/reward") == 1, "the node's topics")
    assert tick.get_subscription_count() == 0  # nobody asked yet
    received: dict[str, list[Float64]] = {name: [] for name in ("reward", "disagreement")}
    subscriptions = [
        ros.node.create_subscription(Float64, f"/controller/signals/{name}", into.append, 10)
        for name, into in received.items()
    ]
    ros.wait(tick.get_subscription_count, "the node to listen")
    for reward in range(1000):
        tick.publish(row(reward=float(reward), disagreement=float("nan"), unheard_of=1.0))
        ros.executor.spin_once(timeout_sec=0.05)
        if len(received["reward"]) > 2:
            break
    numbers = [message.data for message in received["reward"]]
    assert len(numbers) > 2
    assert numbers == list(np.arange(numbers[0], numbers[0] + len(numbers)))
    assert received["disagreement"] == []  # what does not apply is not sent
    for subscription in subscriptions:
        ros.node.destroy_subscription(subscription)
    ros.wait(lambda: tick.get_subscription_count() == 0, "the node to stop listening")


def test_markers_are_where_the_state_is_and_the_plan_costs_nothing_unseen(ros: Ros) -> None:
    contract = load_contract(share_dir() / "config" / "adroit_baoding.yaml")
    task, names = contract.task, contract.action.names
    ros.start(MODULE, {"contract": "adroit_baoding.yaml", "rate": 50.0})
    plan = ros.node.create_publisher(JointTrajectory, "/controller/plan", 1)
    goal = ros.node.create_publisher(JointTrajectory, "/controller/goal", 10)
    hand = ros.node.create_publisher(JointState, "/joint_states", 5)
    balls = {name: ros.node.create_publisher(Odometry, f"/{name}/odometry", 5) for name in ("ball_a", "ball_b")}
    ros.wait(lambda: ros.node.count_publishers("/controller/markers") == 1, "the node's topics")
    assert plan.get_subscription_count() == 0
    received = ros.collect("/controller/markers", MarkerArray)
    for publisher in (plan, goal, hand, *balls.values()):
        ros.wait(publisher.get_subscription_count, publisher.topic_name)
    targets = np.stack([contract.action.neutral, contract.action.upper])
    wanted = task.sample_goal(np.random.default_rng(0)).at(np.zeros(1))
    places = {"ball_a": (0.01, -0.02, 0.2), "ball_b": (-0.03, 0.02, 0.25)}

    def shown() -> dict[str, list[Any]]:
        hand.publish(joint_state(names, contract.action.neutral, STAMP))
        for name, (x, y, z) in places.items():
            ball = Odometry(child_frame_id="world")
            ball.header.frame_id, ball.header.stamp = "world", to_time(STAMP)
            ball.pose.pose.position = Point(x=x, y=y, z=z)
            balls[name].publish(ball)
        goal.publish(trajectory(task.goal.names, wanted, np.zeros(1), STAMP))
        plan.publish(trajectory(names, targets, np.array([0.0, 0.1]), STAMP))
        ros.executor.spin_once(timeout_sec=0.05)
        found: dict[str, list[Any]] = {}
        for marker in received[-1].markers if received else ():
            found.setdefault(marker.ns, []).append(marker)
        complete = {"objects", "goals", "hand", "plan"} <= set(found)
        return found if complete and found["objects"][0].pose.position.z == places["ball_a"][2] else {}

    found = ros.wait(shown, "markers of everything")
    assert [position(marker) for marker in found["objects"]] == [pytest.approx(place) for place in places.values()]
    assert [position(marker) for marker in found["goals"]] == [
        pytest.approx(point) for point in task.markers(wanted[0])
    ]
    assert all(marker.header.frame_id == "world" and marker.header.stamp.sec == 12 for marker in received[-1].markers)
    assert len({(marker.ns, marker.id) for marker in received[-1].markers}) == len(received[-1].markers)
    state = np.full(len(task.state), np.nan)
    state[task.joint_positions] = contract.action.neutral
    picture = find_picture(contract)
    assert picture is not None
    drawn = [[[p.x, p.y, p.z] for p in marker.points] for marker in found["plan"]]
    np.testing.assert_allclose(drawn, WorldShapes(picture).fingertip_paths(state, targets), atol=1e-9)
    assert [marker.type for marker in found["hand"]] == [Marker.LINE_LIST]


def position(marker: Marker) -> list[float]:
    point = marker.pose.position
    return [point.x, point.y, point.z]


def test_without_a_model_of_the_robot_the_node_still_names_the_numbers(ros: Ros, small_hand: Path) -> None:
    """And says a wrong contract in its reason, as the others do."""
    node = ros.start(MODULE, {"contract": str(small_hand / "contract.yaml")})
    ros.wait(lambda: ros.node.count_publishers("/controller/signals/lateness") == 1, "the node's topics")
    assert ros.state("signals") == "active"
    assert node.stop() == 0
