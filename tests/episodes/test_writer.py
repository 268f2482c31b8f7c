# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What stands in an episode's file, and when it reaches the disk."""

from __future__ import annotations

import contextlib
import os
from types import SimpleNamespace

import pytest
from mcap.reader import make_reader

from mbrl_controller.base.errors import EpisodeError
from mbrl_controller.contract import ros_types
from mbrl_controller.episodes import ros_messages
from mbrl_controller.episodes.metadata import CLOSED_RECORD, RECORD, EpisodeInfo
from mbrl_controller.episodes.reader import read_episode
from mbrl_controller.episodes.recovery import recover_folder
from mbrl_controller.episodes.writer import EpisodeWriter

INFO = EpisodeInfo("s", 0)


def joint(k: int):
    return ros_messages.joint_state(["j"], [float(k)], k + 1)


def test_messages_have_the_times_at_which_they_came_and_were_sent(claw, tmp_path):
    with EpisodeWriter(tmp_path / "e.mcap", claw, INFO) as writer:
        writer.write("/joint_states", joint(0), 50, 40)
        writer.write("/joint_states", joint(1), 60)
        writer.write_raw("/other", ros_types.JOINT_STATE, ros_messages.encode(joint(2)), -5, -7)
        assert writer.messages == 3
    with (tmp_path / "e.mcap").open("rb") as file:
        reader = make_reader(file)
        assert (reader.get_header().profile, reader.get_header().library) == ("ros2", "mbrl_controller")
        found = list(reader.iter_messages(log_time_order=False))
        summary = reader.get_summary()
        metadata = {m.name: m.metadata for m in reader.iter_metadata()}
    assert [(m.log_time, m.publish_time, m.sequence) for _, _, m in found] == [(50, 40, 0), (60, 60, 1), (0, 0, 2)]
    assert [c.topic for _, c, _ in found] == ["/joint_states", "/joint_states", "/other"]
    assert [m.data for _, _, m in found] == [ros_messages.encode(joint(k)) for k in range(3)]
    (schema,) = summary.schemas.values()  # two topics of one type
    assert (schema.name, schema.encoding) == (ros_types.JOINT_STATE, "ros2msg")
    assert schema.data.decode() == ros_messages.definition(ros_types.JOINT_STATE)[0]
    assert metadata[RECORD] == writer.info.to_metadata(claw)
    assert metadata[CLOSED_RECORD] == {"reason": "end", "messages": "3"}


def test_an_end_has_its_reason_and_notes(claw, tmp_path):
    writer = EpisodeWriter(tmp_path / "deep" / "e.mcap", claw, INFO)
    writer.write("/joint_states", joint(0), 1)
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["e.mcap.part"]
    assert writer.close("drop", dropped="4") == tmp_path / "deep" / "e.mcap"
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["e.mcap"]
    assert read_episode(tmp_path / "deep" / "e.mcap").closed == {"reason": "drop", "messages": "1", "dropped": "4"}


def test_an_error_within_leaves_the_file_for_recovery(claw, tmp_path):
    with (
        contextlib.suppress(ZeroDivisionError),
        EpisodeWriter(tmp_path / "e.mcap", claw, INFO, flush_s=0.0) as writer,
    ):
        writer.write("/joint_states", joint(0), 1)
        raise ZeroDivisionError
    assert [p.name for p in tmp_path.iterdir()] == ["e.mcap.part"]
    (done,) = recover_folder(tmp_path).recovered
    assert done.messages == 1


def test_messages_reach_the_disk_every_flush_s_and_not_with_each(claw, tmp_path, monkeypatch):
    now = 100.0
    monkeypatch.setattr("mbrl_controller.episodes.writer.time", SimpleNamespace(monotonic=lambda: now))
    writer = EpisodeWriter(tmp_path / "e.mcap", claw, INFO, flush_s=0.5)
    part = tmp_path / "e.mcap.part"

    def on_disk() -> int:
        return sum(len(series) for series in read_episode(part).sources.values())

    def write(k: int) -> None:
        state = ros_messages.joint_state(claw.sources[1].joints, [float(k)], k + 1, [0.0])
        writer.write("/valve/joint_states", state, k + 1)

    for k, (after, expected) in enumerate([(0.0, 0), (0.4, 0), (0.5, 3), (0.9, 3), (1.1, 5), (1.2, 5)]):
        now = 100.0 + after
        write(k)
        assert on_disk() == expected
    writer.flush()
    assert on_disk() == 6
    now = 101.6  # a flush by hand counts, too
    write(6)
    assert on_disk() == 6
    writer.close()


@pytest.mark.parametrize("fsync", [True, False])
def test_a_whole_file_is_on_the_disk_itself_where_that_is_asked_for(claw, tmp_path, monkeypatch, fsync):
    synced: list[list[str]] = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append([p.name for p in tmp_path.iterdir()]))
    EpisodeWriter(tmp_path / "e.mcap", claw, INFO, fsync=fsync).close()
    assert synced == ([["e.mcap.part"]] if fsync else [])  # before it is called whole
    synced.clear()
    EpisodeWriter(tmp_path / "f.mcap", claw, INFO).close()
    assert len(synced) == 1


def test_a_disk_that_takes_a_little_at_a_time_gets_all_of_it(claw, tmp_path, monkeypatch):
    whole = os.write
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", lambda fd, data: whole(fd, bytes(data)[:7]))
        with EpisodeWriter(tmp_path / "e.mcap", claw, INFO) as writer:
            for k in range(5):
                writer.write("/joint_states", joint(k), k)
    with (tmp_path / "e.mcap").open("rb") as file:
        assert [m.sequence for _, _, m in make_reader(file).iter_messages()] == list(range(5))
    assert read_episode(tmp_path / "e.mcap").complete


def test_a_file_that_is_being_written_is_left_alone_by_recovery(claw, tmp_path):
    writer = EpisodeWriter(tmp_path / "e.mcap", claw, INFO)
    done = recover_folder(tmp_path)
    assert (done.busy, done.recovered, done.failed) == ([tmp_path / "e.mcap.part"], [], [])
    assert writer.close().exists()


def test_what_is_discarded_is_gone_and_what_is_abandoned_stays(claw, tmp_path):
    EpisodeWriter(tmp_path / "e.mcap", claw, INFO).discard()
    assert list(tmp_path.iterdir()) == []
    writer = EpisodeWriter(tmp_path / "e.mcap", claw, INFO)
    writer.abandon()
    writer.abandon()
    assert [p.name for p in tmp_path.iterdir()] == ["e.mcap.part"]
    with pytest.raises(EpisodeError, match="already exists"):
        EpisodeWriter(tmp_path / "e.mcap", claw, INFO)


def test_without_links_a_file_gets_its_name_all_the_same(claw, tmp_path, monkeypatch):
    def refused(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "link", refused)
    with EpisodeWriter(tmp_path / "e.mcap", claw, INFO) as writer:
        assert [p.name for p in tmp_path.iterdir()] == ["e.mcap.part"]
        writer.write("/joint_states", joint(0), 1)
    assert [p.name for p in tmp_path.iterdir()] == ["e.mcap"]
