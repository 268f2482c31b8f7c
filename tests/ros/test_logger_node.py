# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The logger as a process of its own, over DDS: a controller and a hand are played by the test."""

from __future__ import annotations

import json
import signal
import sys
import time
import uuid
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy")

from rclpy.duration import Duration
from rclpy.qos import QoSProfile
from rosbags.highlevel import AnyReader
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64, Float64MultiArray, String
from std_srvs.srv import Trigger

from mbrl_controller.base.resources import share_dir
from mbrl_controller.contract.contract import load_contract
from mbrl_controller.contract.state_assembly import split_state
from mbrl_controller.episodes import ros_messages
from mbrl_controller.episodes.reader import read_episode
from mbrl_controller.episodes.source_messages import source_message
from mbrl_controller.episodes.transitions import transitions
from mbrl_controller.nodes import qos

pytestmark = pytest.mark.ros
CONTRACT = share_dir() / "config" / "claw_valve.yaml"
CLAW = load_contract(CONTRACT)

JOB = """
import os, pathlib, sys, time
print("nice", os.nice(0), flush=True)
while not pathlib.Path(sys.argv[1]).exists():
    time.sleep(0.05)
print("promoted v0002")
"""


class Hand:
    """Publishes states, commands and events to a logger."""

    def __init__(self, ros, space: str) -> None:
        self.ros = ros
        self.sources = [ros.publisher(f"{space}/{s.topic}", JointState, qos.SENSOR) for s in CLAW.sources]
        self.command = ros.publisher(f"{space}/controller/command", JointState, qos.RECORD)
        self.events = ros.publisher(f"{space}/controller/episode", String, qos.LATCHED)
        self.rng = np.random.default_rng(0)
        self.sent: list[int] = []
        self.number = 0
        # A best-effort writer that knows its reader may be unknown to it still.
        heard = ros.diagnostics(f"{space[1:]}/logger: logging")
        topics = [f"{space}/{s.topic}" for s in CLAW.sources]
        ros.wait(
            lambda: self.sense() and heard and not any(t in heard[-1][2]["silent topics"] for t in topics),
            "the logger to hear",
        )

    def event(self, kind: str) -> None:
        content = {"event": kind, "episode": self.number, "session": "s", "stamp": time.time(), "reason": "drop"}
        self.events.publish(String(data=json.dumps(content)))

    def sense(self) -> int:
        """A state; its stamp (ns)."""
        now = time.time_ns()
        state = self.rng.uniform(-0.3, 0.3, len(CLAW.task.state))
        for publisher, source, values in zip(self.sources, CLAW.sources, split_state(CLAW, state), strict=True):
            publisher.publish(ros_messages.encode(source_message(source, values, now)))
        return now

    def tick(self) -> None:
        """A state and its command, stamped now, as rclpy's own messages."""
        now = self.sense()
        message = JointState(name=list(CLAW.action.names), position=self.rng.uniform(-0.2, 0.2, 9).tolist())
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(now, 10**9)
        self.command.publish(message)
        self.sent.append(now)

    def ticks(self, count: int) -> None:
        """`count` ticks at the control rate."""
        due = time.monotonic()
        for _ in range(count):
            self.tick()
            due += CLAW.action.period
            self.ros.wait(lambda due=due: time.monotonic() >= due, "the next tick")


@pytest.fixture
def space() -> str:
    """A namespace of this test's own: to DDS, a killed process of another test lives on for a while."""
    return f"/hand_{uuid.uuid4().hex[:8]}"


def start_logger(ros, space: str, log_dir: Path, **more):
    parameters = {"contract": str(CONTRACT), "log_dir": str(log_dir), "autostart": True, **more}
    return ros.start("mbrl_controller.nodes.logger", parameters, "--ros-args", "-r", f"__ns:={space}", "--")


def part(log_dir: Path) -> list[Path]:
    return list(log_dir.rglob("*.part"))


def test_an_episode_is_logged_whole_and_closed_at_its_end(ros, space, tmp_path):
    logger = start_logger(ros, space, tmp_path)
    seen = ros.diagnostics(f"{space[1:]}/logger: logging")
    hand = Hand(ros, space)
    hand.event("begin")
    hand.ticks(6)
    hand.event("end")
    path = tmp_path / "valve" / "s" / "episode_0000.mcap"
    ros.wait(path.exists, "the closed file")
    ros.wait(lambda: seen and seen[-1][2]["episodes closed"] == "1", "diagnostics")
    assert seen[-1][:2] == (b"\x00", "waiting for an episode")
    assert logger.stop(signal.SIGINT) == 0
    episode = read_episode(path, CLAW)
    assert episode.complete
    assert not episode.rejected
    assert episode.commands.stamps.tolist() == hand.sent
    assert len(transitions(episode)) >= 3  # real time: ticks that a busy machine delays are skipped, by their stamps


