# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What is read of a file, what is left out of it and under which name, and which contracts mean the same."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from mcap.writer import Writer

from mbrl_controller.base.errors import EpisodeError
from mbrl_controller.base.resources import share_dir
from mbrl_controller.contract import ros_types
from mbrl_controller.contract.contract import parse_contract
from mbrl_controller.episodes import ros_messages
from mbrl_controller.episodes.metadata import RECORD, EpisodeInfo
from mbrl_controller.episodes.reader import read_episode, read_info
from mbrl_controller.episodes.trajectory_writer import write_trajectory
from mbrl_controller.episodes.transitions import transitions
from mbrl_controller.episodes.writer import EpisodeWriter

INFO = EpisodeInfo("s", 0)


def written(path: Path, contract, rows) -> Path:
    """An episode of (topic, message) in this order."""
    with EpisodeWriter(path, contract, INFO, fsync=False) as writer:
        for k, (topic, message) in enumerate(rows):
            writer.write(topic, message, k)
    return path


def command(contract, values, stamp):
    return "/controller/command", ros_messages.joint_state(contract.action.names, values, stamp)


def goal(contract, values, stamp):
    names = contract.task.goal.names
    return "/controller/goal", ros_messages.trajectory(names, np.array([values]), (0.0,), stamp)


def test_commands_and_goals_are_in_the_order_of_their_stamps(claw, tmp_path):
    A = len(claw.action)
    rows = [command(claw, np.full(A, k / 10), stamp) for k, stamp in ((1, 300), (2, 100), (3, 200))]
    rows += [goal(claw, [k / 10], stamp) for k, stamp in ((4, 30), (5, 10))]
    episode = read_episode(written(tmp_path / "e.mcap", claw, rows))
    assert episode.commands.stamps.tolist() == [100, 200, 300]
    assert episode.commands.values[:, 0].tolist() == [0.2, 0.3, 0.1]
    assert episode.goals.stamps.tolist() == [10, 30]
    assert episode.goals.values.tolist() == [[0.5], [0.4]]
    assert episode.key == "claw/s/0000"
    assert episode.path == tmp_path / "e.mcap"


def test_what_cannot_be_used_is_counted_by_reason_whatever_its_values(claw, tmp_path):
    A, names = len(claw.action), claw.action.names
    rows = [command(claw, np.zeros(A), 1), command(claw, np.full(A, np.inf), 2)]
    rows += [("/controller/command", ros_messages.joint_state(n, np.zeros(len(n)), s)) for n, s in
             ((names[1:], 3), ((*names[1:], "x"), 4), ((*names, "x"), 5), ((*names[1:], names[1]), 6))]  # fmt: skip
    rows += [("/controller/command", ros_messages.joint_state(names, np.zeros(A - 1), 7))]
    rows += [goal(claw, [0.1], 1), goal(claw, [float("nan")], 2)]
    rows += [("/controller/goal", ros_messages.trajectory(["x"], np.zeros((1, 1)), (0.0,), 3))]
    rows += [("/controller/goal", ros_messages.trajectory(claw.task.goal.names, np.zeros((0, 1)), (), 4))]
    rows += [
        ("/valve/joint_states", ros_messages.joint_state(["valve"], [0.0], s, [v])) for s, v in ((1, 1e5), (2, 2e5))
    ]
    rows += [("/controller/episode", ros_messages.string(text)) for text in ("", "[1]", '{"event": "x"}')]
    with EpisodeWriter(tmp_path / "e.mcap", claw, INFO) as writer:
        for k, (topic, message) in enumerate(rows):
            writer.write(topic, message, k)
        writer.write_raw("/controller/command", ros_types.JOINT_STATE, b"\x00", 99)
    episode = read_episode(tmp_path / "e.mcap")
    (limits,) = (r for r in episode.rejected if r.startswith("valve/joint_states"))
    assert dict(episode.rejected) == {
        "command: non-finite value": 1,
        "command: names or number of values are not the contract's": 5,
        "/controller/command: not decodable": 1,
        "goal: non-finite value": 1,
        "goal: names or number of values are not the contract's": 1,
        "goal: it has no points": 1,
        limits: 2,
        "episode event: not a JSON object": 2,
    }
    assert limits.startswith("valve/joint_states: valve.velocity is outside [")
    assert (len(episode.commands), len(episode.goals), len(episode.events)) == (1, 1, 1)
    assert transitions(episode).skipped["command: non-finite value"] == 1


def test_ticks_have_the_labels_of_the_first_one(claw, tmp_path):
    rows = [
        ("/controller/tick", ros_messages.multi_array(values, labels))
        for values, labels in (
            ([1.0, 2.0], ["a", "b"]), ([3.0, 4.0], ["a", "c"]), ([5.0, 6.0], ["a", "b"]), ([7.0], ["a", "b"]),
            ([8.0, 9.0, 9.0], ["a", "b"]),
        )
    ]  # fmt: skip
    episode = read_episode(written(tmp_path / "e.mcap", claw, rows))
    assert {label: values.tolist() for label, values in episode.ticks.items()} == {"a": [1.0, 5.0], "b": [2.0, 6.0]}
    assert read_episode(written(tmp_path / "f.mcap", claw, [])).ticks == {}


