# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Publishers and subscriptions of a topic as discovery knows them, and whether messages can pass between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import (
    DurabilityPolicy,
    LivelinessPolicy,
    QoSCompatibility,
    QoSProfile,
    ReliabilityPolicy,
    qos_check_compatible,
)

UNKNOWN = "another node"  # whose name is still being discovered, or which is no ROS node
_FOR_EVER_NS = 2**63 - 1  # how discovery reports a duration that nobody set


@dataclass(frozen=True)
class Endpoint:
    """A publisher or subscription of a topic."""

    node: str  # full name, or UNKNOWN
    problem: str  # why no message passes, by QoS policy or type; empty if they do


def publishers(node: Node, topic: str, profile: QoSProfile, kind: str = "") -> list[Endpoint]:
    """Publishers of `topic`, seen from a subscription with `profile` (and of type `kind`), by name."""
    infos = node.get_publishers_info_by_topic(node.resolve_topic_name(topic))
    return sorted(
        (Endpoint(_name(info), _problem(_plain(info.qos_profile), profile, info, kind)) for info in infos),
        key=lambda endpoint: endpoint.node,
    )


def subscriptions(node: Node, topic: str, profile: QoSProfile, kind: str = "") -> list[Endpoint]:
    """Subscriptions of `topic`, seen from a publisher with `profile` (and of type `kind`), by name."""
    infos = node.get_subscriptions_info_by_topic(node.resolve_topic_name(topic))
    return sorted(
        (Endpoint(_name(info), _problem(profile, _plain(info.qos_profile), info, kind)) for info in infos),
        key=lambda endpoint: endpoint.node,
    )


class Unheard:
    """Publishers of a topic from which no subscription with one of the `profiles` gets anything."""

    def __init__(self, node: Node, topic: str, *profiles: QoSProfile) -> None:
        self.topic = str(node.resolve_topic_name(topic))
        self._node, self._profiles = node, profiles
        self._count, self._found = 0, tuple[str, ...]()

    def __str__(self) -> str:
        return f"{self.topic} is not heard from {', '.join(self.found())}"

    def found(self) -> tuple[str, ...]:
        """`/node: why`, by name. Cheap while the number of publishers is the same."""
        if self._node.count_publishers(self.topic) != self._count:
            self.look()
        return self._found

    def look(self) -> None:
        """Ask discovery anew: one may leave and another come between two looks."""
        self._count = self._node.count_publishers(self.topic)
        found = []
        for info in self._node.get_publishers_info_by_topic(self.topic) if self._count else ():
            problems = [_problem(_plain(info.qos_profile), profile, info, "") for profile in self._profiles]
            if all(problems):
                found.append(f"{_name(info)}: {problems[0]}")
        self._found = tuple(sorted(found))


class Publishers:
    """Who else publishes on a topic, as far as discovery knows."""

    def __init__(self, node: Node, topic: str) -> None:
        self._node = node
        self.topic = str(node.resolve_topic_name(topic))

    def others(self, own: bool) -> list[str]:
        """Names of the other nodes; `own`: this node has a publisher there too. Cheap while there is none."""
        if self._node.count_publishers(self.topic) <= own:
            return []
        mine = _full_name(self._node.get_name(), self._node.get_namespace())
        names = sorted(_name(info) for info in self._node.get_publishers_info_by_topic(self.topic))
        if own and mine in names:
            names.remove(mine)  # a second one of this very name is another process
        return names


def listed(names: list[str]) -> str:
    """Names for a sentence: `/a, /b (2)`, each once with how often it occurs."""
    return ", ".join(
        name if names.count(name) == 1 else f"{name} ({names.count(name)})" for name in dict.fromkeys(names)
    )


def _name(info: Any) -> str:
    if info.node_name.startswith("_NODE_NAME_UNKNOWN"):
        return UNKNOWN
    return _full_name(info.node_name, info.node_namespace)


def _full_name(name: str, namespace: str) -> str:
    return f"{namespace.rstrip('/')}/{name}"


def _plain(profile: QoSProfile) -> QoSProfile:
    """As its node set it. rclpy takes an infinite duration from discovery for a requested one."""
    for policy in ("deadline", "lifespan", "liveliness_lease_duration"):
        if getattr(profile, policy).nanoseconds >= _FOR_EVER_NS:
            setattr(profile, policy, Duration())
    return profile


def _problem(offered: QoSProfile, asked: QoSProfile, info: Any, kind: str) -> str:
    if kind and info.topic_type != kind:
        return f"it is of type {info.topic_type}, not {kind}"
    if differences := _differences(offered, asked):
        return "; ".join(differences)
    verdict, reason = qos_check_compatible(offered, asked)
    return " ".join(reason.split()) if verdict == QoSCompatibility.ERROR else ""


def _differences(offered: QoSProfile, asked: QoSProfile) -> list[str]:
    """By which policies a subscription asks for more than the publisher offers."""
    found = []
    if asked.reliability == ReliabilityPolicy.RELIABLE and offered.reliability == ReliabilityPolicy.BEST_EFFORT:
        found.append("reliability: reliable is asked for, best effort offered")
    if asked.durability == DurabilityPolicy.TRANSIENT_LOCAL and offered.durability == DurabilityPolicy.VOLATILE:
        found.append("durability: transient local is asked for, volatile offered")
    if asked.liveliness == LivelinessPolicy.MANUAL_BY_TOPIC != offered.liveliness:
        found.append("liveliness: manual by topic is asked for, automatic offered")
    for policy, words in (("deadline", "deadline"), ("liveliness_lease_duration", "liveliness lease duration")):
        wanted, given = getattr(asked, policy).nanoseconds, getattr(offered, policy).nanoseconds
        if wanted and (not given or given > wanted):
            promise = f"{1e-9 * given:.4g} s" if given else "none"
            found.append(f"{words}: {1e-9 * wanted:.4g} s is asked for, {promise} offered")
    return found
