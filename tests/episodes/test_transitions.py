# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Transitions are paired by stamps: order of arrival, repeats, gaps and late samples do not mix them up."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mbrl_controller.base.resources import share_dir
from mbrl_controller.contract import ros_types
from mbrl_controller.contract.contract import load_contract, parse_contract
from mbrl_controller.contract.state_assembly import split_state
from mbrl_controller.episodes import ros_messages
from mbrl_controller.episodes.metadata import EpisodeInfo
from mbrl_controller.episodes.reader import read_episode
from mbrl_controller.episodes.source_messages import source_message
from mbrl_controller.episodes.transitions import Transitions, transitions
from mbrl_controller.episodes.writer import EpisodeWriter

T0 = 1_700_000_000_000_000_000
PERIOD = 100_000_000
BALL_DROPPED = 0.0

claw = load_contract(share_dir() / "config" / "claw_valve.yaml")
adroit = load_contract(share_dir() / "config" / "adroit_baoding.yaml")
quick = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def log(contract, states, commands, offset=0, period=PERIOD):
    """(topic, message) of an episode: state k measured `offset` ns before tick k."""
    rows = []
    for k, state in enumerate(states):
        for source, values in zip(contract.sources, split_state(contract, state), strict=True):
            rows.append((f"/{source.topic}", source_message(source, values, T0 + k * period - offset)))
    for k, command in enumerate(commands):
        rows.append(("/controller/command", ros_messages.joint_state(contract.action.names, command, T0 + k * period)))
    return rows


def event(kind, stamp):
    return "/controller/episode", ros_messages.json_string({"event": kind, "stamp": stamp / 1e9})


def found(path: Path, contract, rows) -> Transitions:
    path.unlink(missing_ok=True)
    with EpisodeWriter(path, contract, EpisodeInfo("s", 0), fsync=False) as writer:
        for k, (topic, message) in enumerate(rows):
            writer.write(topic, message, k)
    return transitions(read_episode(path))


@quick
@given(order=st.randoms(use_true_random=False), repeats=st.integers(0, 10))
def test_order_of_arrival_and_repeats_do_not_matter(tmp_path, order, repeats, made_up):
    states, commands, _ = made_up(claw, 8)
    rows = [event("begin", T0), *log(claw, states, commands), event("end", T0 + 8 * PERIOD)]
    rows += [order.choice(rows[1:-1]) for _ in range(repeats)]
    middle = rows[1:]
    order.shuffle(middle)
    got = found(tmp_path / "e.mcap", claw, [rows[0], *middle])
    assert got.state.tobytes() == states[:-1].tobytes()
    assert got.next_state.tobytes() == states[1:].tobytes()
    assert got.action.tobytes() == commands.tobytes()


def test_each_state_is_the_newest_at_or_before_its_tick(tmp_path, made_up):
    states, commands, _ = made_up(claw, 5)
    decoy, _, _ = made_up(claw, 5, seed=1)
    rows = log(claw, states, commands, offset=10_000_000) + log(claw, decoy, [], offset=60_000_000)
    rows += log(claw, decoy, [], offset=-2_000)  # 2 us after the tick
    got = found(tmp_path / "e.mcap", claw, rows)
    assert np.array_equal(got.state, states[:4])
    assert np.array_equal(got.next_state, states[1:5])


def test_command_stamps_may_have_passed_through_float_seconds(tmp_path, made_up):
    states, commands, _ = made_up(claw, 8)
    rows = log(claw, states, [], offset=-77)
    for k, command in enumerate(commands):
        stamp = round((T0 + 77 + k * PERIOD) / 1e9 * 1e6) * 1_000  # to the us, up or down
        rows.append(("/controller/command", ros_messages.joint_state(claw.action.names, command, stamp)))
    got = found(tmp_path / "e.mcap", claw, rows)
    assert np.array_equal(got.state, states[:7])
    assert np.array_equal(got.next_state, states[1:8])


