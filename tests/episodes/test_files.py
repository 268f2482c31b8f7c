# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Episode files: whole, cut, foreign, damaged; written, read, recovered."""

from __future__ import annotations

import fcntl
import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mcap.reader import make_reader
from rosbags.highlevel import AnyReader

from mbrl_controller.base.errors import EpisodeError
from mbrl_controller.base.resources import share_dir
from mbrl_controller.contract import ros_types
from mbrl_controller.contract.contract import parse_contract
from mbrl_controller.episodes import ros_messages
from mbrl_controller.episodes.metadata import EpisodeInfo
from mbrl_controller.episodes.offered_qos import OfferedQos, to_yaml
from mbrl_controller.episodes.reader import read_episode, read_info
from mbrl_controller.episodes.recovery import recover, recover_folder
from mbrl_controller.episodes.trajectory_writer import write_trajectory
from mbrl_controller.episodes.transitions import transitions
from mbrl_controller.episodes.writer import EpisodeWriter, McapFile


def test_what_was_written_is_read_to_the_bit(contract, make):
    made = make(contract, 20, ticks={"lateness_s": np.arange(20.0)}, reason="drop")
    episode = read_episode(made.path, contract)
    found = transitions(episode)
    assert found.state.tobytes() == made.states[:-1].tobytes()
    assert found.next_state.tobytes() == made.states[1:].tobytes()
    assert found.action.tobytes() == made.commands.tobytes()
    assert found.step.tolist() == list(range(20))
    assert (found.key, dict(found.skipped)) == (f"{contract.file.robot}/s/0000", {})
    assert np.array_equal(episode.goals.values, made.goals)
    assert episode.ticks["lateness_s"].tolist() == list(range(20))
    assert [event["event"] for event in episode.events] == ["begin", "end"]
    assert episode.events[-1]["reason"] == episode.closed["reason"] == "drop"
    assert episode.complete
    assert not episode.problem
    assert episode.contract.digest == contract.digest
    assert read_info(made.path) == episode.info


def test_other_programs_read_the_file(contract, make):
    ros2_reader = pytest.importorskip("mcap_ros2.reader")
    made = make(contract, 5)
    with AnyReader([made.path]) as reader:
        kinds = {c.topic: c.msgtype for c in reader.connections}
        for connection, _, raw in reader.messages():
            reader.deserialize(raw, connection.msgtype)
    assert kinds["/controller/command"] == ros_types.JOINT_STATE
    assert all(kinds[f"/{source.topic}"] == source.type for source in contract.sources)
    decoded = [m for m in ros2_reader.read_ros2_messages(str(made.path)) if m.channel.topic == "/controller/command"]
    assert [list(m.ros_msg.position) for m in decoded] == made.commands.tolist()
    with made.path.open("rb") as file:
        reader = make_reader(file)
        assert reader.get_header().profile == "ros2"
        for channel in reader.get_summary().channels.values():
            assert channel.message_encoding == "cdr"
            assert channel.metadata["topic_type_hash"].startswith("RIHS01_")


def offered(path: Path) -> dict[str, list[tuple[int, str, str, float]]]:
    """By topic, of each publisher: depth, reliability, durability, deadline (s)."""
    with AnyReader([path]) as reader:
        return {
            c.topic: [
                (q.depth, q.reliability.name, q.durability.name, q.deadline.sec + q.deadline.nsec / 1e9)
                for q in c.ext.offered_qos_profiles
            ]
            for c in reader.connections
        }


FOR_EVER = (2**63 - 1) / 1e9
RELIABLE = (10, "RELIABLE", "VOLATILE", FOR_EVER)


