# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Which episodes a name stands for, and how the replay goes along one."""

from __future__ import annotations

import pytest

from mbrl_controller.base.errors import EpisodeError
from mbrl_controller.replay.player import Player
from mbrl_controller.replay.playlist import find_episodes


def test_a_session_is_all_of_its_episodes_and_a_broken_one_is_said(make, tmp_path) -> None:
    first, second = make(), make()
    broken = first.path.with_name("episode_0007.mcap")
    broken.write_bytes(b"no log")
    said: list[str] = []
    for name in (str(first.path.parent), "valve/s", "valve"):
        said.clear()
        assert [entry.path for entry in find_episodes(name, tmp_path, said.append)] == [first.path, second.path]
        assert len(said) == 1
        assert str(broken) in said[0]


def test_a_file_is_itself_by_its_path_or_by_its_place_in_the_log(make, tmp_path) -> None:
    made = make()
    for name in (str(made.path), "valve/s/episode_0000.mcap"):
        assert [entry.path for entry in find_episodes(name, tmp_path)] == [made.path]


def test_what_cannot_be_shown_at_all_is_an_error_that_names_it(make, tmp_path) -> None:
    made = make()
    made.path.write_bytes(b"no log")
    with pytest.raises(EpisodeError, match=r"episode_0000\.mcap"):
        find_episodes(str(made.path), tmp_path)
    with pytest.raises(EpisodeError, match="no episode that can be read"):
        find_episodes("valve/s", tmp_path)
    with pytest.raises(EpisodeError, match="valve/s"):
        find_episodes("nothing", tmp_path)


def test_time_goes_on_while_playing_at_its_speed_to_the_end() -> None:
    player = Player(duration=2.0, period=0.1)
    player.advance(1.0)
    assert player.time == 0.0
    player.toggle()
    player.speed = 0.5
    player.advance(1.0)
    assert (player.time, player.playing) == (0.5, True)
    player.advance(100.0)
    assert (player.time, player.playing) == (2.0, False)
    player.toggle()
    assert (player.time, player.playing) == (0.0, True)


def test_a_step_is_a_control_period_and_pauses() -> None:
    player = Player(duration=1.0, period=0.1, playing=True)
    player.step(3)
    assert (player.time, player.playing) == (pytest.approx(0.3), False)
    player.step(-10)
    assert player.time == 0.0
    player.seek(9.0)
    assert player.time == 1.0