def test_the_last_command_counts_only_if_it_was_in_force_for_a_period(tmp_path, made_up):
    states, commands, _ = made_up(claw, 3)
    rows = log(claw, states, commands)
    for end, count in ((None, 2), (T0 + 3 * PERIOD, 3), (T0 + 2 * PERIOD + PERIOD // 2, 2), (T0 + 9 * PERIOD, 3)):
        events = [event("begin", T0)] + ([event("end", end)] if end else [])
        got = found(tmp_path / "e.mcap", claw, rows + events)
        assert len(got) == count
        assert got.skipped == ({} if count == 3 else {"end of the episode": 1})


def test_a_gap_in_the_commands_is_skipped_and_seen_in_the_steps(tmp_path, made_up):
    states, commands, _ = made_up(claw, 6)
    rows = [
        r for r in log(claw, states, commands) if ros_messages.stamp_ns(r[1]) != T0 + 3 * PERIOD or "comm" not in r[0]
    ]
    got = found(tmp_path / "e.mcap", claw, rows)
    assert got.step.tolist() == [0, 1, 4]
    assert np.array_equal(got.action, commands[[0, 1, 4]])
    assert got.skipped == {"commands not one period apart": 1, "end of the episode": 1}


def command_at(stamp, value=0.0):
    return "/controller/command", ros_messages.joint_state(claw.action.names, np.full(len(claw.action), value), stamp)


def states_at(state, *stamps):
    return [
        (f"/{source.topic}", source_message(source, values, stamp))
        for stamp in stamps
        for source, values in zip(claw.sources, split_state(claw, state), strict=True)
    ]


@pytest.mark.parametrize(
    ("apart", "follow"), [(0.07, False), (0.079, False), (0.081, True), (0.119, True), (0.121, False), (0.2, False)]
)
def test_commands_follow_each_other_within_a_fifth_of_a_period(tmp_path, made_up, apart, follow):
    state, step = made_up(claw, 1)[0][0], ros_messages.to_ns(apart)
    rows = [*states_at(state, T0, T0 + step), command_at(T0), command_at(T0 + step)]
    got = found(tmp_path / "e.mcap", claw, rows)
    assert got.step.tolist() == ([0] if follow else [])
    assert got.skipped == {"end of the episode": 1} | ({} if follow else {"commands not one period apart": 1})


@pytest.mark.parametrize(("in_force", "kept"), [(0.079, False), (0.081, True), (0.1, True), (0.5, True)])
def test_the_last_command_was_in_force_for_nearly_a_period_or_does_not_count(tmp_path, made_up, in_force, kept):
    """How long it stayed so after that does not matter: what it led to is seen after a period."""
    (state, after), end = made_up(claw, 1)[0], T0 + ros_messages.to_ns(in_force)
    rows = [*states_at(state, T0), *states_at(after, min(end, T0 + PERIOD)), *states_at(state, T0 + 3 * PERIOD)]
    got = found(tmp_path / "e.mcap", claw, [event("begin", T0), *rows, command_at(T0), event("end", end)])
    assert np.array_equal(got.next_state, [after] if kept else np.zeros((0, len(after))))


@pytest.mark.parametrize(
    ("max_age_s", "age", "kept"),
    [(0.25, 0.0999, True), (0.25, 0.1, False), (0.05, 0.05, True), (0.05, 0.051, False), (0.25, -1e-6, True),
     (0.25, -1.002e-6, False)],
)  # fmt: skip
def test_a_sample_is_as_old_as_its_source_and_a_period_allow(tmp_path, made_up, max_age_s, age, kept):
    document = yaml.safe_load(claw.text)
    document["state"][1]["max_age_s"] = max_age_s
    contract = parse_contract(yaml.safe_dump(document))
    state = made_up(claw, 1)[0][0]
    measured = [T0 + k * PERIOD - ros_messages.to_ns(age) for k in range(2)]
    rows = [row for row in states_at(state, *measured) if "valve" in row[0]]
    rows += [row for row in states_at(state, T0, T0 + PERIOD) if "valve" not in row[0]]
    got = found(tmp_path / "e.mcap", contract, [*rows, command_at(T0), command_at(T0 + PERIOD)])
    assert len(got) == kept


@pytest.mark.parametrize("which", ["begin", "end"])
@pytest.mark.parametrize(("beyond_ns", "kept"), [(0, True), (900_000, True), (1_100_000, False)])
def test_events_carry_their_time_to_a_millisecond(tmp_path, made_up, which, beyond_ns, kept):
    state = made_up(claw, 1)[0][0]
    stamps = [T0 + k * PERIOD for k in range(4)]
    begin, end = stamps[0], stamps[3] + 1
    if which == "begin":
        begin = stamps[0] + beyond_ns
    else:
        end = stamps[2] - beyond_ns + 500  # a float of seconds is within 240 ns
    rows = [*states_at(state, *stamps), *map(command_at, stamps), event("begin", begin), event("end", end)]
    got = found(tmp_path / "e.mcap", claw, rows)
    outside = got.skipped.get("outside the episode", 0)
    if which == "begin":
        assert outside == (0 if kept else 1)
        assert len(got) == (3 if kept else 2)
    else:
        assert outside == (1 if kept else 2)
        assert len(got) == 2


def test_what_gives_no_transition_is_counted_by_reason(tmp_path, made_up):
    state = made_up(claw, 1)[0][0]
    ticks = [0, 1, 3, 4, 6, 9, 10]
    stamps = [T0 + k * PERIOD for k in ticks]
    rows = [*states_at(state, *stamps, T0 + 11 * PERIOD), *map(command_at, stamps)]
    rows += [command_at(T0 + 20 * PERIOD + k, np.nan) for k in range(3)]
    rows += [event("begin", T0 + PERIOD), event("end", T0 + 11 * PERIOD)]
    got = found(tmp_path / "e.mcap", claw, rows)
    assert got.step.tolist() == [2, 8, 9]
    assert got.skipped == {
        "command: non-finite value": 3,
        "outside the episode": 1,
        "commands not one period apart": 3,
    }


def test_steps_count_periods_from_the_first_command_of_the_episode(tmp_path, made_up):
    state = made_up(claw, 1)[0][0]
    ticks = [0, 1, 2, 5, 6, 9]
    jitter = [0, 3_000_000, -4_000_000, 2_000_000, 9_000_000, 0]
    stamps = [T0 + k * PERIOD + late for k, late in zip(ticks, jitter, strict=True)]
    before = T0 - PERIOD
    rows = [*states_at(state, before, *stamps), event("begin", T0), *map(command_at, [before, *stamps])]
    got = found(tmp_path / "e.mcap", claw, rows)
    assert got.step.tolist() == [0, 1, 5]
    assert got.key == "claw/s/0000"
    assert len(got) == 3


def test_a_stale_or_missing_state_is_skipped(tmp_path, made_up):
    states, commands, _ = made_up(claw, 6)
    rows = log(claw, states, commands)
    without = [
        r for r in rows if not (r[0] == "/valve/joint_states" and ros_messages.stamp_ns(r[1]) == T0 + 3 * PERIOD)
    ]
    got = found(tmp_path / "e.mcap", claw, without)
    assert got.step.tolist() == [0, 1, 4]
    assert got.skipped["no fresh sample on valve/joint_states"] == 2
    without = [r for r in rows if not (r[0] == "/valve/joint_states" and ros_messages.stamp_ns(r[1]) == T0)]
    got = found(tmp_path / "e.mcap", claw, without)
    assert got.skipped["no sample yet on valve/joint_states"] == 1


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e5])
def test_values_that_cannot_be_a_state_or_a_command_are_skipped(tmp_path, bad, made_up):
    states, commands, _ = made_up(claw, 6)
    states[2, 9] = bad  # a velocity: non-finite, or outside the contract's range
    got = found(tmp_path / "e.mcap", claw, log(claw, states, commands))
    assert got.step.tolist() == [0, 3, 4]
    if not np.isfinite(bad):
        commands[4, 0] = bad
        got = found(tmp_path / "e.mcap", claw, log(claw, states, commands))
        assert got.step.tolist() == [0]
        assert got.skipped["command: non-finite value"] == 1
    assert np.isfinite(got.state).all()
    assert np.isfinite(got.action).all()


