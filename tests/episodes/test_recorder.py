# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The recorder makes files of a stream of messages, and survives what disks and senders do to it."""

from __future__ import annotations

import json
import os
import time
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest

from mbrl_controller.base.resources import share_dir
from mbrl_controller.contract import ros_types
from mbrl_controller.contract.contract import load_contract
from mbrl_controller.contract.state_assembly import split_state
from mbrl_controller.episodes import ros_messages
from mbrl_controller.episodes.metadata import EpisodeInfo
from mbrl_controller.episodes.reader import read_episode
from mbrl_controller.episodes.recorder import Recorder, RecorderStatus
from mbrl_controller.episodes.source_messages import source_message
from mbrl_controller.episodes.transitions import transitions

CLAW = load_contract(share_dir() / "config" / "claw_valve.yaml")
TOPICS = EpisodeInfo("", 0).of_contract(CLAW).topics
PERIOD = 100_000_000


class Stream:
    """Sends an episode to a recorder, as a controller and a hand would."""

    def __init__(self, recorder: Recorder, made_up) -> None:
        self.recorder = recorder
        self.states, self.commands, _ = made_up(CLAW, 6)
        self.now = 10 * PERIOD

    def offer(self, role: str, message) -> None:
        self.recorder.offer(TOPICS[role], message.__msgtype__, ros_messages.encode(message), self.now)

    def event(self, kind: str, number: object = 0, session: object = "s", **more: object) -> None:
        content = {"event": kind, "episode": number, "session": session, "stamp": self.now / 1e9, **more}
        self.offer("episode", ros_messages.json_string(content))

    def state(self, k: int) -> None:
        for source, values in zip(CLAW.sources, split_state(CLAW, self.states[k]), strict=True):
            self.offer(source.topic, source_message(source, values, self.now))

    def command(self, k: int) -> None:
        self.offer("command", ros_messages.joint_state(CLAW.action.names, self.commands[k], self.now))

    def episode(self, number: int, **more: object) -> None:
        self.state(0)
        self.event("begin", number, **more)
        for k in range(6):
            if k:
                self.state(k)
            self.command(k)
            self.now += PERIOD
        self.event("end", number, reason="time-out")
        self.state(6)


@pytest.fixture
def stream(tmp_path: Path, made_up):
    recorder = Recorder(CLAW, tmp_path / "valve", TOPICS, after_s=0.1)
    recorder.start()
    yield Stream(recorder, made_up)
    recorder.stop()