def test_labels_of_the_reward_are_logged_beside_the_state(ros, space, tmp_path):
    contract = tmp_path / "labelled.yaml"
    text = CLAW.text.replace("format_version: 1", "format_version: 2")
    contract.write_text(f"{text}\nreward: {{topic: judge}}\n")
    start_logger(ros, space, tmp_path, contract=str(contract))
    hand = Hand(ros, space)
    judge = ros.publisher(f"{space}/judge", Float64, qos.SENSOR)
    ros.wait(lambda: judge.get_subscription_count() > 0, "the logger to take labels")
    hand.event("begin")
    for number in range(6):
        hand.ticks(1)
        judge.publish(Float64(data=float(number)))
    hand.event("end")
    ros.wait(lambda: list(tmp_path.rglob("*.mcap")), "the closed file")
    (path,) = tmp_path.rglob("*.mcap")
    labels = read_episode(path).labels.values[:, 0].tolist()
    assert labels
    assert set(labels) <= set(map(float, range(6)))


def test_the_file_says_how_its_topics_were_offered_by_whoever_did(ros, space, tmp_path):
    """Not as this package's own nodes would: here someone promises a command every half second."""
    start_logger(ros, space, tmp_path)
    hand = Hand(ros, space)
    own_way = QoSProfile(depth=1, deadline=Duration(seconds=0.5))
    commander = ros.publisher(f"{space}/{CLAW.file.command.topic}", Float64MultiArray, own_way)
    hand.event("begin")
    hand.ticks(1)
    commander.publish(Float64MultiArray(data=[0.0] * 9))
    hand.ticks(1)
    hand.event("end")
    path = tmp_path / "valve" / "s" / "episode_0000.mcap"
    ros.wait(path.exists, "the closed file")
    with AnyReader([path]) as reader:
        told = {
            c.topic.removeprefix(space): sorted(
                (q.reliability.name, q.durability.name, q.depth, q.deadline.sec + q.deadline.nsec / 1e9)
                for q in c.ext.offered_qos_profiles
            )
            for c in reader.connections
        }
    for_ever = (2**63 - 1) / 1e9
    sensor = ("BEST_EFFORT", "VOLATILE", 5, for_ever)
    assert [told[f"/{source.topic}"] for source in CLAW.sources] == [[sensor], [sensor]]
    assert told[f"/{CLAW.file.command.topic}"] == [("RELIABLE", "VOLATILE", 1, 0.5)]
    assert told["/controller/command"] == [("RELIABLE", "VOLATILE", 10, for_ever)]
    assert told["/controller/episode"] == [("RELIABLE", "TRANSIENT_LOCAL", 10, for_ever)]


def test_a_killed_logger_loses_less_than_half_a_second_and_the_next_one_recovers_it(ros, space, tmp_path):
    logger = start_logger(ros, space, tmp_path)
    hand = Hand(ros, space)
    hand.event("begin")
    hand.ticks(20)
    assert logger.stop(signal.SIGKILL) == -signal.SIGKILL
    killed = time.time_ns()
    assert len(part(tmp_path)) == 1
    again = start_logger(ros, space, tmp_path)
    path = tmp_path / "valve" / "s" / "episode_0000.mcap"
    ros.wait(path.exists, "the recovered file")
    ros.wait(lambda: "recovered" in again.output, "a line that says so")
    assert not part(tmp_path)
    episode = read_episode(path, CLAW)
    assert episode.complete
    assert episode.closed["reason"] == "recovered"
    kept = episode.commands.stamps.tolist()
    assert kept == hand.sent[: len(kept)]
    assert killed - kept[-1] < 0.5e9 + 2e8  # what was received within .5 s of the kill, and a tick's distance
    # the logger that was started again goes on with this episode, of whose begin it is told
    ros.wait(lambda: hand.ticks(1) or part(tmp_path), "a new file")
    hand.event("end")
    ros.wait((tmp_path / "valve" / "s" / "episode_0001.mcap").exists, "the rest of the episode")


