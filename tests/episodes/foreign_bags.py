# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Bags as `ros2 bag record` and others write them, of a hand that somebody else commands."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mcap.writer import CompressionType, Writer
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin
from rosbags.rosbag2 import Writer as BagWriter

from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.contract.state_assembly import split_state
from mbrl_controller.episodes import ros_messages
from mbrl_controller.episodes.metadata import absolute
from mbrl_controller.episodes.source_messages import source_message
from mbrl_controller.tasks.spaces import Array

START = 1_700_000_000_000_000_000  # ns
MS = 1_000_000
EVENT = "std_srvs/srv/Trigger_Event"  # of messages that are given as bytes
Said = tuple[str, Any, int]  # topic, message, when it was received (ns)


def said(contract: RobotContract, states: Array, commands: Array, start: int = START, extra: bool = True) -> list[Said]:
    """What a recorder hears of states [T+1, S] and the commands [T, A] between them: each a little later."""
    period = round(contract.action.period * ros_messages.NANO)
    (to,) = contract.destinations
    heard: list[Said] = []
    parts = split_state(contract, states)
    for k in range(len(states)):
        at = start + k * period
        for source, values in zip(contract.sources, parts, strict=True):
            heard.append((absolute(source.topic), source_message(source, values[k], at, stamped=False), at + 2 * MS))
        if k < len(commands):
            heard.append((absolute(to.topic), ros_messages.multi_array(commands[k]), at + 5 * MS))
        if extra:
            heard.append(("/rosout_text", ros_messages.string("hello"), at + 6 * MS))
    return heard


def write_rosbag(
    folder: Path,
    heard: Sequence[Said],
    storage: str = "mcap",
    compression: str = "none",
) -> Path:
    """By rosbags, with metadata.yaml. `compression`: none, file, message or storage."""
    plugin = {"mcap": StoragePlugin.MCAP, "sqlite3": StoragePlugin.SQLITE3}[storage]
    writer = BagWriter(folder, version=9, storage_plugin=plugin)
    writer.set_compression(CompressionMode[compression.upper()], CompressionFormat.ZSTD)
    with writer:
        connections: dict[str, Any] = {}
        for topic, message, time in heard:
            kind = message.__msgtype__
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=ros_messages.typestore())
            writer.write(connections[topic], time, ros_messages.encode(message))
    return folder


def write_mcap(
    path: Path,
    heard: Sequence[Said],
    compression: CompressionType = CompressionType.NONE,
    chunk: int = 1024 * 1024,
    chunking: bool = True,
) -> Path:
    """By the mcap library, without metadata.yaml."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        writer = Writer(file, chunk_size=chunk, compression=compression, use_chunking=chunking)
        writer.start("ros2", "test")
        channels: dict[tuple[str, str], int] = {}
        for topic, message, time in heard:
            raw = isinstance(message, bytes)
            kind = EVENT if raw else message.__msgtype__
            if (topic, kind) not in channels:
                text = "" if raw else ros_messages.definition(kind)[0]
                schema = writer.register_schema(kind, "ros2msg", text.encode())
                channels[topic, kind] = writer.register_channel(topic, "cdr", schema)
            writer.add_message(channels[topic, kind], time, message if raw else ros_messages.encode(message), time)
        writer.finish()
    return path


def smooth(contract: RobotContract, steps: int, seed: int = 0) -> tuple[Array, Array]:
    """States [T+1, S] and commands [T, A] of a hand that moves slowly."""
    rng = np.random.default_rng(seed)
    states = rng.uniform(-0.3, 0.3, (steps + 1, len(contract.task.state)))
    heights = [i for i, name in enumerate(contract.task.state.names) if name.endswith("position.z")]
    states[:, heights] = 0.2
    return states, np.round(np.cumsum(rng.uniform(-0.02, 0.02, (steps, len(contract.action))), axis=0), 4)
