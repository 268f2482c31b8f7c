"""Transitions are paired by stamps: order of arrival, repeats, gaps and late samples do not mix them up."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mbrl_controller.episodes import messages
from mbrl_controller.episodes.contract import load_contract, parse_contract
from mbrl_controller.episodes.info import EpisodeInfo
from mbrl_controller.episodes.lockstep_log import source_message, split_state
from mbrl_controller.episodes.reader import read_episode
from mbrl_controller.episodes.transitions import Transitions, transitions
from mbrl_controller.episodes.writer import EpisodeWriter
from mbrl_controller.resources import share_dir

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
        rows.append(("/controller/command", messages.joint_state(contract.action.names, command, T0 + k * period)))
    return rows


def event(kind, stamp):
    return "/controller/episode", messages.json_string({"event": kind, "stamp": stamp / 1e9})


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
        rows.append(("/controller/command", messages.joint_state(claw.action.names, command, stamp)))
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
    rows = [r for r in log(claw, states, commands) if messages.stamp_ns(r[1]) != T0 + 3 * PERIOD or "comm" not in r[0]]
    got = found(tmp_path / "e.mcap", claw, rows)
    assert got.step.tolist() == [0, 1, 4]
    assert np.array_equal(got.action, commands[[0, 1, 4]])
    assert got.skipped == {"commands not one period apart": 1, "end of the episode": 1}


def test_a_stale_or_missing_state_is_skipped(tmp_path, made_up):
    states, commands, _ = made_up(claw, 6)
    rows = log(claw, states, commands)
    without = [r for r in rows if not (r[0] == "/valve/joint_states" and messages.stamp_ns(r[1]) == T0 + 3 * PERIOD)]
    got = found(tmp_path / "e.mcap", claw, without)
    assert got.step.tolist() == [0, 1, 4]
    assert got.skipped["no fresh sample on valve/joint_states"] == 2
    without = [r for r in rows if not (r[0] == "/valve/joint_states" and messages.stamp_ns(r[1]) == T0)]
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
        rows.append(("/controller/command", messages.joint_state(names, command[order], T0 + k * PERIOD)))
    rows += [event("begin", T0), event("end", T0 + 2 * PERIOD)]
    assert np.array_equal(found(tmp_path / "e.mcap", claw, rows).action, commands)


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
    rows = [("/controller/episode", messages.string(text)) for text in odd] + log(claw, states, commands)
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
            if source.type != messages.JOINT_STATE and rng.random() < spoilt:
                message.header.frame_id = "elsewhere"
            for _ in range(rng.choice([0, 1, 1, 1, 2])):
                rows.append((f"/{source.topic}", message))
                order.append(stamp + rng.normal() * rng.choice([0, 1e5, 1e8]))
    for k in range(steps):
        stamp = T0 + k * PERIOD + int(rng.choice([0, 0, 0, PERIOD // 3]))
        rows.append(("/controller/command", messages.joint_state(poses.action.names, rng.random(24) / 10, stamp)))
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
        ("/controller/command", messages.joint_state(claw.action.names, command, T0 + k * PERIOD))
        for k, command in enumerate(commands[::20])
    ]
    assert len(found(tmp_path / "e.mcap", claw, rows)) == 9
    counted = []
    decode = messages.decode
    monkeypatch.setattr(messages, "decode", lambda *given: counted.append(given[1]) or decode(*given))
    episode = read_episode(tmp_path / "e.mcap", only_for_transitions=True)
    assert {topic: len(series) for topic, series in episode.sources.items()} == dict.fromkeys(episode.sources, 10)
    assert len(counted) == 30  # two sources, and the commands
