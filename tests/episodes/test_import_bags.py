# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Bags of others become episodes that hold what was recorded; what does not is counted."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from mcap.writer import CompressionType

from mbrl_controller.base.errors import EpisodeError, MbrlError
from mbrl_controller.base.resources import share_dir
from mbrl_controller.contract.contract import load_contract, parse_contract
from mbrl_controller.episodes import ros_messages
from mbrl_controller.episodes.cutting import CutRules, TopicRule
from mbrl_controller.episodes.import_bags import run
from mbrl_controller.episodes.metadata import OTHERS, EpisodeInfo
from mbrl_controller.episodes.reader import read_episode
from mbrl_controller.episodes.trajectory_writer import write_trajectory
from mbrl_controller.episodes.transitions import transitions

from .foreign_bags import MS, START, said, smooth, write_mcap, write_rosbag

CLAW = load_contract(share_dir() / "config" / "claw_valve.yaml")
SECOND = 1000 * MS
STEPS = 30
ANY = CutRules()


def flag(value: bool, time: int):
    kind = ros_messages.typestore().types["std_msgs/msg/Bool"]
    return "/recording", kind(data=value), time


def take(bags, out: Path, rules: CutRules = ANY, contract=CLAW, **options):
    bags = bags if isinstance(bags, list) else [bags]
    return run(bags, contract, out, world="real", rules=rules, **options)


def read(report) -> list:
    files = sorted(path for folder in report.folders for path in folder.iterdir())
    return [transitions(read_episode(path)) for path in files]


def same(rows, states, commands) -> None:
    np.testing.assert_array_equal(rows.state.astype(np.float32), states[:-1].astype(np.float32))
    np.testing.assert_array_equal(rows.next_state.astype(np.float32), states[1:].astype(np.float32))
    np.testing.assert_array_equal(rows.action.astype(np.float32), commands.astype(np.float32))


def tried(bag: Path, out: Path):
    """The refusal or the report."""
    try:
        return "", take(bag, out)
    except MbrlError as error:
        return str(error), None


