# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The numbers of a labelled row, each on a topic of its own: viewers plot them by name.

Foxglove, PlotJuggler and rqt_plot show an array's entries by index and know nothing of its labels. The log has the row
for this package's readers, and beside it a std_msgs/Float64 for each entry, with the name that the node `signals` uses.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterator
from typing import Any

from mbrl_controller.base.errors import MessageError
from mbrl_controller.contract import ros_types
from mbrl_controller.episodes import ros_messages

SIGNALS = "signals"  # beside the row's own topic: /controller/tick -> /controller/signals/reward
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")  # what may be the last part of a topic
_FLOAT64 = struct.Struct("<4sd")
_LITTLE_ENDIAN = b"\x00\x01\x00\x00"  # head of CDR bytes


def signal_topic(row_topic: str, label: str) -> str:
    """Topic of the entry `label` of the row on `row_topic`."""
    return f"{row_topic.rpartition('/')[0]}/{SIGNALS}/{label}"


def labelled(row: Any) -> Iterator[tuple[str, float]]:
    """(label, value) of a decoded row's entries that have a number and a label that a topic can have."""
    for dimension, value in zip(row.layout.dim, row.data, strict=False):
        if math.isfinite(value) and _NAME.fullmatch(dimension.label):
            yield dimension.label, float(value)


def signal_messages(row_topic: str, data: bytes) -> list[tuple[str, bytes]]:
    """(topic, CDR bytes of a Float64) of each entry of a row given as CDR bytes; none of bytes that are no row."""
    try:
        row = ros_messages.decode(data, ros_types.MULTI_ARRAY)
    except MessageError:
        return []
    return [(signal_topic(row_topic, label), encode_float64(value)) for label, value in labelled(row)]


def encode_float64(value: float) -> bytes:
    """CDR bytes of a std_msgs/Float64."""
    return _FLOAT64.pack(_LITTLE_ENDIAN, value)
