# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Logs of what only format 2 has: arrays by the time of their receipt, transforms by frames."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from mbrl_controller.base.resources import share_dir
from mbrl_controller.contract import ros_types
from mbrl_controller.contract.contract import RobotContract, parse_contract
from mbrl_controller.contract.frames import TF_STATIC
from mbrl_controller.contract.state_assembly import StateAssembler
from mbrl_controller.episodes import ros_messages
from mbrl_controller.episodes.metadata import EpisodeInfo
from mbrl_controller.episodes.reader import read_episode
from mbrl_controller.episodes.recorder import Recorder
from mbrl_controller.episodes.transitions import states_at, transitions
from mbrl_controller.episodes.writer import EpisodeWriter

START, PERIOD = 1_700_000_000_000_000_000, 100_000_000  # ns


def contract(name: str, *sources: dict[str, Any]) -> RobotContract:
    """A shipped contract with these sources in place of all but the hand's joints."""
    document = yaml.safe_load((share_dir() / "config" / f"{name}.yaml").read_text())
    document["format_version"] = 2
    document["state"] = [document["state"][0], *sources]
    return parse_contract(yaml.safe_dump(document))


ARRAY = contract(
    "claw_valve",
    {
        "topic": "dial",
        "type": "std_msgs/msg/Float64MultiArray",
        "entries": {"valve.position": 1, "valve.velocity": 0},
    },
)
BALL = {"type": "tf2_msgs/msg/TFMessage", "topic": "/tf", "transform": "tf"}
TF = contract("adroit_baoding", *(BALL | {"object": ball, "child_frame": ball} for ball in ("ball_a", "ball_b")))

ODOMETRY = contract(
    "adroit_baoding",
    *(
        {"type": "nav_msgs/msg/Odometry", "topic": ball, "object": ball, "frame": "world", "transform": "tf",
         "fields": ["position", "velocity"]}
        for ball in ("ball_a", "ball_b")
    ),
)  # fmt: skip


def joints(contract: RobotContract, stamp: int) -> Any:
    source = contract.sources[0]
    zeros = np.zeros(len(contract.action))
    return ros_messages.joint_state(source.names, zeros, stamp, zeros)  # type: ignore[union-attr]


def test_an_array_was_measured_when_it_was_logged(tmp_path: Path) -> None:
    writer = EpisodeWriter(tmp_path / "episode.mcap", ARRAY, EpisodeInfo("s", 0))
    name = writer.info.topics
    for k in range(5):
        at = START + k * PERIOD
        writer.write(name["joint_states"], joints(ARRAY, at), at + 3_000_000)
        writer.write(name["dial"], ros_messages.multi_array([float(k), 10.0 + k]), at - 1_000_000)
        writer.write(name["dial"], ros_messages.multi_array([-1.0, -1.0]), at + 50_000_000)  # not yet at the tick
        writer.write(name["command"], ros_messages.joint_state(ARRAY.action.names, np.zeros(9), at), at)
    found = transitions(read_episode(writer.close("timeout"), ARRAY, only_for_transitions=True))
    at = ARRAY.task.state.indices(["valve.velocity", "valve.position"])

    assert found.state[:, at].tolist() == [[k, 10.0 + k] for k in range(4)]
    assert found.next_state[:, at].tolist() == [[k, 10.0 + k] for k in range(1, 5)]


@pytest.mark.parametrize("told", ["before", "after"])
def test_poses_are_turned_by_the_static_frames_of_the_log_wherever_these_stand(tmp_path: Path, told: str) -> None:
    """Both balls' transforms come on one topic, with others'."""
    writer = EpisodeWriter(tmp_path / "episode.mcap", TF, EpisodeInfo("s", 0))
    quarter = (np.sqrt(0.5), 0.0, 0.0, np.sqrt(0.5))  # the camera's x axis is the world's y axis
    frames = ros_messages.transforms(0, "world", "camera", np.array([0.0, 0.0, 0.2]), quarter)
    if told == "before":
        writer.write(TF_STATIC, frames, START)
    for k in range(1, 11):
        at = START + k * 10_000_000
        writer.write("/joint_states", joints(TF, at), at)
        message = ros_messages.transforms(at, "map", "base", np.ones(3))
        for x, ball in ((0.01, "ball_a"), (0.02, "ball_b")):
            message.transforms += ros_messages.transforms(at, "camera", ball, np.array([x * k, 0.0, 0.0])).transforms
        writer.write("/tf", message, at)
    if told == "after":
        writer.write(TF_STATIC, frames, START)
    episode = read_episode(writer.close("timeout"), TF)
    states, why = states_at(episode, np.array([START + 100_000_000]))

    assert (why.tolist(), dict(episode.rejected)) == ([""], {})
    for x, ball in ((0.01, "ball_a"), (0.02, "ball_b")):
        at = TF.task.state.indices([f"{ball}.position.{axis}" for axis in "xyz"])
        assert states[0, at] == pytest.approx([0, 10 * x, 0.2])
        moving = TF.task.state.indices([f"{ball}.velocity.{axis}" for axis in "xyz"])
        assert states[0, moving] == pytest.approx([0, 100 * x, 0], abs=0.1 * 100 * x)