def test_the_file_says_how_its_topics_were_offered(claw, make, tmp_path):
    """What rosbag2 offers on playback: in lockstep nothing may be lost; of a real hand the newest state counts."""
    ours = offered(make(claw, 2, ticks={"reward": [0.0, 0.0]}).path)
    sources = [f"/{source.topic}" for source in claw.sources]
    assert [ours[topic] for topic in sources] == [[(5, *RELIABLE[1:])]] * len(sources)
    assert ours["/controller/command"] == ours["/controller/goal"] == ours["/controller/tick"] == [RELIABLE]
    assert ours["/controller/episode"] == [(10, "RELIABLE", "TRANSIENT_LOCAL", FOR_EVER)]
    topics = {"hand command": "/hand/commands", "plan": "/controller/plan"}
    live = tmp_path / "live.mcap"
    with EpisodeWriter(live, claw, EpisodeInfo("s", 1, source="logger", topics=topics)) as writer:
        for topic in (*sources, *topics.values(), "/strange"):
            writer.write(topic, ros_messages.multi_array([0.0]), 1)
    told = offered(live)
    assert [told[topic] for topic in sources] == [[(5, "BEST_EFFORT", *RELIABLE[2:])]] * len(sources)
    assert told["/hand/commands"] == [(1, "RELIABLE", "VOLATILE", 0.2)]
    assert told["/controller/plan"] == [(1, *RELIABLE[1:])]
    assert told["/strange"] == [RELIABLE]
    with live.open("rb") as file:  # in rosbag2's words
        channel = next(iter(make_reader(file).get_summary().channels.values()))
    for_ever = {"sec": 9223372036, "nsec": 854775807}
    assert yaml.safe_load(channel.metadata["offered_qos_profiles"]) == [
        {
            "history": "keep_last",
            "depth": 5,
            "reliability": "best_effort",
            "durability": "volatile",
            "deadline": for_ever,
            "lifespan": for_ever,
            "liveliness": "automatic",
            "liveliness_lease_duration": for_ever,
            "avoid_ros_namespace_conventions": False,
        }
    ]


def test_recovery_keeps_how_topics_were_offered(claw, tmp_path):
    path = tmp_path / "e.mcap"
    both = to_yaml([OfferedQos(3, reliability="best_effort"), OfferedQos(7, deadline=10**8)])
    writer = EpisodeWriter(
        path, claw, EpisodeInfo("s", 0), offered=lambda topic: both if topic == "/joint_states" else ""
    )
    for topic in ("/joint_states", "/controller/command"):
        writer.write(topic, ros_messages.joint_state(["j"], [0.0], 1), 1)
    writer.flush()
    writer.abandon()
    assert recover(tmp_path / "e.mcap.part").messages == 2
    assert offered(path) == {
        "/joint_states": [(3, "BEST_EFFORT", "VOLATILE", FOR_EVER), (7, "RELIABLE", "VOLATILE", 0.1)],
        "/controller/command": [RELIABLE],
    }


def test_type_hashes_are_those_of_the_ros_distribution():
    # from share/sensor_msgs/msg/JointState.json and share/std_msgs/msg/Float64MultiArray.json of Jazzy
    assert ros_messages.definition(ros_types.JOINT_STATE)[1] == (
        "RIHS01_a13ee3a330e346c9d87b5aa18d24e11690752bd33a0350f11c5882bc9179260e"
    )
    with pytest.raises(EpisodeError, match="cannot be logged"):
        ros_messages.definition("my_msgs/msg/Secret")


def test_an_episode_is_never_overwritten(claw, make):
    made = make(claw)
    with pytest.raises(EpisodeError, match="already exists"):
        EpisodeWriter(made.path, claw, EpisodeInfo("s", 0))


