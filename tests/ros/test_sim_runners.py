# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The simulated hand behind two command topics, without ROS: messages in, messages out."""

from __future__ import annotations

import json
import queue
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import yaml

pytest.importorskip("rclpy")
pytest.importorskip("mujoco")

from mbrl_controller.base.resources import share_dir
from mbrl_controller.contract import ros_types
from mbrl_controller.contract.command_messages import encode_command
from mbrl_controller.contract.contract import RobotContract, parse_contract
from mbrl_controller.episodes import ros_messages
from mbrl_controller.nodes import sim_runners
from mbrl_controller.nodes.sim_runners import LockstepRunner
from mbrl_controller.simulation.hand_simulation import HandSimulation
from mbrl_controller.simulation.sim_options import NOMINAL


def two_topics() -> RobotContract:
    """The claw's, its first finger commanded in degrees on a topic of its own."""
    document = yaml.safe_load((share_dir() / "config" / "claw_valve.yaml").read_text())
    command = document["command"]
    names = [joint["name"] for joint in command["joints"]]
    topics = [
        {"topic": "first", "type": ros_types.JOINT_STATE, "joints": names[:3]},
        {"topic": "others", "type": ros_types.TRAJECTORY, "joints": names[3:]},
    ]
    mapped = [joint | {"as": {"scale": 57.29578, "sign": -1}} for joint in command["joints"][:3]]
    document["command"] = {"topics": topics, "joints": [*mapped, *command["joints"][3:]]}
    return parse_contract(json.dumps(document | {"format_version": 2}))


class Outbox:
    """Takes the place of a publisher."""

    def __init__(self) -> None:
        self.sent: queue.SimpleQueue[object] = queue.SimpleQueue()

    def publish(self, data: bytes) -> None:
        self.sent.put(ros_messages.decode(data, ros_types.JOINT_STATE))

    def stamp(self) -> int:
        """Of the next message (ns)."""
        return ros_messages.stamp_ns(self.sent.get(timeout=30.0))


@contextmanager
def lockstep(contract: RobotContract) -> Iterator[tuple[LockstepRunner, Outbox]]:
    outboxes = {source.topic: Outbox() for source in contract.sources}
    failures: list[Exception] = []
    runner = LockstepRunner(contract, NOMINAL, {"seed": 0}, outboxes, None, failures.append)
    runner.start()
    yield runner, outboxes["joint_states"]
    runner.stop()
    assert not failures


def send(runner: LockstepRunner, topic: str, target: np.ndarray) -> None:
    to = runner.contract.destination(topic)
    content = encode_command(to, target[None], runner.contract.action.period)
    if to.type == ros_types.JOINT_STATE:
        runner.receive(topic, ros_messages.joint_state(content.names, content.values[0], 0))
    else:
        runner.receive(topic, ros_messages.trajectory(content.names, content.values, content.times, 0))


def test_a_command_is_complete_when_each_topic_was_heard() -> None:
    contract = two_topics()
    target = contract.action.neutral + 0.2
    alone = HandSimulation(contract)
    alone.reset(0)
    with lockstep(contract) as (runner, states):
        assert states.stamp() == 1_000_000_000
        send(runner, "first", contract.action.neutral)
        send(runner, "first", target)  # the newest counts
        assert states.sent.empty()
        send(runner, "others", target)
        assert states.stamp() == 1_100_000_000
        alone.step(target)
        np.testing.assert_allclose(runner.simulation.joint_positions, alone.joint_positions, atol=1e-9)


def test_echoes_are_told_apart_topic_by_topic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sim_runners, "RESEND_S", 0.01)
    contract = two_topics()
    old, new = contract.action.neutral, contract.action.neutral + 0.1
    with lockstep(contract) as (runner, states):
        assert states.stamp() == states.stamp() == 1_000_000_000, "unanswered: sent again"
        monkeypatch.setattr(sim_runners, "RESEND_S", 30.0)
        for topic in ("first", "others"):
            send(runner, topic, old)
        while (stamp := states.stamp()) == 1_000_000_000:
            pass
        assert stamp == 1_100_000_000
        send(runner, "others", new)  # the second topic's answer comes before the echo on the first
        send(runner, "first", old)
        assert states.sent.empty()
        send(runner, "first", new)
        assert states.stamp() == 1_200_000_000
        np.testing.assert_allclose(runner.simulation.held_target, runner.contract.action.limit(new, old), atol=0.05)


def test_the_viewer_shows_the_goal_and_none_that_is_another_tasks() -> None:
    class Viewer:
        def update(self, simulation: HandSimulation, markers: object) -> bool:
            self.markers = markers
            return True

    contract = parse_contract((share_dir() / "config" / "adroit_baoding.yaml").read_text())
    outboxes = {source.topic: Outbox() for source in contract.sources}
    runner = LockstepRunner(contract, NOMINAL, {"seed": 0}, outboxes, None, lambda error: None)
    viewer = runner.viewer = Viewer()
    runner.show_goal(
        ros_messages.trajectory(contract.task.goal.names, np.array([[0.01, 0.02, -0.01, -0.02]]), [0.0], 0)
    )
    runner._show()
    assert [marker.position[:2].tolist() for marker in viewer.markers] == [[0.01, 0.02], [-0.01, -0.02]]
    runner.show_goal(ros_messages.trajectory(("valve.target",), np.array([[1.0]]), [0.0], 0))
    runner._show()
    assert viewer.markers is None
