# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""An episode from arrays: what is stamped when, and what its begin and end tell."""

from __future__ import annotations

import json

import numpy as np
import pytest
import yaml
from mcap_ros2.reader import read_ros2_messages

from mbrl_controller.base.errors import EpisodeError
from mbrl_controller.base.resources import share_dir
from mbrl_controller.contract import ros_types
from mbrl_controller.contract.contract import parse_contract
from mbrl_controller.episodes import ros_messages
from mbrl_controller.episodes.metadata import EpisodeInfo
from mbrl_controller.episodes.reader import read_episode
from mbrl_controller.episodes.trajectory_writer import write_trajectory
from mbrl_controller.episodes.transitions import transitions

START = 5_000_000_000
PERIOD = 100_000_000


def test_begin_and_end_say_which_episode_it_is_and_other_events_stand_between(claw, tmp_path, made_up):
    info = EpisodeInfo("s", 4, model_version="v0002")
    said = [{"event": "goal", "value": [1.0]}, {"note": "x"}]
    path = write_trajectory(
        tmp_path / "e.mcap", claw, info, *made_up(claw, 3), reason="drop", events=said, start_ns=START
    )
    assert path == tmp_path / "e.mcap"
    episode = read_episode(path)
    begin, *middle, end = episode.events
    same = {"episode": 4, "session": "s", "task": "valve", "robot": "claw", "model_version": "v0002"}
    assert begin == {"event": "begin", "stamp": 5.0, "reason": "", **same}
    assert end == {"event": "end", "stamp": pytest.approx(5.3), "reason": "drop", **same}
    assert middle == said
    assert (episode.begin_ns, episode.end_ns) == (START, START + 3 * PERIOD)
    assert episode.closed["reason"] == "drop"


def test_states_commands_and_goals_are_stamped_with_their_tick(contract, tmp_path, made_up):
    states, commands, goals = made_up(contract, 3)
    period = round(contract.action.period * 1e9)
    plain = write_trajectory(tmp_path / "e.mcap", contract, EpisodeInfo("s", 0), states, commands, goals)
    episode = read_episode(plain)
    ticks = [1_000_000_000 + k * period for k in range(4)]
    assert episode.commands.stamps.tolist() == ticks[:3]
    assert episode.goals.stamps.tolist() == ticks
    assert np.array_equal(episode.goals.values, goals)
    sent = [m.ros_msg for m in read_ros2_messages(str(plain)) if m.channel.topic == "/controller/goal"]
    times = [point.time_from_start for goal in sent for point in goal.points]
    assert [(time.sec, time.nanosec) for time in times] == [(0, 0)] * 4  # it is asked from its stamp on
    assert all(series.stamps.tolist() == ticks for series in episode.sources.values())
    assert episode.closed["reason"] == "timeout"
    assert not episode.ticks
    none = write_trajectory(tmp_path / "f.mcap", contract, EpisodeInfo("s", 0), states, commands)
    assert len(read_episode(none).goals) == 0


def test_states_that_were_measured_before_their_tick_have_the_stamp_of_then(claw, tmp_path, made_up):
    states, commands, goals = made_up(claw, 3)
    measured = np.array([-0.02, 0.08, 0.185, 0.3])
    path = tmp_path / "e.mcap"
    write_trajectory(path, claw, EpisodeInfo("s", 0), states, commands, goals, measured=measured, start_ns=START)
    episode = read_episode(path)
    for series in episode.sources.values():
        assert series.stamps.tolist() == [START + ros_messages.to_ns(t) for t in measured]
    assert episode.commands.stamps.tolist() == [START + k * PERIOD for k in range(3)]
    assert np.array_equal(transitions(episode).state, states[:3])
    with pytest.raises(EpisodeError, match="3 measurement times for 4 states"):
        write_trajectory(tmp_path / "f.mcap", claw, EpisodeInfo("s", 0), states, commands, goals, measured=measured[1:])
    assert [p.name for p in tmp_path.iterdir()] == ["e.mcap"]


def test_a_pose_has_the_place_and_its_reader_finds_the_velocity(tmp_path, made_up):
    document = yaml.safe_load((share_dir() / "config" / "adroit_baoding.yaml").read_text())
    for source in document["state"][1:]:
        source.update(type=ros_types.POSE, frame="palm", velocity_filter={"time_constant_s": 0.0})
    contract = parse_contract(yaml.safe_dump(document))
    states, commands, goals = made_up(contract, 3)
    path = write_trajectory(tmp_path / "e.mcap", contract, EpisodeInfo("s", 0), states, commands, goals)
    series = read_episode(path).sources["ball_a/odometry"]
    assert series.stamps.tolist() == [1_000_000_000 + k * PERIOD for k in range(4)]
    place = states[:, contract.task.state.indices([f"ball_a.position.{axis}" for axis in "xyz"])]
    assert np.array_equal(series.values[:, :3], place)
    assert series.values[1:, 3:] == pytest.approx(np.diff(place, axis=0) / 0.1)


def test_ticks_have_a_row_a_command(claw, tmp_path, made_up):
    columns = {"lateness_s": [0.1, 0.2, 0.3], "plan_s": np.array([1.0, 2.0, 3.0])}
    path = write_trajectory(tmp_path / "e.mcap", claw, EpisodeInfo("s", 0), *made_up(claw, 3), ticks=columns)
    found = read_episode(path).ticks
    assert {label: values.tolist() for label, values in found.items()} == {
        "lateness_s": [0.1, 0.2, 0.3],
        "plan_s": [1.0, 2.0, 3.0],
    }


def test_what_cannot_be_told_as_json_leaves_no_file(claw, tmp_path, made_up):
    with pytest.raises(TypeError):
        write_trajectory(tmp_path / "e.mcap", claw, EpisodeInfo("s", 0), *made_up(claw, 3), events=[{"what": object()}])
    assert list(tmp_path.iterdir()) == []


def test_events_are_json_and_a_name_of_their_own_for_topics_is_kept(claw, tmp_path, made_up):
    info = EpisodeInfo("s", 0, topics={"episode": "/left/episode", "joint_states": "/left/joint_states"})
    states, commands, goals = made_up(claw, 2)
    path = write_trajectory(tmp_path / "e.mcap", claw, info, states, commands, goals)
    episode = read_episode(path)
    assert episode.info.topics["episode"] == "/left/episode"
    assert np.array_equal(transitions(episode).state, states[:2])
    assert json.dumps(episode.events[0])