def wait(condition) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def files(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_an_episode_becomes_a_file_with_the_state_before_its_first_command(stream, tmp_path):
    stream.episode(0, model_version="v0007")
    wait(lambda: stream.recorder.status.episodes == 1)
    assert files(tmp_path) == ["valve/s/episode_0000.mcap"]
    episode = read_episode(tmp_path / "valve/s/episode_0000.mcap", CLAW)
    found = transitions(episode)
    assert found.state.tobytes() == stream.states[:-1].tobytes()
    assert found.next_state.tobytes() == stream.states[1:].tobytes()
    assert found.action.tobytes() == stream.commands.tobytes()
    assert (episode.closed["reason"], episode.info.model_version) == ("time-out", "v0007")
    assert not stream.recorder.status.recording
    assert stream.recorder.status.silent == ()


def test_what_came_before_the_first_command_is_on_the_disk_as_soon_as_the_file_is(tmp_path, made_up):
    recorder = Recorder(CLAW, tmp_path, TOPICS, flush_s=1e9)
    stream = Stream(recorder, made_up)
    stream.state(0)
    stream.event("begin")
    stream.command(0)
    recorder.start()
    wait(lambda: recorder.status.messages >= len(CLAW.sources) + 1)
    part = next(tmp_path.rglob("*.part"))
    wait(lambda: len(read_episode(part).commands) == 1)
    assert all(len(series) == 1 for series in read_episode(part).sources.values())
    recorder.stop()


def test_topics_of_which_nothing_comes_are_named(stream):
    stream.event("begin")
    stream.command(0)
    wait(lambda: stream.recorder.status.recording)
    wait(lambda: stream.recorder.status.silent == ("/joint_states", "/valve/joint_states"))


def test_episodes_that_follow_at_once_do_not_mix(stream, tmp_path):
    for number in range(3):
        stream.episode(number)
    wait(lambda: stream.recorder.status.episodes == 3)
    for number in range(3):
        episode = read_episode(tmp_path / f"valve/s/episode_{number:04d}.mcap")
        assert transitions(episode).action.tobytes() == stream.commands.tobytes()
        mine = [event["event"] for event in episode.events if event["episode"] == number]
        assert mine == ["begin", "end"]


def test_a_file_says_what_ended_it(stream, tmp_path):
    stream.event("begin", 0)
    stream.command(0)
    stream.now += 5 * PERIOD
    stream.event("begin", 1)  # the end of the first was lost
    stream.command(1)
    stream.now += PERIOD
    stream.event("end", 1)
    stream.now += 5 * PERIOD
    stream.event("begin", 2)  # before the time to wait for what comes after an end is over
    stream.command(2)
    stream.recorder.stop()
    reasons = [read_episode(tmp_path / f"valve/s/episode_000{k}.mcap").closed["reason"] for k in range(3)]
    assert reasons == ["the next episode began", "end", "logger stopped"]


def test_a_begin_that_comes_after_its_first_command_loses_nothing(stream, tmp_path):
    stream.state(0)
    stream.command(0)
    stream.event("begin")
    stream.now += PERIOD
    stream.state(1)
    stream.command(1)
    stream.now += PERIOD
    stream.state(2)
    stream.event("end")
    wait(lambda: stream.recorder.status.episodes == 1)
    assert len(transitions(read_episode(tmp_path / "valve/s/episode_0000.mcap"))) == 2


def test_an_episode_of_one_command_that_overtook_its_begin_is_kept(stream, tmp_path):
    begun = stream.now
    stream.state(0)
    stream.command(0)
    stream.event("begin", stamp=begun / 1e9)
    stream.now += PERIOD
    stream.state(1)
    stream.event("end")
    wait(lambda: stream.recorder.status.episodes == 1)
    episode = read_episode(tmp_path / "valve/s/episode_0000.mcap")
    assert len(transitions(episode)) == 1
    assert [event["event"] for event in episode.events] == ["begin", "end"]


def test_a_late_logger_makes_no_files_of_old_events_and_logs_the_rest_of_this_episode(stream, tmp_path):
    for number in range(3):
        stream.event("begin", number)
        stream.event("end", number)
    stream.event("begin", 3)
    for k in range(3):
        stream.state(k)
        stream.command(k)
        stream.now += PERIOD
    wait(lambda: stream.recorder.status.messages > 5)
    assert stream.recorder.status.recording
    stream.recorder.stop()
    assert files(tmp_path) == ["valve/s/episode_0003.mcap"]
    assert read_episode(tmp_path / "valve/s/episode_0003.mcap").closed["reason"] == "logger stopped"


def test_commands_between_old_events_do_not_bring_episodes_back(stream, tmp_path):
    """A logger that was killed is told of all episodes so far while the commands of the last one come in."""
    begun = stream.now / 1e9 - 100
    for number in range(4):
        stream.event("begin", number, stamp=begun + number)
        stream.state(0)
        stream.command(number)
        stream.now += PERIOD
        if number < 3:
            stream.event("end", number)
    wait(lambda: stream.command(4) or stream.recorder.status.messages)
    stream.recorder.stop()
    assert files(tmp_path) == ["valve/s/episode_0003.mcap"]
    episode = read_episode(tmp_path / "valve/s/episode_0003.mcap")
    assert np.array_equal(episode.commands.values[:4], stream.commands[:4])  # those before it was open, too


def test_a_number_that_is_taken_is_not_overwritten(stream, tmp_path):
    for done in (1, 2, 3):
        stream.episode(0)
        wait(lambda done=done: stream.recorder.status.episodes == done)
    assert files(tmp_path) == [f"valve/s/episode_000{k}.mcap" for k in range(3)]
    for k in range(3):
        info = read_episode(tmp_path / f"valve/s/episode_000{k}.mcap").info
        assert (info.key, info.model_version) == (f"claw/s/000{k}", "")


def test_the_number_of_a_file_that_a_dead_logger_left_is_taken_too(stream, tmp_path):
    left = tmp_path / "valve/s/episode_0000.mcap.part"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"what it had written")
    stream.episode(0)
    wait(lambda: stream.recorder.status.episodes == 1 or stream.recorder.status.problem)
    assert stream.recorder.status.problem == ""
    assert files(tmp_path) == ["valve/s/episode_0000.mcap.part", "valve/s/episode_0001.mcap"]
    assert left.read_bytes() == b"what it had written"
    assert len(transitions(read_episode(tmp_path / "valve/s/episode_0001.mcap"))) == 6


