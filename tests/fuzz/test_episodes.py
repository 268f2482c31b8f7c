# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Damaged episodes: the reader, the recovery and the dataset builder take what is whole or refuse, naming the file."""

from __future__ import annotations

import contextlib
import io
import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from mcap.writer import CompressionType, Writer

from mbrl_controller.base.errors import DatasetError, EpisodeError, MessageError
from mbrl_controller.contract import ros_types
from mbrl_controller.contract.contract import parse_contract
from mbrl_controller.episodes import ros_messages
from mbrl_controller.episodes.mcap_scan import Channel, McapScan, Message, Metadata
from mbrl_controller.episodes.metadata import CLOSED_RECORD, OTHERS, RECORD, EpisodeInfo
from mbrl_controller.episodes.reader import read_episode, read_info
from mbrl_controller.episodes.recovery import recover
from mbrl_controller.episodes.trajectory_writer import write_trajectory
from mbrl_controller.training.dataset import load_dataset

from .damage import Cut, Edit, cuts, damaged, edited, edits, share
from .hand import OBJECTS

CONTRACT = parse_contract(OBJECTS)
STEPS = 6


@dataclass(frozen=True)
class Content:
    """What is in an episode file."""

    metadata: dict[str, dict[str, str]]
    messages: list[Message]

    def to_bytes(self, compression: CompressionType, chunked: bool = True) -> bytes:
        """As an MCAP file."""
        file = io.BytesIO()
        writer = Writer(file, chunk_size=1024, compression=compression, use_chunking=chunked)
        writer.start("ros2", "fuzz")
        writer.add_metadata(RECORD, self.metadata[RECORD])
        channels: dict[Any, int] = {}
        for message in self.messages:
            channel = message.channel
            if channel not in channels:
                schema = writer.register_schema(channel.type_name, "ros2msg", b"")
                channels[channel] = writer.register_channel(channel.topic, "cdr", schema)
            writer.add_message(channels[channel], message.log_time, message.data, message.publish_time)
        writer.add_metadata(CLOSED_RECORD, self.metadata[CLOSED_RECORD])
        writer.finish()
        return file.getvalue()


def content_of(path: Path) -> Content:
    """Of a whole file."""
    records = list(McapScan().records(path))
    return Content(
        {r.name: r.entries for r in records if isinstance(r, Metadata)}, [r for r in records if isinstance(r, Message)]
    )


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Content:
    rng = np.random.default_rng(0)
    states = rng.uniform(-0.1, 0.1, (STEPS + 1, len(CONTRACT.task.state)))
    states[:, [i for i, name in enumerate(CONTRACT.task.state.names) if name.endswith("position.z")]] = 0.2
    commands, goals = rng.uniform(-0.1, 0.1, (STEPS, 2)), np.zeros((STEPS + 1, 4))
    path = tmp_path_factory.mktemp("good") / "episode_0000.mcap"
    write_trajectory(path, CONTRACT, EpisodeInfo("s", 0), states, commands, goals, ticks={"reward": np.zeros(STEPS)})
    return content_of(path)


@pytest.fixture(scope="module")
def by_others(good: Content) -> Content:
    """The same episode with its commands on the hand's own topic, where anybody may have sent them."""
    (to,) = CONTRACT.destinations
    channel, messages = Channel("/hand/commands", to.type), []
    for message in good.messages:
        if message.channel.topic == "/controller/command":
            command = ros_messages.decode(message.data, ros_types.JOINT_STATE)
            data = ros_messages.encode(ros_messages.trajectory(command.name, command.position[None], [0.05], 0))
            message = message._replace(channel=channel, data=data, log_time=ros_messages.stamp_ns(command))
        messages.append(message)
    record = good.metadata[RECORD]
    topics = json.dumps(json.loads(record["topics"]) | {to.role: channel.topic})
    return Content(good.metadata | {RECORD: record | {"commanded_by": OTHERS, "topics": topics}}, messages)


def check(path: Path) -> None:
    """Raises EpisodeError, or what was read fits together; so does a dataset of it."""
    read_info(path)
    episode = read_episode(path, CONTRACT)
    for series in (*episode.sources.values(), episode.commands, episode.goals):
        assert len(series.stamps) == len(series.values)
        assert (np.diff(series.stamps) > 0).all()
        assert np.isfinite(series.values).all()
    assert episode.commands.values.shape[1] == len(CONTRACT.action)
    with contextlib.suppress(DatasetError):
        data = load_dataset([path], CONTRACT).data
        assert len(data.state) == len(data.action) == len(data.next_state) > 0
        assert all(np.isfinite(rows).all() for rows in (data.state, data.action, data.next_state))


def check_recovery(content: bytes, folder: Path) -> None:
    """Raises EpisodeError and leaves the file, or makes a whole one of it."""
    part, whole = folder / "episode_0001.mcap.part", folder / "episode_0001.mcap"
    part.write_bytes(content)
    try:
        done = recover(part)
        assert not part.exists()
        assert recover(whole).was_complete
        assert done.messages == sum(isinstance(r, Message) for r in McapScan().records(whole))
    except EpisodeError:
        assert part.read_bytes() == content
        raise
    finally:
        for path in (part, whole):
            path.unlink(missing_ok=True)


