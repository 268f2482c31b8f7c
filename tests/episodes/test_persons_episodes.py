# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Episodes that a person begins and ends, around commands on the hand's own topic."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mbrl_controller.base.errors import EpisodeError
from mbrl_controller.base.resources import share_dir
from mbrl_controller.contract.contract import load_contract
from mbrl_controller.episodes import ros_messages
from mbrl_controller.episodes.announcements import make_event
from mbrl_controller.episodes.episode_topics import OWN_EPISODE
from mbrl_controller.episodes.metadata import CONTROLLER, OTHERS, EpisodeInfo
from mbrl_controller.episodes.reader import read_episode, read_info
from mbrl_controller.episodes.recorder import CONTROLLER_BEGAN, Recorder
from mbrl_controller.episodes.recovery import recover_folder
from mbrl_controller.episodes.transitions import transitions

from .test_recorder import Stream, files, wait

CLAW = load_contract(share_dir() / "config" / "claw_valve.yaml")
TOPICS = dict(EpisodeInfo("", 0).of_contract(CLAW).topics) | {
    OWN_EPISODE: "/logger/episode",
    CLAW.destinations[0].role: "/hand/commands",
}
PERIOD = 100_000_000


class Person(Stream):
    """Commands the hand over its own topic, and tells the logger of begin and end."""

    def __init__(self, recorder: Recorder, made_up) -> None:
        super().__init__(recorder, made_up)
        self.commands = np.round(self.commands / 10, 3)  # slow enough to be no doubt

    def tell(self, kind: str, **more: object) -> None:
        self.recorder.offer(*make_event("/logger/episode", self.now, kind, **more))

    def send(self, k: int) -> None:
        message = ros_messages.multi_array(self.commands[k])
        self.recorder.offer("/hand/commands", message.__msgtype__, ros_messages.encode(message), self.now)

    def move(self) -> None:
        """States and commands of six periods, and the last state."""
        for k in range(6):
            self.state(k)
            self.send(k)
            self.now += PERIOD
        self.state(6)


def make_recorder(folder: Path, ended: list, **options) -> Recorder:
    options = {"after_s": 0.1, "silence_s": 1000.0} | options
    return Recorder(CLAW, folder, TOPICS, on_end=lambda path, reason: ended.append((path, reason)), **options)


@pytest.fixture
def ended() -> list:
    return []


@pytest.fixture
def person(tmp_path, made_up, ended):
    recorder = make_recorder(tmp_path, ended, now_ns=lambda: person.now)
    person = Person(recorder, made_up)
    recorder.start()
    yield person
    recorder.stop()


def test_states_and_commands_of_anybody_become_transitions(person, tmp_path, ended):
    person.tell("begin", session="by-hand")
    person.move()
    person.tell("end", reason="enough")
    wait(lambda: ended)
    path = tmp_path / "by-hand" / "episode_0000.mcap"
    assert ended == [(path, "enough")]
    assert read_info(path).commanded_by == OTHERS
    episode = read_episode(path, CLAW)
    assert not episode.rejected
    found = transitions(episode)
    assert found.state.tobytes() == person.states[:-1].tobytes()
    assert found.next_state.tobytes() == person.states[1:].tobytes()
    np.testing.assert_array_equal(found.action, person.commands)
    fast = transitions(read_episode(path, CLAW, only_for_transitions=True))
    np.testing.assert_array_equal(fast.state, found.state)


@pytest.mark.parametrize(("why", "left"), [("DISPUTED", 0), ("NONE", 6), ("", 6), (2, 6)])
def test_what_the_logger_doubts_is_left_out(person, tmp_path, ended, why, left):
    person.tell("begin", session="by-hand")
    person.move()
    person.tell("doubt", why=why)
    person.tell("end")
    wait(lambda: ended)
    found = transitions(read_episode(tmp_path / "by-hand" / "episode_0000.mcap", CLAW))
    assert len(found) == left
    assert dict(found.skipped) == ({} if left else {"a state had several publishers": 6})


def test_a_doubt_long_past_is_past(person, tmp_path, ended):
    person.tell("begin", session="by-hand")
    person.now -= 1_500_000_000
    person.tell("doubt", why="DISPUTED")
    person.now += 1_500_000_000
    person.move()
    person.tell("end")
    wait(lambda: ended)
    assert len(transitions(read_episode(tmp_path / "by-hand" / "episode_0000.mcap", CLAW))) == 6


def test_the_controllers_episode_splits_a_persons_and_both_are_kept(person, tmp_path, ended):
    person.tell("begin", session="by-hand")
    person.move()
    person.episode(3)
    wait(lambda: person.recorder.status.episodes == 2)
    assert files(tmp_path) == ["by-hand/episode_0000.mcap", "s/episode_0003.mcap"]
    assert ended == [(tmp_path / "by-hand/episode_0000.mcap", CONTROLLER_BEGAN)]
    assert len(transitions(read_episode(tmp_path / "by-hand/episode_0000.mcap", CLAW))) >= 5
    assert len(transitions(read_episode(tmp_path / "s/episode_0003.mcap", CLAW))) == 6