@pytest.mark.parametrize(("settle_s", "after_s", "opened"), [(1e9, 0.9, True), (1e9, 1.1, False), (0.0, 5.0, True)])
def test_a_command_of_long_after_a_begin_opens_no_file_before_the_next_begin_could_have_come(
    tmp_path, made_up, monkeypatch, settle_s, after_s, opened
):
    """A late logger is told of episodes long over, and hears the commands of now."""
    monkeypatch.setattr("mbrl_controller.episodes.episode_topics.SETTLE_S", settle_s)
    recorder = Recorder(CLAW, tmp_path / "valve", TOPICS)
    stream = Stream(recorder, made_up)
    stream.event("begin", 7)
    stream.now += ros_messages.to_ns(after_s)
    stream.command(0)
    recorder.start()
    recorder.stop()
    assert files(tmp_path) == (["valve/s/episode_0007.mcap"] if opened else [])


@pytest.mark.parametrize("session", ["../../up", "", None, 7, "a/b", ".hidden"])
def test_a_session_name_never_leaves_the_folder(stream, tmp_path, session):
    stream.episode(-1, session=session)
    wait(lambda: stream.recorder.status.episodes == 1)
    (name,) = files(tmp_path)
    assert name.startswith("valve/2")
    assert name.endswith("Z/episode_0000.mcap")


def test_odd_events_do_no_harm(stream, tmp_path):
    for text in ("", "[]", "{", "3", '{"event": 3}', '{"event": "begin", "episode": "x"}'):
        stream.offer("episode", ros_messages.string(text))
    stream.recorder.offer(TOPICS["episode"], ros_types.STRING, b"\x00", 1)
    stream.episode(4)
    wait(lambda: stream.recorder.status.episodes == 1)
    assert stream.recorder.status.problem == ""


def test_a_disk_that_fails_ends_this_file_and_the_next_episode_tries_again(stream, tmp_path, monkeypatch):
    stream.event("begin", 0)
    stream.state(0)
    stream.command(0)
    wait(lambda: stream.recorder.status.messages > 3)
    time.sleep(0.3)  # for the flush of what was received

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        wait(lambda: stream.command(1) or stream.recorder.status.problem)
        status = stream.recorder.status
        assert "No space left on device" in status.problem
        assert not status.recording
        stream.command(2)
    stream.event("end", 0)
    stream.episode(1)
    wait(lambda: stream.recorder.status.episodes == 1)
    assert stream.recorder.status.problem == ""
    assert files(tmp_path) == ["valve/s/episode_0000.mcap.part", "valve/s/episode_0001.mcap"]
    stream.recorder.stop()
    assert files(tmp_path) == ["valve/s/episode_0000.mcap", "valve/s/episode_0001.mcap"]


def test_what_the_disk_cannot_keep_up_with_is_dropped_and_counted(tmp_path, made_up):
    recorder = Recorder(CLAW, tmp_path / "valve", TOPICS, queue_size=5)
    stream = Stream(recorder, made_up)
    stream.event("begin")
    for _ in range(7):
        stream.command(0)
    assert recorder.status.dropped == 3
    recorder.start()
    recorder.stop()
    assert recorder.status.dropped == 3
    assert read_episode(tmp_path / "valve/s/episode_0000.mcap").closed["dropped"] == "3"


def test_it_says_what_it_does(tmp_path, made_up):
    said: list[str] = []
    recorder = Recorder(CLAW, tmp_path, TOPICS, after_s=0.05, on_event=said.append)
    recorder.stop()  # it has not begun
    recorder.start()
    stream = Stream(recorder, made_up)
    path = tmp_path / "s/episode_0002.mcap"
    assert recorder.status == RecorderStatus(silent=("/joint_states", "/valve/joint_states", "/controller/command"))
    stream.event("begin", 2)
    wait(lambda: recorder.status.recording)
    assert (recorder.status.file, recorder.status.messages, said) == ("", 0, [])
    stream.command(0)
    wait(lambda: recorder.status.messages == 2)
    assert (recorder.status.file, recorder.status.episodes) == (str(path), 0)
    assert said == [f"logging to {path}"]
    stream.now += PERIOD
    stream.event("end", 2, reason="stopped by hand")
    wait(lambda: recorder.status.episodes == 1)
    assert (recorder.status.recording, recorder.status.file, recorder.status.messages) == (False, "", 3)
    assert said[1:] == [f"{path}: 3 messages, stopped by hand"]
    recorder.stop()
    recorder.stop()
    assert len(said) == 2


