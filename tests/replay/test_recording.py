# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""An episode's state, goal, command and plan at any time of its time line."""

from __future__ import annotations

import numpy as np
import pytest

from mbrl_controller.base.errors import EpisodeError
from mbrl_controller.base.resources import share_dir
from mbrl_controller.contract.command_messages import encode_command
from mbrl_controller.contract.contract import load_contract
from mbrl_controller.episodes import ros_messages
from mbrl_controller.episodes.metadata import OTHERS, EpisodeInfo
from mbrl_controller.episodes.source_messages import source_message
from mbrl_controller.episodes.trajectory_writer import START_NS
from mbrl_controller.episodes.writer import EpisodeWriter
from mbrl_controller.replay.moments import find_moments
from mbrl_controller.replay.recording import Recording

from .conftest import PERIOD, STEPS


def test_everything_is_what_was_newest_at_a_time(make) -> None:
    made = make()
    found = Recording.load(made.path)
    assert found.duration == pytest.approx(STEPS * PERIOD)
    for k in (0, 7, STEPS - 1):
        for later in (0.0, 0.4 * PERIOD):
            time = k * PERIOD + later
            np.testing.assert_allclose(found.state_at(time), made.states[k])
            np.testing.assert_allclose(found.commands_at(np.array([time]))[0], made.commands[k])
            assert found.plan_at(time) == k
    np.testing.assert_array_equal(found.goal_at(0.3), [0.5])
    np.testing.assert_allclose(found.plans[3].targets, made.plans[3])
    assert found.end_reason == "timeout"


def test_before_the_first_and_after_the_end_nothing_is_made_up(make) -> None:
    found = Recording.load(make().path)
    assert np.isnan(found.state_at(-0.5)).all()
    assert np.isnan(found.states_at(np.array([found.duration + 1.0]))).all()
    assert np.isnan(found.commands_at(np.array([-0.5, found.duration + 1.0]))).all()
    assert found.goal_at(-0.5) is None
    assert found.plan_at(-0.5) is None
    assert found.tick_at(-0.5) == {}


@pytest.mark.parametrize("stamped", [False, True])
def test_ticks_are_placed_by_their_stamps_or_by_their_commands(make, stamped: bool) -> None:
    ticks = {"reward": np.arange(STEPS) / 10}
    if stamped:
        ticks["stamp"] = START_NS / 1e9 + PERIOD * np.arange(STEPS)
    found = Recording.load(make(ticks=ticks).path)
    assert found.tick_at(0.75)["reward"] == pytest.approx(0.7)


def test_ticks_that_can_be_placed_nowhere_are_not_shown(make) -> None:
    found = Recording.load(make(ticks={"reward": np.zeros(STEPS)}).path)
    assert len(found.tick_times) == STEPS
    found = Recording.load(make().path)
    assert found.ticks == {}
    assert len(found.tick_times) == 0


@pytest.mark.parametrize("lead", [0, 1, 3])
def test_how_much_later_plans_are_stamped_than_their_commands_is_found(make, lead: int) -> None:
    assert Recording.load(make(lead=lead).path).lead == pytest.approx(lead * PERIOD)


def test_a_log_without_plans_is_shown_without(make) -> None:
    found = Recording.load(make(planned=False).path)
    assert (found.plans, found.plan_at(0.5), found.lead) == ((), None, 0.0)


def test_of_a_cut_file_what_is_there_is_shown(make) -> None:
    made = make()
    made.path.write_bytes(made.path.read_bytes()[:-200])
    found = Recording.load(made.path)
    assert not found.episode.complete
    np.testing.assert_allclose(found.state_at(0.5), made.states[5])


def test_a_file_with_nothing_in_it_says_so(tmp_path, claw) -> None:
    EpisodeWriter(tmp_path / "episode_0000.mcap", claw, EpisodeInfo("s", 0)).close()
    with pytest.raises(EpisodeError, match="nothing to show"):
        Recording.load(tmp_path / "episode_0000.mcap")


def test_a_real_hand_that_somebody_else_commands_is_shown_too(tmp_path) -> None:
    """Its driver's own words for joints; no ticks, no goals, no model."""
    contract = load_contract(share_dir() / "config" / "hands" / "wuji.yaml")
    (to,), (source,) = contract.destinations, contract.sources
    info = EpisodeInfo("s", 0, source="logger", commanded_by=OTHERS, topics={to.role: "/commands"})
    path, moved = tmp_path / "episode_0000.mcap", 0.3 * contract.action.upper
    with EpisodeWriter(path, contract, info) as writer:
        for k in range(10):
            stamp = START_NS + round(k * contract.action.period * 1e9)
            writer.write(writer.info.topics[source.key], source_message(source, moved, stamp), stamp)
            sent = encode_command(to, moved[None], contract.action.period)
            command = ros_messages.joint_state(sent.names, sent.values[0], stamp)
            writer.write("/commands", command, stamp)
    found = Recording.load(path)
    now = 5 * contract.action.period
    np.testing.assert_allclose(found.state_at(now)[contract.task.joint_positions], moved, atol=1e-6)
    np.testing.assert_allclose(found.commands_at(np.array([now]))[0], moved, atol=1e-6)
    assert (found.ticks, found.plans, found.goal_at(now)) == ({}, (), None)
    assert [moment.kind for moment in find_moments(found)] == ["begin", "end"]


def test_states_without_any_command_are_shown(tmp_path, claw) -> None:
    path = tmp_path / "episode_0000.mcap"
    with EpisodeWriter(path, claw, EpisodeInfo("s", 0, source="logger", commanded_by=OTHERS)) as writer:
        for k in range(5):
            for source in claw.sources:
                stamp = START_NS + k * 100_000_000
                message = source_message(source, np.full(len(source.entries()), 0.1 * k), stamp)
                writer.write(writer.info.topics[source.key], message, stamp)
    found = Recording.load(path)
    assert found.duration == pytest.approx(0.4)
    np.testing.assert_allclose(found.state_at(0.2), 0.2)