def test_wrong_sizes_are_refused_and_leave_no_file(claw, tmp_path, made_up):
    states, commands, goals = made_up(claw, 5)
    path = tmp_path / "e.mcap"
    for arrays in ((states[:-1], commands, goals), (states, commands[:, 1:], goals), (states, commands, goals[1:])):
        with pytest.raises(EpisodeError, match="must be"):
            write_trajectory(path, claw, EpisodeInfo("s", 0), *arrays)
    with pytest.raises(EpisodeError, match="tick entry 'x'"):
        write_trajectory(path, claw, EpisodeInfo("s", 0), states, commands, goals, ticks={"x": [1.0]})
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_place_is_an_error_saying_which(claw, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(EpisodeError, match=r"file/e\.mcap: cannot be written"):
        EpisodeWriter(tmp_path / "file" / "e.mcap", claw, EpisodeInfo("s", 0))


def changed(contract, change) -> object:
    document = yaml.safe_load(contract.text)
    change(document)
    return parse_contract(yaml.safe_dump(document))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda d: d.update(control_period_s=0.05), "control period is 0.1, not 0.05"),
        (lambda d: d.update(robot="other"), "robot is claw, not other"),
        (lambda d: d["command"]["joints"].reverse(), "same names in another order"),
        (lambda d: d["task_options"].update(valve="wheel") or d["state"][1].update(joints=["wheel"]), "state lacks"),
    ],
)
def test_an_episode_of_another_contract_is_refused_saying_why(claw, make, change, complaint):
    made = make(claw, 2)
    with pytest.raises(EpisodeError, match=complaint):
        read_episode(made.path, changed(claw, change))


def test_limits_and_topics_may_change_without_losing_old_episodes(claw, make):
    made = make(claw, 2)
    other = changed(claw, lambda d: (d["command"]["joints"][0].update(upper=0.5), d["state"][0].update(topic="x")))
    assert len(transitions(read_episode(made.path, other))) == 2


def test_a_topic_of_another_type_is_an_error(claw, tmp_path):
    with EpisodeWriter(tmp_path / "e.mcap", claw, EpisodeInfo("s", 0)) as writer:
        writer.write("/joint_states", ros_messages.string("x"), 1)
    with pytest.raises(EpisodeError, match=r"/joint_states holds std_msgs/msg/String, expected sensor_msgs"):
        read_episode(tmp_path / "e.mcap")


def test_empty_and_foreign_files_are_errors_naming_the_file(tmp_path, claw):
    path = tmp_path / "e.mcap"
    for content, complaint in ((b"", "is empty"), (b"PK\x03\x04" * 9, "not an MCAP"), (b"\x89MCAP0\r\n", "cut after")):
        path.write_bytes(content)
        for use in (read_episode, recover, *((read_info,) if complaint != "cut after" else ())):
            with pytest.raises(EpisodeError, match=complaint) as caught:
                use(path)
            assert str(path) in str(caught.value)
    for absent in (tmp_path / "none.mcap", tmp_path):
        with pytest.raises(EpisodeError, match="cannot be read"):
            read_episode(absent)


@pytest.fixture(scope="module")
def whole(claw, tmp_path_factory, made_up) -> bytes:
    path = tmp_path_factory.mktemp("whole") / "e.mcap"
    states, commands, goals = made_up(claw, 4)
    write_trajectory(path, claw, EpisodeInfo("s", 0), states, commands, goals)
    return path.read_bytes()


def only_episode_errors(path: Path) -> None:
    for use in (lambda p: transitions(read_episode(p)), read_info, recover):
        try:
            use(path)
        except EpisodeError as caught:
            if str(path) not in str(caught):
                raise AssertionError(f"an error that does not name its file: {caught}") from caught


fuzz = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@fuzz
@given(data=st.data())
def test_damaged_bytes_raise_nothing_but_episode_errors(whole, tmp_path, data):
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(damaged) - 1))
        damaged[at] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(damaged)))
    path = tmp_path / "e.mcap"
    path.write_bytes(damaged[:cut] if data.draw(st.booleans()) else damaged)
    only_episode_errors(path)


@fuzz
@given(content=st.binary(max_size=400))
def test_random_bytes_after_the_magic_raise_nothing_but_episode_errors(tmp_path, content):
    path = tmp_path / "e.mcap"
    path.write_bytes(b"\x89MCAP0\r\n" + content)
    only_episode_errors(path)


