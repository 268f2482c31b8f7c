# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What recovery keeps, what it says of it, and what it leaves alone."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest
from mcap.reader import make_reader

from mbrl_controller.base.errors import EpisodeError
from mbrl_controller.episodes import ros_messages
from mbrl_controller.episodes.metadata import CLOSED_RECORD, EpisodeInfo
from mbrl_controller.episodes.reader import read_episode, read_info
from mbrl_controller.episodes.recovery import FolderRecovery, Recovery, recover, recover_folder
from mbrl_controller.episodes.writer import EpisodeWriter


def cut(claw, path: Path, lost: int = 0, count: int = 5) -> Path:
    """A file that was abandoned after `count` messages, without its last `lost` bytes."""
    info = EpisodeInfo("s", 3, seed=9, model_version="v0002", extra={"note": "x"})
    writer = EpisodeWriter(path, claw, info, flush_s=0.0)
    for k in range(count):
        writer.write("/joint_states", ros_messages.joint_state(["j"], [float(k)], k + 1), 10 * k + 7, 10 * k)
    writer.abandon()
    part = path.with_name(path.name + ".part")
    content = part.read_bytes()
    part.write_bytes(content[: len(content) - lost])
    return part


def read(path: Path) -> tuple[list[tuple], dict[str, str]]:
    with path.open("rb") as file:
        reader = make_reader(file)
        found = [(c.topic, m.log_time, m.publish_time, m.data) for _, c, m in reader.iter_messages()]
        return found, next(m.metadata for m in reader.iter_metadata() if m.name == CLOSED_RECORD)


def test_a_recovered_file_is_the_same_episode_with_the_same_times(claw, tmp_path):
    part = cut(claw, tmp_path / "e.mcap")
    info, size = read_info(part), part.stat().st_size
    done = recover(part)
    assert done == Recovery(tmp_path / "e.mcap", 5, 0)
    assert str(done) == f"{tmp_path}/e.mcap: recovered 5 messages, lost 0 bytes at the cut"
    assert [p.name for p in tmp_path.iterdir()] == ["e.mcap"]
    assert read_info(done.path) == info
    found, closed = read(done.path)
    sent = [ros_messages.encode(ros_messages.joint_state(["j"], [float(k)], k + 1)) for k in range(5)]
    assert found == [("/joint_states", 10 * k + 7, 10 * k, sent[k]) for k in range(5)]
    assert closed == {
        "reason": "recovered",
        "messages": "5",
        "recovered": "true",
        "lost_bytes": "0",
        "cut": f"cut after byte {size}",
    }
    again = recover(done.path)
    assert again == Recovery(done.path, 5, 0, was_complete=True)
    assert str(again) == f"{tmp_path}/e.mcap: already complete, 5 messages"


def test_the_bytes_that_were_lost_are_counted(claw, tmp_path):
    part = cut(claw, tmp_path / "e.mcap", lost=3)
    size = part.stat().st_size
    done = recover(part)
    assert done.messages == 4 or done.messages == 5
    assert 0 < done.lost_bytes < size / 2
    assert read(done.path)[1]["lost_bytes"] == str(done.lost_bytes)
    assert str(done).endswith(f"lost {done.lost_bytes} bytes at the cut")


def test_a_file_cut_in_its_summary_keeps_the_reason_it_was_closed_for(claw, make):
    made = make(claw, 3, reason="drop")
    made.path.write_bytes(made.path.read_bytes()[:-20])
    recover(made.path)
    episode = read_episode(made.path)
    assert episode.complete
    assert (episode.closed["reason"], episode.closed["recovered"]) == ("drop", "true")


def test_a_whole_file_under_a_cut_files_name_is_only_renamed(claw, make, tmp_path):
    made = make(claw, 3)
    content = made.path.read_bytes()
    part = made.path.rename(tmp_path / "x.mcap.part")
    done = recover(part)
    assert (done.path, done.was_complete, done.lost_bytes) == (tmp_path / "x.mcap", True, 0)
    assert done.path.read_bytes() == content
    assert not part.exists()


def test_what_says_nothing_of_itself_is_left_as_it_is(claw, tmp_path):
    path = tmp_path / "e.mcap.part"
    path.write_bytes(b"\x89MCAP0\r\n")
    with pytest.raises(EpisodeError, match="nothing to recover: cut after byte 8"):
        recover(path)
    assert path.read_bytes() == b"\x89MCAP0\r\n"
    with pytest.raises(EpisodeError, match=r"none\.mcap: cannot be read"):
        recover(tmp_path / "none.mcap")


def test_what_recoveries_and_writers_that_died_left_is_taken_away(claw, tmp_path):
    part = cut(claw, tmp_path / "deep" / "e.mcap")
    cut(claw, tmp_path / "deep" / "f.mcap")
    left = [
        tmp_path / "deep" / "e.mcap.recovering",
        tmp_path / "deep" / "e.mcap.recovering.part",
        tmp_path / "deep" / ".f.mcap.77.begun",
    ]
    for path in left:
        path.write_bytes(b"half")
    busy = tmp_path / "deep" / ".g.mcap.78.begun"
    busy.write_bytes(b"")
    kept = tmp_path / "deep" / "notes.txt"
    kept.write_text("mine")
    with busy.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        done = recover_folder(tmp_path)
    assert ([r.path.name for r in done.recovered], done.failed, done.busy) == (["e.mcap", "f.mcap"], [], [])
    assert {p.name for p in part.parent.iterdir()} == {"e.mcap", "f.mcap", busy.name, "notes.txt"}


def test_files_that_cannot_be_read_now_may_be_later(claw, tmp_path):
    """A folder in place of a file is an error of the file system, not of what is in it."""
    (tmp_path / "e.mcap.part").mkdir()
    done = recover_folder(tmp_path)
    assert len(done.failed) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["e.mcap.part"]


def test_a_file_whose_contract_is_damaged_is_put_aside(claw, tmp_path):
    part = cut(claw, tmp_path / "e.mcap")
    content = part.read_bytes()
    assert b"format_version: 1" in content
    part.write_bytes(content.replace(b"format_version: 1", b"format_version: 9"))
    done = recover_folder(tmp_path)
    assert len(done.failed) == 1
    assert "e.mcap.part" in done.failed[0]
    assert [p.name for p in tmp_path.iterdir()] == ["e.mcap.part.unreadable"]


def test_a_summary_names_only_what_there_is():
    assert str(FolderRecovery()) == "0 cut episodes recovered"
    assert str(FolderRecovery([], ["why"], [Path("a"), Path("b")])) == (
        "0 cut episodes recovered, 1 could not be, 2 being written"
    )