def test_events_without_a_time_begin_and_end_nothing(claw, tmp_path):
    def event(kind: object, **more: object):
        return "/controller/episode", ros_messages.string(json.dumps({"event": kind, **more}))

    rows = [event("end", stamp=1.0), event("begin", stamp=2.0), event("begin")]
    rows += [event("end", stamp=stamp) for stamp in ("3", True)]
    rows += [event("hold", stamp=2.5), event("end", stamp=4.0), event("end", stamp=3.0)]
    episode = read_episode(written(tmp_path / "e.mcap", claw, rows))
    assert (episode.begin_ns, episode.end_ns) == (2_000_000_000, 4_000_000_000)
    assert [e["event"] for e in episode.events] == ["end", "begin", "begin", "end", "end", "hold", "end", "end"]
    again = read_episode(written(tmp_path / "f.mcap", claw, [*rows, event("begin", stamp=9.0)]))
    assert (again.begin_ns, again.end_ns) == (9_000_000_000, None)
    neither = read_episode(written(tmp_path / "g.mcap", claw, [event("hold", stamp=1.0)]))
    assert (neither.begin_ns, neither.end_ns) == (None, None)


def test_the_newest_sample_at_a_time_is_the_one_at_or_before_it(claw, tmp_path):
    rows = [("/valve/joint_states", ros_messages.joint_state(["valve"], [s / 100], s, [0.0])) for s in (10, 20, 30)]
    series = read_episode(written(tmp_path / "e.mcap", claw, rows)).sources["valve/joint_states"]
    assert len(series) == 3
    assert [series.newest(at) for at in (9, 10, 19, 20, 29, 30, 10**18)] == [-1, 0, 0, 1, 1, 2, 2]


def test_the_first_word_on_which_episode_it_is_counts(claw, tmp_path):
    """A bag that was appended to may hold another's metadata."""
    with (tmp_path / "e.mcap").open("wb") as file:
        writer = Writer(file)
        writer.start("ros2", "another")
        for info in (EpisodeInfo("s", 5), EpisodeInfo("t", 6)):
            writer.add_metadata(RECORD, info.of_contract(claw).to_metadata(claw))
        writer.finish()
    assert read_episode(tmp_path / "e.mcap").info.key == read_info(tmp_path / "e.mcap").key == "claw/s/0005"


def baoding(change):
    document = yaml.safe_load((share_dir() / "config" / "adroit_baoding.yaml").read_text())
    change(document)
    return parse_contract(yaml.safe_dump(document))


def without_last_joint(document) -> None:
    name = document["command"]["joints"].pop()["name"]
    document["state"][0]["joints"].remove(name)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: None, ""),
        (lambda d: d["command"].update(stroke=0.5, safe="neutral"), ""),
        (lambda d: d["state"][1].update(max_age_s=0.01), ""),
        (lambda d: d["state"].reverse(), ""),
        (lambda d: d["task_options"].update(drop_height=0.01), ""),
        (lambda d: d["state"][1].update(frame="camera"), "ball_a.position.x came from Odometry in frame world, not"),
        (
            lambda d: d["state"][2].update(type=ros_types.POSE),
            "Odometry in frame world, not PoseStamped in frame world",
        ),
        (lambda d: d["command"]["joints"].reverse(), "its action has the same names in another order"),
        (without_last_joint, "its state lacks [] and has unknown [THJ0.position]"),
        (without_last_joint, "its action lacks [] and has unknown [THJ0]"),
        (lambda d: d.update(robot="other"), "its robot is adroit, not other"),
        (lambda d: d.update(control_period_s=0.2), "its control period is 0.1, not 0.2"),
    ],
)
def test_a_contract_that_means_the_same_reads_an_episode_and_no_other(tmp_path, made_up, change, said):
    recorded = baoding(lambda d: None)
    path = tmp_path / "e.mcap"
    write_trajectory(path, recorded, INFO, *made_up(recorded, 2))
    if not said:
        assert len(transitions(read_episode(path, baoding(change)))) == 2
        return
    with pytest.raises(EpisodeError) as caught:
        read_episode(path, baoding(change))
    assert str(caught.value).startswith(f"{path}: was recorded with another contract: ")
    assert said in str(caught.value)


def test_every_difference_is_named(tmp_path, made_up, claw):
    recorded = baoding(lambda d: None)
    path = tmp_path / "e.mcap"
    write_trajectory(path, recorded, INFO, *made_up(recorded, 2))
    with pytest.raises(EpisodeError) as caught:
        read_episode(path, claw)
    for said in ("its robot is adroit, not claw", "its task is baoding, not valve", "its state lacks [F1J1.position,",
                 "and has unknown [", "its action lacks [F1J1,"):  # fmt: skip
        assert said in str(caught.value)
