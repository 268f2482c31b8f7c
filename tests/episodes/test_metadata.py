# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What an episode says about itself comes back as it was written, and what is missing or damaged is named."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from mbrl_controller.base.errors import EpisodeError
from mbrl_controller.episodes.metadata import CONTROLLER, SESSION_NAME, EpisodeInfo, absolute

FULL = EpisodeInfo(
    session="monday",
    episode=7,
    seed=0,
    model_version="v0003",
    model_digest="abc",
    source="logger",
    topics={"command": "/left/command"},
    extra={"announced": '{"a": 1}'},
    task="other",
    robot="another",
    started="2025-01-02T03:04:05.678+00:00",
)


def test_metadata_and_back(claw):
    assert EpisodeInfo.from_metadata(FULL.to_metadata(claw), "e.mcap") == FULL
    assert EpisodeInfo.from_metadata(EpisodeInfo("s", 0).to_metadata(claw), "e.mcap") == EpisodeInfo("s", 0)
    entries = FULL.to_metadata(claw)
    assert (entries["contract"], entries["contract_digest"]) == (claw.text, claw.digest)
    assert all(isinstance(value, str) for value in entries.values())


def test_the_contract_says_task_robot_and_where_topics_are_unless_they_are_elsewhere(claw):
    before = datetime.now(timezone.utc)
    filled = EpisodeInfo("s", 3, topics={"command": "/left/command"}).of_contract(claw)
    assert (filled.task, filled.robot, filled.key) == ("valve", "claw", "claw/s/0003")
    assert filled.topics == {
        "joint_states": "/joint_states",
        "valve/joint_states": "/valve/joint_states",
        "command": "/left/command",
        "goal": "/controller/goal",
        "tick": "/controller/tick",
        "episode": "/controller/episode",
    }
    started = datetime.fromisoformat(filled.started)
    assert abs((started - before).total_seconds()) < 60
    assert started.utcoffset() is not None
    assert len(filled.started) == len("2025-01-02T03:04:05.678+00:00")
    assert FULL.of_contract(claw).started == FULL.started
    assert FULL.of_contract(claw).seed == 0


@pytest.mark.parametrize("name", sorted(set(EpisodeInfo("s", 0).__dataclass_fields__) - {"commanded_by", "world"}))
def test_what_is_missing_is_named(claw, name):
    entries = FULL.to_metadata(claw)
    del entries[name]
    with pytest.raises(EpisodeError, match=rf"e\.mcap: its metadata lacks '{name}'"):
        EpisodeInfo.from_metadata(entries, "e.mcap")


@pytest.mark.parametrize(
    "damage",
    [{"topics": "{"}, {"topics": "[]"}, {"extra": "3"}, {"episode": "x"}, {"seed": "x"}, {"extra": "[" * 9999}],
)
def test_what_is_damaged_is_an_error_that_names_the_file(claw, damage):
    with pytest.raises(EpisodeError, match=r"e\.mcap: its metadata is damaged"):
        EpisodeInfo.from_metadata({**FULL.to_metadata(claw), **damage}, "e.mcap")


@pytest.mark.parametrize("version", [None, "", "2"])
def test_another_format_is_told_from_a_damaged_one(claw, version):
    entries = {"format_version": version} if version is not None else {}
    with pytest.raises(EpisodeError, match=rf"e\.mcap: episode format {version!r}, this version reads '1'"):
        EpisodeInfo.from_metadata(entries, "e.mcap")


def test_names_of_topics_and_sessions():
    assert (absolute("a/b"), absolute("/a/b")) == ("/a/b", "/a/b")
    for name in ("s", "20250102T030405Z", "a.b-c_d", "ü" * 100):
        assert SESSION_NAME.fullmatch(name)
    for name in ("", ".a", "-a", "a/b", "a b", "a" * 101, "a\n"):
        assert not SESSION_NAME.fullmatch(name)


def test_episodes_of_before_are_the_controllers(claw):
    entries = FULL.to_metadata(claw)
    del entries["commanded_by"], entries["world"]
    old = EpisodeInfo.from_metadata(entries, "e.mcap")
    assert (old.commanded_by, old.world) == (CONTROLLER, "")