def test_nothing_is_learned_after_a_drop(tmp_path, made_up):
    states, commands, _ = made_up(adroit, 6)
    states[3:, adroit.task.state.index("ball_b.position.z")] = BALL_DROPPED
    got = found(tmp_path / "e.mcap", adroit, log(adroit, states, commands))
    assert got.step.tolist() == [0, 1, 2]  # the step into the drop is kept
    assert got.skipped == {"after a drop": 2, "end of the episode": 1}


def test_a_ball_that_comes_back_brings_nothing_back(tmp_path, made_up):
    """What lies in the hand after a drop was put there by somebody."""
    states, commands, _ = made_up(adroit, 7)
    states[2:4, adroit.task.state.index("ball_a.position.z")] = BALL_DROPPED
    got = found(tmp_path / "e.mcap", adroit, [*log(adroit, states, commands), event("end", T0 + 7 * PERIOD)])
    assert got.step.tolist() == [0, 1]
    assert got.skipped == {"after a drop": 5}


def test_commands_outside_the_episode_are_skipped(tmp_path, made_up):
    states, commands, _ = made_up(claw, 8)
    old_end = event("end", T0 + PERIOD)  # of the episode before, still in the logger's memory
    rows = [old_end, event("begin", T0 + 2 * PERIOD), *log(claw, states, commands), event("end", T0 + 6 * PERIOD)]
    got = found(tmp_path / "e.mcap", claw, rows)
    assert np.array_equal(got.action, commands[2:6])
    assert got.step.tolist() == [0, 1, 2, 3]
    assert got.skipped == {"outside the episode": 3, "end of the episode": 1}