def test_a_cut_at_every_place_is_read_and_recovered_alike(claw, tmp_path):
    source = tmp_path / "source.mcap"
    writer = EpisodeWriter(source, claw, EpisodeInfo("s", 0), flush_s=0.0)
    for k in range(40):
        writer.write("/joint_states", ros_messages.joint_state(["j"], [float(k)], k + 1), k + 1)
    writer.close()
    content = source.read_bytes()
    counts = []
    for cut in range(0, len(content), 97):
        path = tmp_path / f"{cut}.mcap.part"
        path.write_bytes(content[:cut])
        try:
            done = recover(path)
        except EpisodeError:
            assert path.read_bytes() == content[:cut]
            continue
        assert not path.exists()
        again = recover(done.path)
        assert (again.was_complete, again.messages) == (True, done.messages)
        with AnyReader([done.path]) as reader:
            assert sum(1 for _ in reader.messages()) == done.messages
        counts.append(done.messages)
    assert counts == sorted(counts)
    assert counts[-1] == 40
    assert counts[0] == 0


def test_a_cut_file_says_so_and_gives_what_is_complete(claw, make):
    made = make(claw, 20)
    content = made.path.read_bytes()
    made.path.write_bytes(content[: len(content) - 400])
    episode = read_episode(made.path)
    assert not episode.complete
    assert "cut" in episode.problem
    assert len(transitions(episode)) == 20
    assert recover(made.path).messages == 21 * 3 + 20 + 2
    assert read_episode(made.path).complete


def test_a_folder_is_recovered_once_and_busy_files_are_left_alone(claw, make, tmp_path):
    made = make(claw, 3, name="good.mcap")
    content = made.path.read_bytes()
    (tmp_path / "deep").mkdir()
    cut = tmp_path / "deep" / "episode_0001.mcap.part"
    cut.write_bytes(content[:-50])
    (tmp_path / "episode_0002.mcap.part").write_bytes(b"")
    busy = tmp_path / "episode_0003.mcap.part"
    busy.write_bytes(content[:-50])
    with busy.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        done = recover_folder(tmp_path)
        assert [r.path.name for r in done.recovered] == ["episode_0001.mcap"]
        assert done.busy == [busy]
        assert len(done.failed) == 1
        assert "episode_0002" in done.failed[0]
        assert str(done) == "1 cut episodes recovered, 1 could not be, 1 being written"
        again = recover_folder(tmp_path)
        assert (again.recovered, again.failed, again.busy) == ([], [], [busy])
    assert (tmp_path / "episode_0002.mcap.part.unreadable").exists()
    assert made.path.read_bytes() == content
    assert [r.path.name for r in recover_folder(tmp_path).recovered] == ["episode_0003.mcap"]


WRITE_FOR_EVER = """
import sys, time
from mbrl_controller.contract.contract import load_contract
from mbrl_controller.episodes.metadata import EpisodeInfo
from mbrl_controller.episodes.ros_messages import joint_state
from mbrl_controller.episodes.writer import EpisodeWriter, McapFile
contract = load_contract(sys.argv[2])
writer = EpisodeWriter(sys.argv[1], contract, EpisodeInfo("s", 0))
while True:
    now = time.time_ns()
    writer.write("/joint_states", joint_state(["j"], [0.0], now), now)
    print(now, flush=True)
    time.sleep(0.002)
"""


