# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Publishes each step: the command, and the record of it."""

from __future__ import annotations

import json

import numpy as np
from rclpy.duration import Duration
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray, String
from trajectory_msgs.msg import JointTrajectory

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.contract.command_messages import encode_command
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.contract.destinations import Destination
from mbrl_controller.control.safety import SafetyState
from mbrl_controller.control.steps import EpisodeEvent, Solution, Step, Tick
from mbrl_controller.nodes import messages, qos
from mbrl_controller.nodes.lifecycle import ManagedNode
from mbrl_controller.tasks.spaces import Array

SOURCES = ("none", "safe", "previous_plan", "plan", "policy")
STATES = tuple(state.value for state in SafetyState)
TICK_ROW = (
    "stamp",  # s
    "sequence",
    "epoch",
    "episode",
    "episode_time",  # s
    "source",  # index into none, safe, previous_plan, plan, policy
    "safety_state",  # index into inactive, ready, running, holding, stopped, handed_over
    "state_stamp",  # s, the oldest measurement in the state
    "reward",
    "dropped",
    "plan_duration",  # s
    "iterations",
    "evaluated",
    "predicted_return",
    "disagreement",
    "lateness",  # s, of this tick's begin
    "previous_execution",  # s, of the tick before
    "missed_ticks",  # since activation
    "late_plans",  # since activation
    "doubt",  # why not to learn from it: 0 nothing, 1 nobody took the commands, 2 a state had several publishers,
    # 3 feedback may have changed the command
    "network_evaluations",  # that the plan took, as control/network_count.py counts them
    "novelty",  # of the predicted first step, where the version has a joint density
)
RECORDS = {
    "~/command": (JointState, qos.RECORD),
    "~/plan": (JointTrajectory, qos.REQUEST),
    "~/goal": (JointTrajectory, qos.RECORD),
    "~/tick": (Float64MultiArray, qos.RECORD),
    "~/episode": (String, qos.LATCHED),
}
FLUSH_S = 0.2  # how long a last command may take to be acknowledged


class ControllerOutput:
    """The record topics; and, between `open_command` and `close_command`, the hand's command topics."""

    def __init__(self, node: ManagedNode, contract: RobotContract) -> None:
        """Raises MbrlError where commands would go to a state's topic or a record's."""
        self._node, self._contract = node, contract
        _check_topics(node, contract)
        self.session_name = ""  # of the episodes
        self._records: list[Publisher] = [
            node.create_publisher(kind, topic, profile) for topic, (kind, profile) in RECORDS.items()
        ]
        self._command, self._plan, self._goal, self._tick, self._episode = self._records
        self._targets: list[tuple[Destination, Publisher]] = []
        self._row = messages.named_row(TICK_ROW)
        self.counters: tuple[float, float, int, int] = (0.0, 0.0, 0, 0)  # of the row, before the last entry

    def open_command(self, profile: QoSProfile) -> None:
        """Create the publishers of the hand's command topics: only an active controller has them."""
        for to in self._contract.destinations:
            publisher = self._node.create_publisher(messages.message_class(to.type), to.topic, profile)
            self._targets.append((to, publisher))

    def close_command(self) -> None:
        """Wait until the last command is acknowledged, then leave the topics."""
        targets, self._targets = self._targets, []
        for _, publisher in targets:
            publisher.wait_for_all_acked(Duration(seconds=FLUSH_S))
            self._node.destroy_publisher(publisher)

    def listeners(self, topic: str) -> int:
        """Subscriptions matched on one of the hand's command topics."""
        return sum(int(publisher.get_subscription_count()) for to, publisher in self._targets if to.topic == topic)

    def close(self) -> None:
        """Leave all topics."""
        self.close_command()
        for publisher in self._records:
            self._node.destroy_publisher(publisher)

    def send(self, step: Step) -> None:
        """Publish a step: the command first."""
        command = step.tick.command
        if command is not None:
            self._publish_targets(command, step.tick.following, step.stamp)
        elif step.tick.stop_at is not None:
            self._publish_targets(step.tick.stop_at, None, step.stamp)
        if step.repeated:
            return
        for event in step.events:
            self.publish_event(event)
        if command is not None:
            self._command.publish(messages.joint_state(self._contract.action.names, command, step.stamp))
        if step.goal is not None:
            names = self._contract.task.goal.names
            self._goal.publish(messages.trajectory(names, step.goal[None], np.zeros(1), step.stamp))
        self._publish_row(step)
        if step.tick.solution is not None and self._plan.get_subscription_count():
            self._publish_plan(step, step.tick.solution)

    def send_correction(self, tick: Tick, stamp: float) -> None:
        """Publish a command between two steps. It has no record: the step's `doubt` says that there may be such."""
        if tick.command is not None:
            self._publish_targets(tick.command, tick.following, stamp)

    def publish_event(self, event: EpisodeEvent) -> None:
        """Announce that an episode begins or ends."""
        document = {
            "event": event.event,
            "episode": event.episode,
            "session": self.session_name,
            "task": self._contract.task.name,
            "robot": self._contract.file.robot,
            "epoch": event.epoch,
            "stamp": event.stamp,
            "reason": event.reason,
            "model_version": event.model_version,
        }
        self._episode.publish(String(data=json.dumps(document)))

    def _publish_targets(self, command: Array, following: Array | None, stamp: float) -> None:
        rows = command[None] if following is None else np.concatenate([command[None], following])
        for to, publisher in self._targets:
            publisher.publish(messages.command(encode_command(to, rows, self._contract.action.period), stamp))

    def _publish_row(self, step: Step) -> None:
        tick, solution = step.tick, step.tick.solution
        plan = None if solution is None else solution.plan
        nan = float("nan")
        self._row.data = [
            step.stamp,
            float(tick.sequence),
            float(tick.epoch),
            float(step.episode),
            step.episode_time,
            float(SOURCES.index(tick.source)),
            float(STATES.index(tick.state.value)),
            step.observation.stamp if step.observation is not None else nan,
            step.reward,
            float(step.dropped),
            solution.duration if solution is not None else nan,
            float(plan.iterations) if plan is not None else nan,
            float(plan.evaluated) if plan is not None else nan,
            plan.predicted_return if plan is not None else nan,
            solution.disagreement if solution is not None else nan,
            *map(float, self.counters),
            float(step.doubt),
            float(solution.network_evaluations) if solution is not None else nan,
            solution.novelty if solution is not None else nan,
        ]
        self._tick.publish(self._row)

    def _publish_plan(self, step: Step, solution: Solution) -> None:
        period = self._contract.action.period
        lead = step.tick.request.delay.lead if step.tick.request is not None else 0.0
        times = period * np.arange(len(solution.targets))
        self._plan.publish(messages.trajectory(self._contract.action.names, solution.targets, times, step.stamp + lead))


def _check_topics(node: ManagedNode, contract: RobotContract) -> None:
    """The contract compares topics as written; here it is known what they are called."""
    taken = {node.resolve_topic_name(topic): "this node records there what it does" for topic in RECORDS}
    taken |= {node.resolve_topic_name(source.topic): "a state comes from there" for source in contract.sources}
    for to in contract.destinations:
        topic = node.resolve_topic_name(to.topic)
        if why := taken.get(topic):
            raise MbrlError(f"the contract's command topic {to.topic} is {topic}: {why}; name another one")
        taken[topic] = f"the contract commands it as another topic, too ({to.topic})"