def test_commands_are_read_by_joint_name(tmp_path, made_up):
    states, commands, _ = made_up(claw, 2)
    rows = log(claw, states, [])
    order = [4, 0, 3, 1, 2, 8, 7, 6, 5]
    for k, command in enumerate(commands):
        names = [claw.action.names[i] for i in order]
        rows.append(("/controller/command", ros_messages.joint_state(names, command[order], T0 + k * PERIOD)))
    rows += [event("begin", T0), event("end", T0 + 2 * PERIOD)]
    assert np.array_equal(found(tmp_path / "e.mcap", claw, rows).action, commands)


def test_of_two_commands_with_one_stamp_the_first_to_arrive_counts(tmp_path, made_up):
    states, commands, _ = made_up(claw, 3)
    others = commands[::-1] / 2
    rows = [*log(claw, states, commands), *log(claw, states[:0], others), event("end", T0 + 3 * PERIOD)]
    assert np.array_equal(found(tmp_path / "e.mcap", claw, rows).action, commands)


def test_the_first_end_after_the_begin_counts(tmp_path, made_up):
    """A later one is of somebody else, or the same told again."""
    states, commands, _ = made_up(claw, 6)
    ends = [event("end", T0 + k * PERIOD) for k in (2, 5, 3)]
    got = found(tmp_path / "e.mcap", claw, [event("begin", T0), *log(claw, states, commands), *ends])
    assert got.step.tolist() == [0, 1]


@pytest.mark.parametrize("steps", [0, 1])
def test_an_empty_or_too_short_episode_gives_none_and_says_why(tmp_path, steps, made_up):
    states, commands, _ = made_up(claw, steps)
    got = found(tmp_path / "e.mcap", claw, log(claw, states, commands) if steps else [])
    assert (len(got), got.state.shape, got.action.shape) == (0, (0, 20), (0, 9))
    assert got.skipped == ({"end of the episode": 1} if steps else {"no commands in the episode": 1})


