# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Publishers of a state: if two disagree one is wrong, and nobody can tell which."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile

from mbrl_controller.contract.sources import Source
from mbrl_controller.control.senders import HEARD_S, Senders
from mbrl_controller.nodes import graph


class StatePublishers:
    """Watches the publishers of one state topic, at every tick.

    Discovery alone is not enough: a killed driver stays in it for some 20 s after another has taken its place. So those
    publishers count that were heard within the last second; a new one counts for one second whether heard or not. If
    the middleware does not number messages, all publishers in discovery count.
    """

    def __init__(self, node: Node, source: Source, profile: QoSProfile) -> None:
        """`profile`: of the subscription, which is to be set as `subscription`."""
        self.topic, self._profile = source.topic, profile
        self.subscription: Any = None
        self._node, self._incompatible = node, graph.Unheard(node, source.topic, profile)
        self._several = source.publishers != "one"
        self._senders = Senders()
        self._numbered = True
        self._matched, self._settled = 0, 0.0

    def hear(self, number: int | None, when: float) -> None:
        """A message with this number of its publisher's was received at `when` (s, time.monotonic)."""
        if number is None:
            self._numbered = False
        else:
            self._senders.hear(number, when)

    def before(self, callback: Callable[[Any], None]) -> Callable[[Any, Any], None]:
        """A subscription's callback that hears each message before `callback` gets it."""

        def take(message: Any, info: Any) -> None:
            self.hear(info.get("publication_sequence_number"), time.monotonic())
            callback(message)

        return take

    def dispute(self, now: float) -> str:
        """Why what arrives by `now` (s, time.monotonic) must not be believed; empty if it comes from one publisher.

        Nothing arrives from a publisher that is not matched, so ask after messages were taken, not before.
        """
        matched = self._count()
        if matched > self._matched:
            self._settled = now + HEARD_S
        self._matched = matched
        if self._several or matched < 2:
            return ""
        if self._numbered and now >= self._settled and self._senders.count(now) < 2:
            return ""
        return (
            f"{self.topic} has {matched} publishers, {self._names()}: stop all but one (or allow them in the contract: "
            "publishers: several)"
        )

    def idle(self, disputed: str) -> str:
        """What to say of several publishers of which only one is heard; empty if there is but one, or if it is this
        topic that is `disputed`."""
        if self._several or (matched := self._count()) < 2 or disputed.startswith(f"{self.topic} has "):
            return ""
        return f"{self.topic} has {matched} publishers, {self._names()}: one more may begin to be heard"

    def incompatible(self) -> list[str]:
        """Publishers that cannot be heard, and why."""
        return [f"incompatible QoS on {self.topic} from {who}" for who in self._incompatible.found()]

    def look(self) -> None:
        """Ask discovery anew who cannot be heard."""
        self._incompatible.look()

    def _count(self) -> int:
        return 0 if self.subscription is None else int(self.subscription.get_publisher_count())

    def _names(self) -> str:
        endpoints = graph.publishers(self._node, self.topic, self._profile)
        return graph.listed([endpoint.node for endpoint in endpoints if not endpoint.problem])
