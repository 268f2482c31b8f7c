# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Compares a contract with a running graph. It only listens: nothing is published on any of the hand's topics."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter

from mbrl_controller.base.errors import MessageError
from mbrl_controller.contract import ros_types
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.contract.findings import Finding
from mbrl_controller.contract.frames import TF_STATIC, StaticFrames
from mbrl_controller.contract.observed import ObservedSource
from mbrl_controller.contract.sources import Source
from mbrl_controller.nodes import graph, qos
from mbrl_controller.nodes.listeners import Listeners
from mbrl_controller.nodes.messages import message_class

DISCOVERY_S = 5.0  # for which the hand's publishers are waited for
CONNECTED = 1  # subscriptions matched, had this node a publisher: it has none


@dataclass(frozen=True)
class LiveReport:
    """What a running graph has to say of a contract."""

    sources: list[dict[str, Any]]  # one of ObservedSource.summary for each
    commands: list[dict[str, Any]]  # for each topic, who is on it
    findings: list[Finding]


def check_live(contract: RobotContract, seconds: float, *, sim_time: bool = False, namespace: str = "") -> LiveReport:
    """Listen for `seconds` (s) once each state was heard, or after DISCOVERY_S.

    Args:
        contract: what should be there.
        seconds: how long to listen.
        sim_time: whether stamps are by /clock.
        namespace: of the contract's relative topics.
    """
    context = rclpy.Context()
    rclpy.init(context=context)
    try:
        node = rclpy.create_node(
            "contract_check",
            context=context,
            namespace=namespace,
            start_parameter_services=False,
            parameter_overrides=[Parameter("use_sim_time", value=sim_time)],
        )
        executor = SingleThreadedExecutor(context=context)
        executor.add_node(node)
        try:
            return LiveCheck(node, contract).run(executor, seconds)
        finally:
            executor.shutdown()
            node.destroy_node()
    finally:
        rclpy.try_shutdown(context=context)


class LiveCheck:
    """Listens to a contract's state topics, and looks at who is on each topic."""

    def __init__(self, node: Node, contract: RobotContract) -> None:
        self._node, self._contract = node, contract
        self._frames = StaticFrames()
        self._observed = [ObservedSource(contract, source, self._frames) for source in contract.sources]
        if contract.looks_up_frames:
            transforms = message_class(ros_types.TRANSFORMS)
            node.create_subscription(transforms, TF_STATIC, self._take_frames, qos.STATIC_FRAMES)
        for observed in self._observed:
            source = observed.source
            kind, profile = message_class(source.type), qos.sensor(source)
            node.create_subscription(kind, source.topic, partial(self._hear, observed), profile)
        profile = qos.command(contract.action.period)
        self._commands = [Listeners(node, to.topic, to.type, profile, to.driver) for to in contract.destinations]
        self._commanders = [graph.Publishers(node, to.topic) for to in contract.destinations]

    def run(self, executor: SingleThreadedExecutor, seconds: float) -> LiveReport:
        """Listen, then tell."""
        end = time.monotonic() + DISCOVERY_S
        while not all(observed.messages for observed in self._observed) and time.monotonic() < end:
            executor.spin_once(timeout_sec=0.05)
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            executor.spin_once(timeout_sec=left)
        sources = [observed.summary() for observed in self._observed]
        return LiveReport(sources, [self._who(commands) for commands in self._commands], self.findings())

    def findings(self) -> list[Finding]:
        """What is wrong so far."""
        found = []
        for observed in self._observed:
            found += observed.findings() if observed.messages else [why_silent(self._node, observed.source)]
            found += self._publishers(observed.source)
        for commands, commanders in zip(self._commands, self._commanders, strict=True):
            found += self._listening(commands)
            if others := commanders.others(own=False):
                who = graph.listed(others)
                found.append(Finding(commanders.topic, f"already commanded by {who}", "stop it: one hand, one master"))
        return found

    def _who(self, commands: Listeners) -> dict[str, Any]:
        topic = str(self._node.resolve_topic_name(commands.topic))
        there = [endpoint.node for endpoint in graph.subscriptions(self._node, topic, qos.COMMAND)]
        others = graph.Publishers(self._node, topic).others(own=False)
        return {"command topic": topic, "listening": graph.listed(there), "commanding": graph.listed(others)}

    def _hear(self, observed: ObservedSource, message: Any) -> None:
        observed.hear(message, time.monotonic(), 1e-9 * self._node.get_clock().now().nanoseconds)

    def _take_frames(self, message: Any) -> None:
        with suppress(MessageError):  # a transform that is none is missed where a pose needs it
            self._frames.take(message)

    def _publishers(self, source: Source) -> list[Finding]:
        topic = str(self._node.resolve_topic_name(source.topic))
        endpoints = graph.publishers(self._node, topic, qos.sensor(source), source.type)
        found = []
        heard = [endpoint.node for endpoint in endpoints if not endpoint.problem]
        for deaf in (endpoint for endpoint in endpoints if endpoint.problem and heard):
            found.append(Finding(topic, f"not heard from {deaf.node}: {deaf.problem}", "stop it, or change its QoS"))
        if len(heard) > 1 and source.publishers == "one":
            cure = "stop all but one, or allow them: publishers: several, or parts where each sends some joints"
            found.append(Finding(topic, f"has {len(heard)} publishers, {graph.listed(heard)}", cure))
        return found

    def _listening(self, commands: Listeners) -> list[Finding]:
        topic = str(self._node.resolve_topic_name(commands.topic))
        reason = commands.look(CONNECTED).reason
        if not reason:
            return [Finding(topic, problem, "change its QoS or type") for problem in commands.problems()]
        there = graph.subscriptions(self._node, topic, qos.COMMAND)
        cure = "start the driver, or write its topic, type and driver"
        if there:
            cure = f"listening are: {graph.listed([endpoint.node for endpoint in there])}; " + cure
        return [Finding(topic, reason, cure)]


def why_silent(node: Node, source: Source) -> Finding:
    """Why nothing came from a source, as far as discovery knows."""
    topic = str(node.resolve_topic_name(source.topic))
    endpoints = graph.publishers(node, topic, qos.sensor(source), source.type)
    if not endpoints:
        known = node.get_topic_names_and_types()
        same = [name for name, types in known if source.type in types and node.count_publishers(name)]
        offer = f"; topics of this type: {', '.join(same)}" if same else ""
        return Finding(topic, f"nobody publishes it{offer}", "start the driver, or write its topic")
    if all(endpoint.problem for endpoint in endpoints):
        why = "; ".join(f"{endpoint.node}: {endpoint.problem}" for endpoint in endpoints)
        return Finding(topic, f"cannot be heard from {why}", "change the type in the contract, or the driver's QoS")
    who = graph.listed([endpoint.node for endpoint in endpoints])
    return Finding(topic, f"{who} publishes nothing", "find out what the driver waits for")