def test_a_person_cannot_begin_while_the_controller_ticks(person, tmp_path, ended):
    said = []
    person.recorder._on_event = said.append
    person.state(0)
    person.event("begin", 0)
    person.command(0)
    person.offer("tick", ros_messages.multi_array([0.0], ["stamp"]))
    person.tell("begin")
    wait(lambda: said and "not begun" in said[-1])
    assert not person.recorder.status.by_others
    assert read_info(next(tmp_path.rglob("*.part"))).commanded_by == CONTROLLER


def test_the_episode_of_a_controller_that_is_gone_is_closed_for_a_persons(person, tmp_path):
    person.state(0)
    person.event("begin", 0)
    person.command(0)
    person.tell("begin", session="by-hand")
    person.move()
    wait(lambda: person.recorder.status.by_others and person.recorder.status.file)
    assert files(tmp_path)[-1] == "s/episode_0000.mcap"


def test_the_end_of_a_controllers_episode_is_not_a_persons(person, ended):
    person.tell("begin")
    person.move()
    person.event("end", 0)
    person.tell("end", reason="enough")
    wait(lambda: ended)
    assert ended[0][1] == "enough"


def test_a_second_begin_ends_the_first(person, tmp_path, ended):
    person.tell("begin", session="a")
    person.move()
    person.tell("begin", session="b")
    person.move()
    person.tell("end")
    wait(lambda: len(ended) == 2)
    assert files(tmp_path) == ["a/episode_0000.mcap", "b/episode_0000.mcap"]


def test_an_end_without_a_begin_does_nothing(person, tmp_path, ended):
    person.tell("end")
    person.tell("begin")
    person.move()
    person.tell("end")
    wait(lambda: ended)
    assert len(files(tmp_path)) == len(ended) == 1


def test_without_a_command_there_is_no_file_and_that_is_told(person, tmp_path, ended):
    person.tell("begin")
    person.state(0)
    wait(lambda: person.recorder.status.silent == ("/hand/commands",))
    assert person.recorder.status.by_others
    person.tell("end", reason="enough")
    wait(lambda: ended)
    assert ended == [(None, "enough")]
    assert files(tmp_path) == []


@pytest.mark.parametrize(
    ("options", "why"),
    [({"max_episode_s": 0.05}, "timeout"), ({"silence_s": 0.05}, "nothing on /joint_states for 0.05 s")],
)
def test_an_episode_ends_by_itself(tmp_path, made_up, ended, options, why):
    recorder = make_recorder(tmp_path, ended, now_ns=lambda: person.now, **options)
    person = Person(recorder, made_up)
    recorder.start()
    person.tell("begin")
    person.move()
    wait(lambda: ended)
    assert ended[0][1] == why
    recorder.stop()
    assert len(transitions(read_episode(ended[0][0], CLAW))) == 6


def test_deactivation_ends_an_episode_whole(tmp_path, made_up, ended):
    recorder = make_recorder(tmp_path, ended, now_ns=lambda: person.now)
    person = Person(recorder, made_up)
    recorder.start()
    person.tell("begin")
    person.move()
    recorder.stop()
    assert [reason for _, reason in ended] == ["logger stopped"]
    assert len(transitions(read_episode(ended[0][0], CLAW))) == 6


def test_an_episode_that_was_cut_is_recovered_with_what_came(tmp_path, made_up, ended, monkeypatch):
    recorder = make_recorder(tmp_path, ended)
    person = Person(recorder, made_up)
    recorder.start()
    person.tell("begin")
    person.move()
    wait(lambda: recorder.status.messages >= 6)
    recorder._flush()
    (cut,) = tmp_path.rglob("*.part")
    elsewhere = tmp_path / "after a power cut" / cut.name
    elsewhere.parent.mkdir()
    wait(lambda: elsewhere.write_bytes(cut.read_bytes()) and len(read_episode(elsewhere).sources["joint_states"]) == 7)
    assert recover_folder(elsewhere.parent).recovered
    rows = transitions(read_episode(elsewhere.with_suffix(""), CLAW))
    assert len(rows) >= 5
    recorder.stop()


def test_a_stamp_that_is_damaged_is_told_and_takes_no_memory(person, tmp_path, ended):
    person.tell("begin")
    person.move()
    person.now += 10**18
    person.tell("end")
    wait(lambda: ended)
    with pytest.raises(EpisodeError, match="days"):
        read_episode(ended[0][0], CLAW)