def test_a_folder_that_cannot_be_written_is_an_error_on_diagnostics_until_it_can(ros, space, tmp_path):
    blocked = tmp_path / "episodes"
    blocked.write_text("a file where the folder should be")
    start_logger(ros, space, blocked)
    seen = ros.diagnostics(f"{space[1:]}/logger: logging")
    hand = Hand(ros, space)
    assert ros.state(f"{space}/logger") == "active"
    hand.event("begin")
    hand.ticks(3)
    ros.wait(lambda: seen and seen[-1][0] == b"\x02", "an error on /diagnostics")
    assert "not logging" in seen[-1][1]
    assert "cannot be written" in seen[-1][1]
    hand.event("end")
    blocked.unlink()
    hand.number = 1
    hand.event("begin")
    hand.ticks(3)
    hand.event("end")
    ros.wait((blocked / "valve" / "s" / "episode_0001.mcap").exists, "the next episode")
    ros.wait(lambda: seen[-1][0] == b"\x00", "the end of the error")


def test_retraining_runs_between_sessions_only_and_one_at_a_time(ros, space, tmp_path):
    go = tmp_path / "go"
    (tmp_path / "job.py").write_text(JOB)
    start_logger(ros, space, tmp_path, retrain_command=f"{sys.executable} {tmp_path / 'job.py'} {go}")
    seen = ros.diagnostics(f"{space[1:]}/logger: retraining")
    hand = Hand(ros, space)
    hand.event("begin")
    hand.ticks(2)
    ros.wait(lambda: part(tmp_path), "an open episode")
    answer = ros.call(f"{space}/logger/retrain", Trigger)
    assert not answer.success
    assert "an episode is being logged" in answer.message
    hand.event("end")
    ros.wait((tmp_path / "valve" / "s" / "episode_0000.mcap").exists, "the end of the episode")
    answer = ros.call(f"{space}/logger/retrain", Trigger)
    assert answer.success, answer.message
    answer = ros.call(f"{space}/logger/retrain", Trigger)
    assert not answer.success
    assert "runs already" in answer.message
    ros.wait(lambda: any(text == "running: nice 19" for _, text, _ in seen), "progress on /diagnostics")
    go.write_text("")
    ros.wait(lambda: "done (exit status 0): promoted v0002" in seen[-1][1], "the result on /diagnostics")
    assert Path(seen[-1][2]["log"]).read_text() == "nice 19\npromoted v0002\n"


def test_a_failed_retraining_is_an_error_and_ends_with_the_logger(ros, space, tmp_path):
    (tmp_path / "job.py").write_text("raise SystemExit('no data')")
    logger = start_logger(ros, space, tmp_path, retrain_command=f"{sys.executable} {tmp_path / 'job.py'}")
    seen = ros.diagnostics(f"{space[1:]}/logger: retraining")
    assert ros.call(f"{space}/logger/retrain", Trigger).success
    ros.wait(lambda: seen and seen[-1][0] == b"\x02", "an error on /diagnostics")
    assert seen[-1][1] == "failed (exit status 1): no data"
    assert logger.stop() == 0


def test_by_default_it_retrains_from_its_own_folder(ros, space, tmp_path):
    pytest.importorskip("torch")
    start_logger(ros, space, tmp_path)
    seen = ros.diagnostics(f"{space[1:]}/logger: retraining")
    assert ros.call(f"{space}/logger/retrain", Trigger).success
    ros.wait(lambda: seen and seen[-1][0] == b"\x02", "an error: there are no episodes")
    said = Path(seen[-1][2]["log"]).read_text()
    assert str(tmp_path / "valve") in said.replace("\n", "")
    assert "Traceback" not in said


def test_a_report_is_made_after_the_session_where_it_is_asked_for(ros, space, tmp_path):
    logger = start_logger(ros, space, tmp_path, report=True)
    hand = Hand(ros, space)
    hand.event("begin")
    hand.ticks(4)
    hand.event("end")
    ros.wait((tmp_path / "valve" / "s" / "episode_0000.mcap").exists, "the closed file")
    assert not (tmp_path / "valve" / "s" / "report.html").exists()  # the session goes on
    assert logger.stop(signal.SIGINT) == 0
    ros.wait((tmp_path / "valve" / "s" / "report.html").exists, "the report")
    assert "episode_0000.mcap" in (tmp_path / "valve" / "s" / "report.html").read_text()