def test_odd_events_do_no_harm(tmp_path, made_up):
    states, commands, _ = made_up(claw, 3)
    odd = [
        "",
        "[]",
        "{",
        '{"event": "begin"}',
        '{"event": "begin", "stamp": NaN}',
        '{"event": 3, "stamp": 1}',
    ]
    rows = [("/controller/episode", ros_messages.string(text)) for text in odd] + log(claw, states, commands)
    assert len(found(tmp_path / "e.mcap", claw, rows)) == 2


OBJECTS = load_contract(share_dir() / "config" / "adroit_baoding.yaml").text


def with_poses():
    """Adroit, one ball of which is told of by poses: their velocity follows from all that came before."""
    document = yaml.safe_load(OBJECTS)
    ball = document["state"][2]
    ball.update(type="geometry_msgs/msg/PoseStamped", topic="ball_b/pose")
    return parse_contract(yaml.safe_dump(document))


poses = with_poses()


@quick
@given(st.integers(0, 12), st.integers(1, 13), st.sampled_from([0.0, 0.02, 0.3]), st.integers(0, 2**32 - 1))
def test_what_is_read_for_transitions_alone_gives_the_same_ones(tmp_path, steps, rate, spoilt, seed):
    """Whatever the sensors' rate, order of arrival, repeats, and readings that cannot be used."""
    rng = np.random.default_rng(seed)
    heights = [i for i, name in enumerate(poses.task.state.names) if name.endswith("position.z")]
    rows, order = [], []
    for k in range((steps + 1) * rate):
        stamp = T0 - PERIOD // 2 + k * PERIOD // rate + int(rng.integers(-3000, 3000))
        state = rng.uniform(-0.1, 0.1, len(poses.task.state))
        state[heights] = BALL_DROPPED if seed % 4 == 0 and k > 8 * rate else 0.2
        state[rng.random(len(state)) < spoilt / 10] = rng.choice([np.nan, 50.0])
        for source, values in zip(poses.sources, split_state(poses, state), strict=True):
            message = source_message(source, values, stamp)
            if source.type != ros_types.JOINT_STATE and rng.random() < spoilt:
                message.header.frame_id = "elsewhere"
            for _ in range(rng.choice([0, 1, 1, 1, 2])):
                rows.append((f"/{source.topic}", message))
                order.append(stamp + rng.normal() * rng.choice([0, 1e5, 1e8]))
    for k in range(steps):
        stamp = T0 + k * PERIOD + int(rng.choice([0, 0, 0, PERIOD // 3]))
        rows.append(("/controller/command", ros_messages.joint_state(poses.action.names, rng.random(24) / 10, stamp)))
        order.append(stamp)
    rows = [rows[i] for i in np.argsort(order, kind="stable")]
    rows += [event("begin", T0), event("end", T0 + steps * PERIOD)][: rng.integers(3)]
    whole = found(tmp_path / "e.mcap", poses, rows)
    episode = read_episode(tmp_path / "e.mcap", only_for_transitions=True)
    alone = transitions(episode)
    for name in ("state", "action", "next_state", "step"):
        assert getattr(alone, name).tobytes() == getattr(whole, name).tobytes()
    assert alone.skipped == whole.skipped


def test_of_a_fast_sensor_only_what_is_needed_is_decoded(tmp_path, made_up, monkeypatch):
    states, commands, _ = made_up(claw, 200)
    rows = log(claw, states, commands[::20], period=PERIOD // 20)[: -len(commands[::20])]
    rows += [
        ("/controller/command", ros_messages.joint_state(claw.action.names, command, T0 + k * PERIOD))
        for k, command in enumerate(commands[::20])
    ]
    assert len(found(tmp_path / "e.mcap", claw, rows)) == 9
    counted = []
    decode = ros_messages.decode
    monkeypatch.setattr(ros_messages, "decode", lambda *given: counted.append(given[1]) or decode(*given))
    episode = read_episode(tmp_path / "e.mcap", only_for_transitions=True)
    assert {topic: len(series) for topic, series in episode.sources.items()} == dict.fromkeys(episode.sources, 10)
    assert len(counted) == 30  # two sources, and the commands