@pytest.mark.parametrize("transitions_only", [False, True])
@pytest.mark.parametrize("kind", ["poses", "odometry"])
def test_a_log_has_the_states_of_the_live_controller_where_a_frame_moves_and_stamps_repeat(
    tmp_path: Path, kind: str, transitions_only: bool
) -> None:
    made = TF if kind == "poses" else ODOMETRY
    writer, live = EpisodeWriter(tmp_path / "episode.mcap", made, EpisodeInfo("s", 0)), StateAssembler(made)
    names, states = writer.info.topics, []
    for k in range(12):
        at = START + k * PERIOD
        if k in (0, 6):
            frame = ros_messages.transforms(0, "world", "camera", np.full(3, 0.1 * k))
            writer.write(TF_STATIC, frame, at)
            live.frames.take(frame)
        sent = [("/joint_states", joints(made, at))]
        for x in (0.01 * k, 0.01 * k + 0.5):  # the second has the stamp of the first
            place = np.array([x, 0.0, 0.0])
            for ball in ("ball_a", "ball_b"):
                if kind == "poses":
                    sent.append(("/tf", ros_messages.transforms(at, "camera", ball, place)))
                else:
                    still = ros_messages.odometry(at, "camera", place, np.zeros(3))
                    sent.append((f"/{ball}", still))
        for topic, message in sent:
            writer.write(topic, message, at)
            for source in made.sources:
                if topic.lstrip("/") == source.topic.lstrip("/"):
                    live.update(source.key, message)
        states.append(live.vector()[0])
        command = ros_messages.joint_state(made.action.names, np.zeros(len(made.action)), at)
        writer.write(names["command"], command, at)
    episode = read_episode(writer.close("timeout"), made, only_for_transitions=transitions_only)
    logged, why = states_at(episode, START + PERIOD * np.arange(12))
    assert set(why) == {""}
    np.testing.assert_allclose(logged, states, atol=1e-9)


def test_without_its_static_frame_a_pose_is_no_state_and_says_so(tmp_path: Path) -> None:
    writer = EpisodeWriter(tmp_path / "episode.mcap", TF, EpisodeInfo("s", 0))
    for ball in ("ball_a", "ball_b"):
        writer.write("/tf", ros_messages.transforms(START, "camera", ball, np.zeros(3)), START)
    episode = read_episode(writer.close("timeout"), TF)

    assert dict(episode.rejected) == {"/tf: no transform from frame 'camera' to 'world' on /tf_static yet": 2}


def test_the_recorder_writes_static_frames_into_each_episode_however_long_ago_they_came(tmp_path: Path) -> None:
    roles = EpisodeInfo("s", 0).of_contract(TF).topics
    recorder = Recorder(TF, tmp_path, {**roles, TF_STATIC: TF_STATIC}, before_s=0.0, after_s=0.0)
    frames = ros_messages.encode(ros_messages.transforms(0, "world", "camera", np.zeros(3)))
    recorder.start()
    recorder.offer(TF_STATIC, ros_types.TRANSFORMS, frames, START)
    for number in range(2):
        at = START + (number + 1) * 10**12
        for kind in ("begin", "end"):
            event = {"event": kind, "episode": number, "session": "s", "stamp": at / 1e9, "reason": "timeout"}
            data = ros_messages.encode(ros_messages.json_string(event))
            recorder.offer(roles["episode"], ros_types.STRING, data, at)
            if kind == "begin":
                command = ros_messages.joint_state(TF.action.names, np.zeros(len(TF.action)), at)
                recorder.offer(roles["command"], ros_types.JOINT_STATE, ros_messages.encode(command), at)
                pose = ros_messages.encode(ros_messages.transforms(at, "camera", "ball_a", np.ones(3)))
                recorder.offer("/tf", ros_types.TRANSFORMS, pose, at)
    recorder.stop()

    for number in range(2):
        episode = read_episode(tmp_path / "s" / f"episode_{number:04d}.mcap", TF)
        assert len(episode.sources[TF.sources[1].key]) == 1
        assert not episode.rejected