def test_an_episode_that_came_to_nothing_is_recorded_no_more_after_its_end(stream, tmp_path):
    stream.event("begin")
    wait(lambda: stream.recorder.status.recording)
    stream.event("end")
    wait(lambda: not stream.recorder.status.recording)
    stream.command(0)
    stream.recorder.stop()
    assert files(tmp_path) == []


def test_a_file_tells_what_was_announced_and_where_topics_were(tmp_path, made_up):
    elsewhere = {**TOPICS, "command": "/left/command", "episode": "/left/episode"}
    recorder = Recorder(CLAW, tmp_path, elsewhere)
    stream = Stream(recorder, made_up)

    def offer(role, message):
        recorder.offer(elsewhere[role], message.__msgtype__, ros_messages.encode(message), stream.now)

    stream.offer = offer
    stream.event("begin", 3, model_version="v" * 300, mood="\ud800")
    stream.state(0)
    stream.command(0)
    recorder.start()
    recorder.stop()
    episode = read_episode(tmp_path / "s/episode_0003.mcap")
    assert (episode.info.source, dict(episode.info.topics)) == ("logger", elsewhere)
    assert episode.info.model_version == "v" * 200
    announced = json.loads(episode.info.extra["announced"])
    assert (announced["event"], announced["episode"], announced["stamp"]) == ("begin", 3, stream.now / 1e9)
    assert (len(episode.commands), len(episode.events)) == (1, 1)


@pytest.mark.parametrize(
    ("number", "name"),
    [(12345, "episode_12345"), (True, "episode_0000"), (10**8, "episode_0000"), (1.0, "episode_0000")],
)
def test_a_number_that_is_none_is_0(stream, tmp_path, number, name):
    stream.event("begin", number)
    stream.command(0)
    stream.recorder.stop()
    assert files(tmp_path) == [f"valve/s/{name}.mcap"]


def test_only_what_came_shortly_before_an_episode_is_of_it(tmp_path, made_up):
    recorder = Recorder(CLAW, tmp_path, TOPICS, before_s=0.8)
    recorder.start()
    stream = Stream(recorder, made_up)
    stream.state(0)
    time.sleep(1.0)
    stream.now += PERIOD
    stream.state(1)
    stream.event("begin")
    stream.command(0)
    recorder.stop()
    episode = read_episode(tmp_path / "s/episode_0000.mcap")
    assert all(series.stamps.tolist() == [stream.now] for series in episode.sources.values())


def test_the_begin_of_an_episode_is_in_its_file_however_long_ago_it_came(tmp_path, made_up):
    recorder = Recorder(CLAW, tmp_path, TOPICS, before_s=0.1)
    recorder.start()
    stream = Stream(recorder, made_up)
    stream.event("begin")
    begun = stream.now
    wait(lambda: recorder.status.recording)
    time.sleep(0.3)
    stream.state(0)
    stream.now += PERIOD
    stream.command(0)
    recorder.stop()
    episode = read_episode(tmp_path / "s/episode_0000.mcap")
    assert [event["event"] for event in episode.events] == ["begin"]
    assert episode.begin_ns == begun
    assert len(episode.commands) == 1


def test_a_folder_that_cannot_be_written_is_told_and_tried_again(tmp_path, made_up):
    (tmp_path / "s").write_text("in the way")
    recorder = Recorder(CLAW, tmp_path, TOPICS)
    recorder.start()
    stream = Stream(recorder, made_up)
    stream.event("begin")
    stream.command(0)
    wait(lambda: recorder.status.problem)
    assert "episode_0000.mcap: cannot be written: " in recorder.status.problem
    assert not recorder.status.recording
    (tmp_path / "s").unlink()
    stream.episode(0)
    recorder.stop()
    assert recorder.status.problem == ""
    assert files(tmp_path) == ["s/episode_0000.mcap"]


def test_what_was_received_is_on_the_disk_when_nothing_more_comes(tmp_path, made_up):
    recorder = Recorder(CLAW, tmp_path, TOPICS, flush_s=1e9)
    recorder.start()
    stream = Stream(recorder, made_up)
    stream.event("begin")
    for k in range(3):
        stream.command(k)
        stream.now += PERIOD
        wait(lambda k=k: recorder.status.messages == k + 2)
    part = next(tmp_path.rglob("*.part"))
    wait(lambda: len(read_episode(part).commands) == 3)
    recorder.stop()


