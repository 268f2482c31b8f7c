# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The controller's plans in an episode's file. They are not part of an Episode: only who looks at them reads them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mbrl_controller.base.errors import MessageError
from mbrl_controller.contract import ros_types
from mbrl_controller.episodes.decoding import NamedValues
from mbrl_controller.episodes.mcap_scan import McapScan, Message
from mbrl_controller.episodes.reader import Episode
from mbrl_controller.episodes.ros_messages import decode, stamp_ns
from mbrl_controller.tasks.spaces import Array


@dataclass(frozen=True)
class LoggedPlan:
    """Joint targets [H, A] (rad), a control period apart; the first one takes effect at `stamp` (ns)."""

    stamp: int
    targets: Array


def read_plans(episode: Episode) -> tuple[LoggedPlan, ...]:
    """By stamp, of equal stamps the last; empty where none were logged. Damaged messages are passed over.

    Raises EpisodeError if the file cannot be read.
    """
    topic = episode.info.topics.get("plan", "/controller/plan")
    order = NamedValues("plan", episode.contract.action.names)
    found: dict[int, Array] = {}
    for record in McapScan().records(Path(episode.path)):
        if not isinstance(record, Message) or record.channel.topic != topic:
            continue
        if record.channel.type_name != ros_types.TRAJECTORY:
            continue
        try:
            message = decode(record.data, ros_types.TRAJECTORY)
            rows = [order.values(message.joint_names, point.positions) for point in message.points]
        except MessageError:
            continue
        if rows:
            found[stamp_ns(message)] = np.array(rows)
    return tuple(LoggedPlan(stamp, found[stamp]) for stamp in sorted(found))
