# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Messages as a recorder gets them, and those among them that tell when episodes begin and end."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from mbrl_controller.base.errors import MessageError
from mbrl_controller.contract import ros_types
from mbrl_controller.episodes import ros_messages
from mbrl_controller.episodes.metadata import OTHERS


class Logged(NamedTuple):
    """A message as received; `time` in ns."""

    topic: str
    type_name: str
    data: bytes
    time: int


@dataclass(frozen=True)
class Begun:
    """An episode that was announced."""

    event: dict[str, Any]
    item: Logged  # the message
    commanded_by: str
    since: float = field(default_factory=time.monotonic)  # s

    @property
    def by_others(self) -> bool:
        """Whether it is a person's, around commands of anybody."""
        return self.commanded_by == OTHERS

    @property
    def session(self) -> str:
        """Name of its session; empty where none is given."""
        given = self.event.get("session")
        return given if isinstance(given, str) else ""

    @property
    def number(self) -> int:
        """Its number in the session."""
        given = self.event.get("episode")
        return given if isinstance(given, int) and not isinstance(given, bool) and 0 <= given < 10**8 else 0

    def after_begin(self, command: Logged) -> float | None:
        """Time (s) from the begin to a command; None if unknown."""
        begin = self.event.get("stamp")
        if not ros_messages.is_stamp(begin):
            return None
        try:
            stamp = ros_messages.stamp_ns(ros_messages.decode(command.data, command.type_name))
        except MessageError:
            return None
        return stamp / ros_messages.NANO - begin


def read_event(item: Logged) -> dict[str, Any] | None:
    """What an episode topic's message tells; None if it is none."""
    try:
        event = json.loads(ros_messages.decode(item.data, ros_types.STRING).data)
    except (MessageError, ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) and "event" in event else None


def make_event(topic: str, time_ns: int, kind: str, **content: Any) -> Logged:
    """A message that tells of a begin or an end at `time_ns`."""
    event = {"event": kind, "stamp": time_ns / ros_messages.NANO, **content}
    return Logged(topic, ros_types.STRING, ros_messages.encode(ros_messages.json_string(event)), time_ns)


def short(value: Any) -> str:
    """A JSON value as a short text; JSON may hold lone surrogates, which a file cannot."""
    return str(value)[:200].encode(errors="replace").decode()
