# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The controller's statuses on /diagnostics, from an episode's file: ticks say that it held, these say why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mbrl_controller.base.errors import MessageError
from mbrl_controller.contract import ros_types
from mbrl_controller.episodes.mcap_scan import McapScan, Message
from mbrl_controller.episodes.ros_messages import NANO, decode, stamp_ns

SUFFIX = ": control"  # of the status's name


@dataclass(frozen=True)
class Status:
    """What the controller said of itself."""

    stamp: float  # s
    state: str  # of the safety
    reason: str
    limit: float | None  # of the disagreement
    message: str


def read_statuses(path: Path, topic: str) -> Iterator[Status]:
    """In the order of the file; messages that cannot be decoded are passed over."""
    for record in McapScan().records(path):
        if not isinstance(record, Message) or record.channel.topic != topic:
            continue
        if record.channel.type_name != ros_types.DIAGNOSTICS:
            continue
        try:
            message = decode(record.data, ros_types.DIAGNOSTICS)
        except MessageError:
            continue
        for status in message.status:
            if status.name.endswith(SUFFIX):
                values = {pair.key: pair.value for pair in status.values}
                yield Status(
                    stamp=stamp_ns(message) / NANO,
                    state=values.get("safety state", ""),
                    reason=values.get("reason", ""),
                    limit=_number(values.get("disagreement limit", "")),
                    message=status.message,
                )


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
