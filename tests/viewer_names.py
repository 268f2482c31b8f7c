# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What Foxglove and PlotJuggler call the numbers of a log, by the rules that both programs publish.

Foxglove: "message paths", such as `/topic.field[0].part`. PlotJuggler: one series for each number, called
`/topic/field/part`, an array's entries `[0]`; of a JointState `/topic/<joint>/position`. Both need nothing but the
file: names and types come from the schemas in it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mcap.reader import make_reader
from mcap_ros2.decoder import DecoderFactory

_PATH = re.compile(r"(?P<topic>(/\w+)+)(?P<fields>(\.\w+(\[-?\d+\])?)*)")
_FIELD = re.compile(r"\.(\w+)(?:\[(-?\d+)\])?")


def messages(file: Path) -> list[tuple[str, str, Any]]:
    """(topic, type, decoded message) of a log, decoded by the schemas in it."""
    with file.open("rb") as stream:
        reader = make_reader(stream, decoder_factories=[DecoderFactory()])
        return [(channel.topic, schema.name, message) for schema, channel, _, message in reader.iter_decoded_messages()]


def split_path(path: str) -> tuple[str, list[tuple[str, int | None]]]:
    """Topic, and the fields with an index where there is one, of a message path; raises ValueError if it is none."""
    found = _PATH.fullmatch(path)
    if found is None:
        raise ValueError(f"no message path: {path!r}")
    fields = [(name, int(index) if index else None) for name, index in _FIELD.findall(found["fields"])]
    return found["topic"], fields


def foxglove_values(path: str, logged: list[tuple[str, str, Any]]) -> list[Any]:
    """What a message path gives, message by message; those without such a field give nothing."""
    topic, fields = split_path(path)
    found = []
    for own, _, message in logged:
        value: Any = message if own == topic else None
        for name, index in fields:
            value = getattr(value, name, None)
            if index is not None and value is not None:
                value = value[index] if -len(value) <= index < len(value) else None
        if value is not None:
            found.append(value)
    return found


def plotjuggler_series(logged: list[tuple[str, str, Any]]) -> dict[str, list[float]]:
    """All series of a log, by name."""
    series: dict[str, list[float]] = {}
    for topic, kind, message in logged:
        for name, value in _joints(topic, message) if kind == "sensor_msgs/msg/JointState" else _leaves(topic, message):
            if math.isfinite(value):
                series.setdefault(name, []).append(value)
    return series


def _joints(topic: str, message: Any) -> Iterator[tuple[str, float]]:
    for field in ("position", "velocity", "effort"):
        yield from (
            (f"{topic}/{joint}/{field}", float(value))
            for joint, value in zip(message.name, getattr(message, field), strict=False)
        )


def _leaves(name: str, value: Any) -> Iterator[tuple[str, float]]:
    if isinstance(value, bool | int | float):
        yield name, float(value)
    elif isinstance(value, list | tuple):
        for i, entry in enumerate(value):
            yield from _leaves(f"{name}[{i}]", entry)
    elif hasattr(value, "__slots__"):
        for field in value.__slots__:
            yield from _leaves(f"{name}/{field}", getattr(value, field))
