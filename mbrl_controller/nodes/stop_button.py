# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The topic `e_stop`: presses of the button, also from before this process began, and whether it is still there."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import Bool

from mbrl_controller.nodes import qos

TOPIC = "e_stop"
REMEMBERED = 1000  # presses
DISCOVERY_S = 5.0  # in which DDS introduces a button that is there
KEPT_S = 0.2  # in which what a known publisher keeps arrives


class StopButton:
    """Hears `true` on the topic in every state of the node, and each press once.

    A volatile subscription hears every reliable publisher, but nothing from before it was matched. A transient local
    one hears what its publishers keep, but no volatile publisher, and each of these would warn that it is not heard.
    So there is one only where a publisher keeps something. A kept press may arrive again, through the other
    subscription or after its publisher was lost and found. It is recognised by its time of publication, so it does
    not undo a reset.
    """

    def __init__(self, node: Node, on_press: Callable[[], object]) -> None:
        """`on_press` is called on the executor's thread, or within `hear_now`."""
        self._node, self._on_press = node, on_press
        self._name = node.resolve_topic_name(TOPIC)
        self._pressed: deque[int] = deque(maxlen=REMEMBERED)  # when published, ns, the publisher's clock
        self._heard = self._watched = -math.inf  # s, time.monotonic
        self._latched: Any = None
        self._subscription = self._subscribe(qos.E_STOP, matched=lambda _: self.look())

    def look(self) -> bool:
        """Listen to what publishers keep, as soon as there is one that does; whether that is new. Call it now and
        then."""
        if self._latched is not None:
            return False
        publishers = self._node.get_publishers_info_by_topic(self._name)
        if not any(info.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL for info in publishers):
            return False
        self._latched = self._subscribe(qos.E_STOP_LATCHED)
        return True

    def hear_now(self) -> None:
        """Hear what waits for the executor, and what the publishers that are known have kept."""
        end = time.monotonic() + (KEPT_S if self.look() else 0.0)
        self._take(self._subscription)
        while self._latched is not None and not self._take(self._latched) and time.monotonic() < end:
            time.sleep(0.005)

    def watch(self) -> None:
        """From now on `missing` and `silence` count."""
        self._watched = time.monotonic()

    def missing(self, deadline: float) -> str:
        """Why nothing must be sent yet: the button, to be heard each `deadline` (s; 0: never), has not been heard since
        it is watched. Empty if it has. Cheap, as is `silence`: both are asked at each tick."""
        if deadline <= 0 or self._heard >= self._watched - deadline:
            return ""
        return f"{self._name}: nothing heard yet, e_stop_deadline_s is {deadline:g} s"

    def silence(self, deadline: float) -> str:
        """Why the button cannot be relied on: once heard, it was not for `deadline` (s; 0: need not be), or its
        publisher left; or it is missing for longer than discovery takes. Empty if it can."""
        if deadline <= 0:
            return ""
        missing = bool(self.missing(deadline))
        silent = time.monotonic() - (self._watched if missing else self._heard)
        if silent > (max(deadline, DISCOVERY_S) if missing else deadline):
            return f"{self._name}: nothing heard for {silent:.2f} s, e_stop_deadline_s is {deadline:g} s"
        if not missing and self._node.count_publishers(self._name) == 0:
            return f"{self._name}: its publisher has left, and e_stop_deadline_s is {deadline:g} s"
        return ""

    def _subscribe(self, profile: QoSProfile, matched: Callable[[Any], object] | None = None) -> Any:
        # controller_graph.py reports who cannot be heard
        events = SubscriptionEventCallbacks(matched=matched, use_default_callbacks=False)  # type: ignore[arg-type]
        return self._node.create_subscription(Bool, TOPIC, self._hear, profile, event_callbacks=events)  # type: ignore[arg-type]

    def _take(self, subscription: Any) -> bool:
        """Hear what waits; whether there was anything."""
        count = 0
        with subscription.handle:
            while (taken := subscription.handle.take_message(Bool, False)) is not None:
                count += 1
                self._hear(*taken)
        return count > 0

    def _hear(self, message: Any, info: dict[str, int]) -> None:
        self._heard = time.monotonic()
        published = info["source_timestamp"]
        if not message.data or published in self._pressed:
            return
        if published:  # not every middleware says so
            self._pressed.append(published)
        self._on_press()