MAKERS = {
    "rosbag2 mcap": lambda folder, heard: write_rosbag(folder / "bag", heard),
    "rosbag2 mcap, messages in zstd": lambda folder, heard: write_rosbag(folder / "bag", heard, compression="message"),
    "rosbag2 mcap, chunks in zstd": lambda folder, heard: write_rosbag(folder / "bag", heard, compression="storage"),
    "rosbag2 sqlite3": lambda folder, heard: write_rosbag(folder / "bag", heard, "sqlite3"),
    "rosbag2 sqlite3, file in zstd": lambda folder, heard: write_rosbag(folder / "bag", heard, "sqlite3", "file"),
    "rosbag2 sqlite3, messages in zstd": lambda folder, heard: write_rosbag(
        folder / "bag", heard, "sqlite3", "message"
    ),
    "mcap, large chunks in lz4": lambda folder, heard: write_mcap(folder / "a.mcap", heard, CompressionType.LZ4, 2**24),
    "mcap, small chunks in zstd": lambda folder, heard: write_mcap(folder / "a.mcap", heard, CompressionType.ZSTD, 300),
    "mcap, no chunks": lambda folder, heard: write_mcap(folder / "a.mcap", heard, chunking=False),
    "split, no metadata.yaml": lambda folder, heard: (
        (
            write_mcap(folder / "bag" / "a_0.mcap", heard[:40]),
            write_mcap(folder / "bag" / "a_1.mcap", heard[40:], CompressionType.LZ4),
        )[0].parent
    ),
    "topic by topic": lambda folder, heard: write_mcap(folder / "a.mcap", sorted(heard, key=lambda item: item[0])),
    "newest first within a second": lambda folder, heard: write_mcap(
        folder / "a.mcap", sorted(heard, key=lambda item: (item[2] // SECOND, -item[2]))
    ),
}


@pytest.mark.parametrize("maker", MAKERS.values(), ids=MAKERS)
def test_every_kind_of_bag_gives_what_was_recorded(maker, tmp_path) -> None:
    states, commands = smooth(CLAW, STEPS)
    report = take(maker(tmp_path, said(CLAW, states, commands)), tmp_path / "log")
    assert (report.episodes, report.transitions, report.unused, report.problems) == (1, STEPS, {}, [])
    (rows,) = read(report)
    same(rows, states, commands)
    assert report.left_out == {"messages: on 1 topics that the contract does not name": STEPS + 1}
    (file,) = report.folders[0].iterdir()
    episode = read_episode(file)
    assert (episode.info.world, episode.info.commanded_by, episode.info.source) == ("real", OTHERS, "import")
    assert episode.complete
    assert not list((tmp_path / "log").rglob(".*"))


def test_a_gap_in_the_commands_ends_an_episode(tmp_path) -> None:
    states, commands = smooth(CLAW, STEPS)
    later = START + 60 * SECOND
    heard = said(CLAW, states, commands) + said(CLAW, states, commands, later)
    report = take(write_rosbag(tmp_path / "bag", heard), tmp_path / "log")
    assert report.episodes == 2
    for rows in read(report):
        same(rows, states, commands)
    assert take(tmp_path / "bag", tmp_path / "b", CutRules(gap_s=100.0)).episodes == 1


def test_a_topic_begins_and_ends_episodes(tmp_path) -> None:
    states, commands = smooth(CLAW, STEPS)
    heard = said(CLAW, states, commands)
    at = [START + k * 100 * MS + 4 * MS for k in (5, 15, 20, 25)]
    repeated = [flag(True, at[0] + 50 * MS), flag(False, at[1] + 30 * MS)]  # as a topic that is sent at a rate
    heard += [flag(i % 2 == 0, time) for i, time in enumerate(at)] + repeated
    bag = write_rosbag(tmp_path / "bag", sorted(heard, key=lambda item: item[2]), "sqlite3")
    rules = CutRules(TopicRule.parse("/recording=true"))
    report = take(bag, tmp_path / "log", rules)
    first, second = read(report)
    same(first, states[5:16], commands[5:15])
    same(second, states[20:26], commands[20:25])
    explicit = CutRules(TopicRule.parse("/recording=1"), TopicRule.parse("/recording=false"))
    assert [len(rows) for rows in read(take(bag, tmp_path / "b", explicit))] == [10, 5]
    each = take(bag, tmp_path / "c", CutRules(TopicRule.parse("/recording")))  # each message
    assert each.episodes == 4  # two of six are too short
    with pytest.raises(EpisodeError, match="/nothing"):
        take(bag, tmp_path / "d", CutRules(TopicRule.parse("/nothing")))
    with pytest.raises(MbrlError, match="recording"):
        TopicRule.parse("recording=true")


def request(time: int, kind: int):
    """What introspection publishes of a service's request: its type is in no typestore."""
    return "/begin/_service_event", b"\x00\x01\x00\x00" + bytes([kind]) + bytes(59), time


def test_a_services_requests_begin_episodes_once_each(tmp_path) -> None:
    states, commands = smooth(CLAW, STEPS)
    events = [request(START + k * 100 * MS + 4 * MS, kind) for k in (10, 20) for kind in (0, 1, 2, 3)]
    heard = sorted([*said(CLAW, states, commands), *events], key=lambda item: item[2])
    bag = write_mcap(tmp_path / "a.mcap", heard)
    rules = CutRules(TopicRule.parse("/begin/_service_event"))
    first, second = read(take(bag, tmp_path / "log", rules))
    same(first, states[10:21], commands[10:20])
    same(second, states[20:], commands[20:])


def test_stamped_commands_in_the_drivers_words_are_read_through_the_contract(tmp_path) -> None:
    contract = load_contract(share_dir() / "config" / "hands" / "wuji.yaml")
    period = round(contract.action.period * ros_messages.NANO)
    (to,) = contract.destinations
    states, commands = smooth(contract, STEPS)
    commands = contract.action.neutral + 0.1 * commands
    heard = [item for item in said(contract, states, commands) if item[0] != f"/{to.topic}".replace("//", "/")]
    for k, row in enumerate(commands):
        at = START + k * period
        message = ros_messages.joint_state(to.map.names, to.map.to_driver(row[to.at]), at)
        heard.append((f"/{to.topic}".replace("//", "/"), message, at + 3 * MS))
    bag = write_rosbag(tmp_path / "bag", sorted(heard, key=lambda item: item[2]))
    (rows,) = read(take(bag, tmp_path / "log", contract=contract))
    same(rows, states, commands)


def test_a_length_cuts_and_nothing_is_lost_at_the_cuts(tmp_path) -> None:
    states, commands = smooth(CLAW, STEPS)
    report = take(
        write_rosbag(tmp_path / "bag", said(CLAW, states, commands)), tmp_path / "log", CutRules(length_s=1.0)
    )
    parts = read(report)
    assert [len(rows) for rows in parts] == [10, 10, 10]
    for k, rows in enumerate(parts):
        same(rows, states[10 * k : 10 * k + 11], commands[10 * k : 10 * k + 10])


def test_a_command_given_long_before_an_episode_is_in_force_in_it(tmp_path) -> None:
    states, commands = smooth(CLAW, STEPS)
    heard = [item for item in said(CLAW, states, commands) if item[0] != "/hand_controller/commands"]
    heard.insert(2, ("/hand_controller/commands", ros_messages.multi_array(commands[0]), START + 5 * MS))
    heard += [flag(True, START + 2005 * MS), flag(False, START + 2905 * MS)]
    bag = write_rosbag(tmp_path / "bag", sorted(heard, key=lambda item: item[2]))
    (rows,) = read(take(bag, tmp_path / "log", CutRules(TopicRule.parse("/recording=true"))))
    same(rows, states[20:30], np.repeat(commands[:1], 9, axis=0))


def test_a_drop_ends_an_episode_and_the_objects_return_begins_one(tmp_path) -> None:
    contract = load_contract(share_dir() / "config" / "adroit_baoding.yaml")
    states, commands = smooth(contract, 50)
    heights = [i for i, name in enumerate(contract.task.state.names) if name.endswith("position.z")]
    sides = [i for i, name in enumerate(contract.task.state.names) if name[-11:] in (".position.x", ".position.y")]
    states[:, sides] = 0.0
    states[:, heights] = 0.25
    assert not contract.task.at_risk(states).any()
    states[15:25, heights] = -1.0
    bag = write_rosbag(tmp_path / "bag", said(contract, states, commands))
    report = take(bag, tmp_path / "log", contract=contract)
    first, second = read(report)
    same(first, states[:16], commands[:15])
    same(second, states[25:], commands[25:])
    assert report.left_out["control periods: from a drop until the object was back"] == 10
    kept = take(bag, tmp_path / "one", CutRules(drops=False), contract=contract)
    assert (kept.episodes, kept.transitions) == (1, 15)
    assert kept.left_out["control periods: after a drop"] == 35


def test_other_names_are_remapped_and_missing_topics_named(tmp_path) -> None:
    states, commands = smooth(CLAW, STEPS)
    heard = [(t.replace("/valve/joint_states", "/encoder"), m, at) for t, m, at in said(CLAW, states, commands)]
    bag = write_rosbag(tmp_path / "bag", heard)
    with pytest.raises(EpisodeError, match=r"/valve/joint_states.*/encoder.*--remap"):
        take(bag, tmp_path / "log")
    (rows,) = read(take(bag, tmp_path / "log", remap={"valve/joint_states": "/encoder"}))
    same(rows, states, commands)
    with pytest.raises(EpisodeError, match="state and for a command"):
        take(bag, tmp_path / "b", remap={"joint_states": "/hand_controller/commands"})
    with pytest.raises(EpisodeError, match="nobody"):
        take(bag, tmp_path / "b", remap={"nobody": "/encoder"})


def test_labels_of_the_reward_are_imported_where_the_bag_has_them(tmp_path) -> None:
    text = CLAW.text.replace("format_version: 1", "format_version: 2")
    contract = parse_contract(f"{text}\nreward: {{topic: judge}}\n")
    states, commands = smooth(contract, STEPS)
    heard = said(contract, states, commands, extra=False)
    period = round(contract.action.period * SECOND)
    labels = [("/button", ros_messages.float64(k), START + k * period + 8 * MS) for k in range(1, STEPS + 1)]
    (file,) = (
        take(
            write_rosbag(tmp_path / "bag", sorted(heard + labels, key=lambda item: item[2])),
            tmp_path / "log",
            contract=contract,
            remap={"judge": "/button"},
        )
        .folders[0]
        .iterdir()
    )
    assert read_episode(file).labels.values[:, 0].tolist() == list(range(1, STEPS + 1))
    report = take(write_rosbag(tmp_path / "without", heard), tmp_path / "other", contract=contract)
    assert (report.episodes, report.transitions) == (1, STEPS)


def test_a_topic_of_another_type_is_named_with_both(tmp_path) -> None:
    states, commands = smooth(CLAW, STEPS)
    heard = [
        (topic, ros_messages.string("x") if topic == "/joint_states" else message, at)
        for topic, message, at in said(CLAW, states, commands)
    ]
    with pytest.raises(EpisodeError, match=r"/joint_states holds std_msgs/msg/String.*JointState"):
        take(write_mcap(tmp_path / "a.mcap", heard), tmp_path / "log")
    some = said(CLAW, states, commands)
    some.insert(7, ("/joint_states", ros_messages.string("x"), some[7][2]))
    report = take(write_mcap(tmp_path / "b.mcap", some), tmp_path / "log")
    assert report.transitions == STEPS
    assert any("std_msgs/msg/String" in reason and n == 1 for reason, n in report.left_out.items())


def test_a_clock_that_goes_back_joins_nothing_that_was_not_together(tmp_path) -> None:
    states, commands = smooth(CLAW, STEPS)
    again = said(CLAW, states + 0.01, commands, START + 15 * 100 * MS)  # 1.5 s back
    report = take(write_rosbag(tmp_path / "bag", said(CLAW, states, commands) + again), tmp_path / "log")
    rows = read(report)
    assert sum(map(len, rows)) == report.transitions > 0
    for part in rows:
        for before, after in zip(part.state, part.next_state, strict=True):
            assert any(
                np.allclose(before, run[k]) and np.allclose(after, run[k + 1])
                for run in (states, states + 0.01)
                for k in range(STEPS)
            )
    assert sum(n for reason, n in report.left_out.items() if "clock went back" in reason) > 0


def test_stamps_of_another_clock_are_said_to_be(tmp_path) -> None:
    states, commands = smooth(CLAW, STEPS)
    heard = [(topic, message, at + 3600 * SECOND) for topic, message, at in said(CLAW, states, commands)]
    with pytest.raises(EpisodeError, match="another clock"):
        take(write_rosbag(tmp_path / "bag", heard), tmp_path / "log")
    assert not list((tmp_path / "log").rglob("*.mcap"))


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_cut_bag_gives_what_is_whole_and_says_what_is_not(storage, tmp_path) -> None:
    states, commands = smooth(CLAW, 300)
    heard = said(CLAW, states, commands)
    if storage == "mcap":
        bag = write_mcap(tmp_path / "a.mcap", heard, CompressionType.ZSTD, 10_000)
        bag.write_bytes(bag.read_bytes()[: -bag.stat().st_size // 3])
    else:
        bag = write_rosbag(tmp_path / "bag", heard, storage)
        with sqlite3.connect(next(bag.glob("*.db3"))) as base:
            base.execute("DELETE FROM messages WHERE id > 600")
    report = take(bag, tmp_path / "log")
    assert 0 < report.transitions < 300
    assert report.problems


@pytest.mark.parametrize("suffix", [".mcap", ".db3", ".mcap.zstd", ".db3.zstd"])
def test_damaged_files_are_refused_with_the_file(suffix, tmp_path) -> None:
    for number, content in enumerate((b"", b"nothing", b"\x89MCAP0\r\n", b"SQLite format 3\0" + bytes(50))):
        file = tmp_path / f"{number}{suffix}"
        file.write_bytes(content)
        with pytest.raises(EpisodeError, match=str(file)):
            take(file, tmp_path / "log")


def test_any_damaged_byte_leads_to_episodes_or_a_reason(tmp_path) -> None:
    states, commands = smooth(CLAW, 6)
    heard = said(CLAW, states, commands)
    whole = {
        "a.mcap": write_mcap(tmp_path / "a.mcap", heard, CompressionType.ZSTD, 2000).read_bytes(),
        "b.db3": next(write_rosbag(tmp_path / "b", heard, "sqlite3").glob("*.db3")).read_bytes(),
    }
    rng = np.random.default_rng(0)
    for trial in range(60):
        name = list(whole)[trial % 2]
        data = bytearray(whole[name])
        for at in rng.integers(0, len(data), 3):
            data[at] = rng.integers(256)
        file = tmp_path / f"{trial}" / name
        file.parent.mkdir()
        file.write_bytes(bytes(data[: rng.integers(len(data) // 2, len(data) + 1)]))
        error, report = tried(file, tmp_path / f"log{trial}")
        assert str(file) in error if error else report.transitions == 6 or report.left_out or report.problems


def test_shuffled_messages_give_right_transitions_or_are_counted(tmp_path) -> None:
    states, commands = smooth(CLAW, STEPS)
    heard = said(CLAW, states, commands)
    order = np.random.default_rng(1).permutation(len(heard))
    error, report = tried(write_mcap(tmp_path / "a.mcap", [heard[i] for i in order]), tmp_path / "log")
    assert "clock went back" in error if error else any("clock went back" in reason for reason in report.left_out)


def test_a_bag_is_imported_once_and_others_go_on(tmp_path) -> None:
    states, commands = smooth(CLAW, STEPS)
    first = write_rosbag(tmp_path / "bag", said(CLAW, states, commands))
    second = write_rosbag(tmp_path / "2" / "bag", said(CLAW, states, commands, START + SECOND))
    take(first, tmp_path / "log")
    report = take([first, tmp_path / "none", second], tmp_path / "log")
    assert report.episodes == 1
    assert set(report.unused) == {str(first), str(tmp_path / "none")}
    with pytest.raises(EpisodeError, match="before"):
        take(shutil.copytree(first, tmp_path / "3" / "bag"), tmp_path / "log")
    with pytest.raises(MbrlError, match="world"):
        run([first], CLAW, tmp_path / "x", world="", rules=ANY)


def test_an_import_that_is_killed_leaves_nothing_behind_the_next_one(killed_at, tmp_path) -> None:
    states, commands = smooth(CLAW, STEPS)
    bag = write_rosbag(tmp_path / "bag", said(CLAW, states, commands))
    rules = CutRules(length_s=1.0)
    for event in (3, 8, 13):
        killed_at(event, lambda: take(bag, tmp_path / "log", rules))
        if (done := list((tmp_path / "log").glob("*/bag-*"))) and done[0].is_dir():
            shutil.rmtree(done[0])
    assert take(bag, tmp_path / "log", rules).episodes == 3
    assert len(list((tmp_path / "log").rglob("*.mcap"))) == 3
    assert not list((tmp_path / "log").rglob("*.importing"))


def test_this_packages_own_episodes_need_no_import(made_up, tmp_path) -> None:
    file = write_trajectory(tmp_path / "e.mcap", CLAW, EpisodeInfo("s", 0), *made_up(CLAW, 4))
    with pytest.raises(EpisodeError, match="already"):
        take(file, tmp_path / "log")


@pytest.mark.slow
def test_a_model_is_learnt_from_imported_bags(valve_episodes, tmp_path) -> None:
    """A simulated valve, recorded by others."""
    pytest.importorskip("torch")
    from ..rollout_calls import retrained
    from ..trained_valve import TINY

    log = [read_episode(path) for path in sorted(valve_episodes.rglob("*.mcap"))]
    bags = []
    for number, episode in enumerate(log):
        rows = transitions(episode)
        states = np.concatenate([rows.state, rows.next_state[-1:]])
        heard = said(CLAW, states, rows.action, START + number * 100 * SECOND)
        kind = ("mcap", "sqlite3")[number % 2]
        bags.append(write_rosbag(tmp_path / f"bag{number:02d}", heard, kind, "message" if number % 3 else "none"))
    report = take(bags, tmp_path / "log")
    assert report.episodes == len(log)
    for rows, episode in zip(read(report), log, strict=True):
        wanted = transitions(episode)
        same(rows, np.concatenate([wanted.state, wanted.next_state[-1:]]), wanted.action)
    result = retrained(
        "valve",
        episodes=[tmp_path / "log"],
        models_dir=tmp_path / "models",
        runs_dir=tmp_path / "runs",
        force=True,
        options=TINY,
        threads=1,
    )
    assert result.status == "promoted"
    (origin,) = result.version.card().origins
    assert (origin.world, origin.robot) == ("real", CLAW.file.robot)