@pytest.fixture
def no_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of small files need not reach the disk."""
    monkeypatch.setattr(os, "fsync", lambda fd: None)


def test_bytes(fuzz, tmp_path: Path, good: Content, no_sync: None) -> None:
    counted, path = fuzz("episodes: bytes"), tmp_path / "episode.mcap"
    files = [good.to_bytes(compression) for compression in CompressionType] + [
        good.to_bytes(CompressionType.NONE, chunked=False)
    ]

    @counted.settings(inputs_an_example=2)
    @given(st.integers(0, len(files) - 1), cuts)
    @example(0, [])
    def run(which, changes) -> None:
        content = damaged(files[which], changes, files[-1])
        path.write_bytes(content)
        with counted.one(str(path)), np.errstate(all="ignore"):
            check(path)
        with counted.one(str(tmp_path)):
            check_recovery(content, tmp_path)

    run()


@dataclass(frozen=True)
class Change:
    """One change of an episode's messages or metadata."""

    place: float
    other: float
    how: str
    cuts: list[Cut]
    edits: list[Edit]
    time: int

    def apply(self, content: Content) -> Content:
        """The changed content."""
        metadata, logged = content.metadata, list(content.messages)
        if self.how == "metadata":
            return Content(metadata | {RECORD: _texts(edited(metadata[RECORD], self.edits))}, logged)
        if self.how == "extra":
            own = metadata[RECORD]
            with contextlib.suppress(KeyError, ValueError):  # damaged already
                topics = json.dumps(edited(json.loads(own["topics"]), self.edits))
                return Content(metadata | {RECORD: own | {"topics": topics}}, logged)
            return content
        if not logged:
            return content
        at, other = int(self.place * len(logged)), int(self.other * len(logged))
        message = logged[at]
        if self.how == "delete":
            del logged[at]
        elif self.how == "repeat":
            logged.insert(other, message)
        elif self.how == "swap":
            logged[at], logged[other] = logged[other], message
        elif self.how == "data":
            logged[at] = message._replace(data=damaged(message.data, self.cuts, logged[other].data))
        elif self.how == "topic":
            logged[at] = message._replace(channel=logged[other].channel)
        elif self.how == "time":
            logged[at] = message._replace(log_time=self.time)
        elif self.how == "event":
            for i, each in enumerate(logged):
                if each.channel.type_name != ros_types.STRING:
                    continue
                with contextlib.suppress(MessageError, ValueError):  # damaged already
                    event = json.loads(ros_messages.decode(each.data, ros_types.STRING).data)
                    text = json.dumps(edited(event, self.edits))
                    logged[i] = each._replace(data=ros_messages.encode(ros_messages.string(text)))
        return replace(content, messages=logged)


def _texts(entries: Any) -> dict[str, str]:
    """MCAP's metadata are texts."""
    if not isinstance(entries, dict):
        return {}
    return {
        str(k).encode(errors="replace").decode(): str(v).encode(errors="replace").decode() for k, v in entries.items()
    }


change = st.builds(
    Change,
    share,
    share,
    st.sampled_from(
        ["metadata", "extra", "delete", "repeat", "swap", "data", "data", "topic", "time", "event", "event"]
    ),
    cuts,
    edits,
    st.sampled_from([0, 1, 2**63, 2**64 - 1]),
)


def test_the_episode_of_others_is_as_good(tmp_path: Path, by_others: Content) -> None:
    path = tmp_path / "episode.mcap"
    path.write_bytes(by_others.to_bytes(CompressionType.NONE))
    check(path)
    assert len(load_dataset([path], CONTRACT).data.state) == STEPS


def test_records(fuzz, tmp_path: Path, good: Content, by_others: Content, no_sync: None) -> None:
    """An MCAP file that is right as such, with an episode that is not."""
    counted, path = fuzz("episodes: records"), tmp_path / "episode.mcap"

    @counted.settings(inputs_an_example=2)
    @given(st.sampled_from([good, by_others]), st.lists(change, min_size=1, max_size=4))
    def run(made, changes) -> None:
        for each in changes:
            made = each.apply(made)
        content = made.to_bytes(CompressionType.NONE)
        path.write_bytes(content)
        with counted.one(str(path)), np.errstate(all="ignore"):
            check(path)
        with counted.one(str(tmp_path)):
            check_recovery(content[: int(changes[0].other * len(content))], tmp_path)

    run()


@pytest.mark.parametrize("stamp", [1e300, -1e300, 10**400, 2**63, float("nan"), True, "1", None])
def test_events_with_a_stamp_that_is_no_time(tmp_path: Path, good: Content, stamp: Any) -> None:
    path = tmp_path / "episode.mcap"
    logged = []
    for message in good.messages:
        if message.channel.type_name == ros_types.STRING:
            event = json.loads(ros_messages.decode(message.data, ros_types.STRING).data) | {"stamp": stamp}
            message = message._replace(data=ros_messages.encode(ros_messages.json_string(event)))
        logged.append(message)
    path.write_bytes(replace(good, messages=logged).to_bytes(CompressionType.NONE))
    check(path)