def test_a_killed_writer_loses_less_than_half_a_second(claw, tmp_path):
    path = tmp_path / "episode_0000.mcap"
    contract_file = share_dir() / "config" / "claw_valve.yaml"
    process = subprocess.Popen(
        [sys.executable, "-c", WRITE_FOR_EVER, str(path), str(contract_file)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    written = [int(process.stdout.readline()) for _ in range(500)]
    process.send_signal(signal.SIGKILL)
    written += [int(line) for line in process.stdout.read().split()]
    process.wait()
    (done,) = recover_folder(tmp_path).recovered
    with done.path.open("rb") as file:
        stamps = [message.log_time for _, _, message in make_reader(file).iter_messages()]
    assert stamps == written[: len(stamps)]
    assert written[-1] - stamps[-1] < 0.5e9


def test_a_full_disk_is_an_error_and_what_was_written_before_is_kept(claw, tmp_path):
    path = tmp_path / "episode_0000.mcap"
    writer = EpisodeWriter(path, claw, EpisodeInfo("s", 0), flush_s=0.0)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    rng = np.random.default_rng(0)
    written = 0
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (64 * 1024, before[1]))
        with pytest.raises(EpisodeError, match="cannot be written"):  # noqa: PT012
            for k in range(10_000):
                writer.write("/joint_states", ros_messages.joint_state(["j"] * 9, rng.random(9), k), k)
                written += 1
        writer.abandon()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, old)
    (done,) = recover_folder(tmp_path).recovered
    assert written - 1 <= done.messages <= written


def test_a_removed_file_is_an_error_and_not_written_to_for_ever(claw, tmp_path):
    writer = EpisodeWriter(tmp_path / "log" / "e.mcap", claw, EpisodeInfo("s", 0))
    shutil.rmtree(tmp_path / "log")
    with pytest.raises(EpisodeError, match=r"e\.mcap\.part: cannot be written: the file was removed"):
        writer.flush()
    writer.abandon()


def test_two_writers_of_one_name_do_not_share_or_remove_its_file(claw, tmp_path):
    path = tmp_path / "e.mcap"
    writer = EpisodeWriter(path, claw, EpisodeInfo("s", 0))
    with pytest.raises(EpisodeError, match="already exists"):
        EpisodeWriter(path, claw, EpisodeInfo("s", 0))
    late = McapFile(tmp_path / "f.mcap")
    (tmp_path / "f.mcap.part").write_bytes(b"of the first")
    with pytest.raises(EpisodeError, match="already exists"):
        late.show()
    late.discard()
    assert (tmp_path / "f.mcap.part").read_bytes() == b"of the first"
    writer.write("/joint_states", ros_messages.joint_state(["j"], [0.0], 1), 1)
    writer.close()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["e.mcap", "f.mcap.part"]


def test_whenever_a_writer_or_a_recovery_is_killed_every_file_can_be_read(claw, tmp_path, killed_at):
    """At each change of the file system from before the file is there until it has been recovered."""

    def work(folder: Path) -> None:
        path = folder / "e.mcap"
        writer = EpisodeWriter(path, claw, EpisodeInfo("s", 0), flush_s=0.0)
        for k in range(3):
            writer.write("/joint_states", ros_messages.joint_state(["j"], [float(k)], k + 1), k + 1)
        writer.abandon()
        recover_folder(folder)

    for event in range(1000):
        folder = tmp_path / str(event)
        folder.mkdir()
        killed = killed_at(event, lambda folder=folder: work(folder))
        done = recover_folder(folder)
        assert not done.failed
        left = sorted(p.name for p in folder.iterdir())
        assert left in ([], ["e.mcap"])
        if left:
            assert read_episode(folder / "e.mcap").complete
        if not killed:
            break
    assert left == ["e.mcap"]
    assert event > 5


def test_recovery_without_space_leaves_the_cut_file(claw, make, tmp_path, monkeypatch):
    made = make(claw, 3)
    part = tmp_path / "x.mcap.part"
    shutil.move(made.path, part)
    part.write_bytes(part.read_bytes()[:-50])
    content = part.read_bytes()

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        done = recover_folder(tmp_path)
    assert "No space left" in done.failed[0]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.mcap.part"]
    assert part.read_bytes() == content
    assert recover(part).path.exists()