@pytest.mark.parametrize(
    ("after_s", "first"), [(-0.005, False), (-0.0005, True), (0.0, True), (0.15, True), (0.19, True), (0.25, False)]
)
def test_a_command_that_overtook_the_begin_is_the_first_if_its_stamp_says_so(tmp_path, made_up, after_s, first):
    recorder = Recorder(CLAW, tmp_path, TOPICS)
    stream = Stream(recorder, made_up)
    stream.command(0)
    stream.event("begin", stamp=stream.now / 1e9 - after_s)
    stream.event("end")
    recorder.start()
    recorder.stop()
    assert files(tmp_path) == (["s/episode_0000.mcap"] if first else [])


def full(*_: object) -> int:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("ended", [False, True])
def test_a_disk_that_is_full_when_nothing_more_comes_is_told(tmp_path, made_up, monkeypatch, ended):
    recorder = Recorder(CLAW, tmp_path, TOPICS, after_s=0.0, flush_s=1e9)
    stream = Stream(recorder, made_up)
    stream.event("begin")
    stream.command(0)
    if not ended:
        recorder.start()
        wait(lambda: recorder.status.messages == 2)
        time.sleep(0.2)
        monkeypatch.setattr(os, "write", full)
        stream.command(1)
    else:
        monkeypatch.setattr(os, "rename", full)
        stream.event("end")
        recorder.start()
    wait(lambda: recorder.status.problem)
    assert "episode_0000.mcap.part: cannot be written: No space left on device" in recorder.status.problem
    assert (recorder.status.recording, recorder.status.file, recorder.status.episodes) == (False, "", 0)
    monkeypatch.undo()
    recorder.stop()
    assert files(tmp_path) == ["s/episode_0000.mcap"]


def test_a_session_without_a_name_has_the_time_of_its_begin_in_utc(tmp_path, made_up, monkeypatch):
    monkeypatch.setenv("TZ", "AAA-5")
    time.tzset()
    try:
        recorder = Recorder(CLAW, tmp_path, TOPICS)
    finally:
        monkeypatch.undo()
        time.tzset()
    stream = Stream(recorder, made_up)
    stream.event("begin", session="")
    stream.command(0)
    recorder.start()
    recorder.stop()
    (folder,) = tmp_path.iterdir()
    begun = datetime.strptime(folder.name, "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)
    assert abs((datetime.now(timezone.utc) - begun).total_seconds()) < 600


def test_before_an_episode_no_more_is_kept_than_the_queue_holds(tmp_path, made_up):
    recorder = Recorder(CLAW, tmp_path, TOPICS, queue_size=3, before_s=1e9)
    recorder.start()
    stream = Stream(recorder, made_up)
    for k in range(6):
        stream.now += PERIOD
        stream.command(k)
        time.sleep(0.05)
    stream.event("begin")
    time.sleep(0.05)
    recorder.stop()
    assert len(read_episode(tmp_path / "s/episode_0000.mcap").commands) == 3


def test_a_reason_that_no_file_can_hold_is_told_as_well_as_it_can_be(stream, tmp_path):
    stream.event("begin")
    stream.command(0)
    stream.now += PERIOD
    stream.event("end", reason="half a \ud800 and too long " + "x" * 300)
    wait(lambda: stream.recorder.status.episodes == 1)
    reason = read_episode(tmp_path / "valve/s/episode_0000.mcap").closed["reason"]
    assert reason.startswith("half a ? and too long xxx")
    assert len(reason) == 200


@pytest.mark.parametrize(
    ("type_name", "data", "why"),
    [("my_msgs/msg/Secret", b"", "message type 'my_msgs/msg/Secret'"), (ros_types.STRING, None, "TypeError: ")],
)
def test_what_cannot_be_written_ends_this_file_and_is_told(tmp_path, made_up, type_name, data, why):
    said: list[str] = []
    recorder = Recorder(CLAW, tmp_path, TOPICS, before_s=0.1, after_s=0.1, on_event=said.append)
    recorder.start()
    stream = Stream(recorder, made_up)
    stream.event("begin", 0)
    stream.command(0)
    recorder.offer("/odd", type_name, data, 1)
    wait(lambda: len(said) == 2)
    assert (recorder.status.recording, recorder.status.file) == (False, "")
    assert recorder.status.problem.startswith(why)
    assert said[1] == f"logging stopped until the next episode: {recorder.status.problem}"
    stream.command(1)
    stream.event("end", 0)
    time.sleep(0.2)  # until it is forgotten
    stream.episode(1)
    wait(lambda: recorder.status.episodes == 1)
    assert recorder.status.problem == ""
    recorder.stop()
    assert files(tmp_path) == ["s/episode_0000.mcap", "s/episode_0001.mcap"]
    assert said[-1] == "1 cut episodes recovered"
