# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Nothing is learnt from what did not happen to the hand: unheard commands, disputed states, a clock that went back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mbrl_controller.base.resources import share_dir
from mbrl_controller.contract.contract import load_contract
from mbrl_controller.contract.state_assembly import split_state
from mbrl_controller.control.doubt import Doubt
from mbrl_controller.episodes import ros_messages
from mbrl_controller.episodes.metadata import EpisodeInfo
from mbrl_controller.episodes.reader import read_episode
from mbrl_controller.episodes.source_messages import source_message
from mbrl_controller.episodes.transitions import Transitions, transitions
from mbrl_controller.episodes.writer import EpisodeWriter

T0 = 1_700_000_000_000_000_000
PERIOD = 100_000_000
LABELS = ("stamp", "doubt")

claw = load_contract(share_dir() / "config" / "claw_valve.yaml")
quick = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Log:
    """An episode as a logger hears it: each tick's state and command hold the tick's number, so that what belongs
    together can be told."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, object]] = []
        self.number = 0

    def event(self, kind: str, stamp: int) -> None:
        content = {"event": kind, "stamp": stamp / 1e9}
        self.rows.append(("/controller/episode", ros_messages.json_string(content)))

    def state(self, stamp: int, value: float) -> None:
        state = np.full(len(claw.task.state), value)
        for source, values in zip(claw.sources, split_state(claw, state), strict=True):
            self.rows.append((f"/{source.topic}", source_message(source, values, stamp)))

    def tick(self, stamp: int, doubt: int = 0, command: bool = True, labels: tuple[str, ...] = LABELS) -> None:
        self.state(stamp, 1e-4 * self.number)
        if command:
            values = np.full(len(claw.action), 1e-4 * self.number)
            self.rows.append(("/controller/command", ros_messages.joint_state(claw.action.names, values, stamp)))
        row = {"stamp": stamp / 1e9, "doubt": float(doubt)}
        self.rows.append(("/controller/tick", ros_messages.multi_array([row[label] for label in labels], labels)))
        self.number += 1

    def ticks(self, start: int, count: int, **more: object) -> int:
        """`count` ticks from `start` on; the stamp after the last (ns)."""
        for k in range(count):
            self.tick(start + k * PERIOD, **more)  # type: ignore[arg-type]
        return start + count * PERIOD

    def end(self, stamp: int) -> None:
        """The last command's effect, and the end."""
        self.state(stamp, 1e-4 * self.number)
        self.event("end", stamp)

    def found(self, path: Path) -> Transitions:
        """Its transitions, each of which leads from one tick to the next."""
        path.unlink(missing_ok=True)
        with EpisodeWriter(path, claw, EpisodeInfo("s", 0), fsync=False) as writer:
            for k, (topic, message) in enumerate(self.rows):
                writer.write(topic, message, k)
        got = transitions(read_episode(path))
        np.testing.assert_allclose(got.action[:, 0], got.state[:, 0], atol=1e-9)
        np.testing.assert_allclose(got.next_state[:, 0], got.state[:, 0] + 1e-4, atol=1e-9)
        return got

    @staticmethod
    def numbers(got: Transitions) -> list[int]:
        return [round(value) for value in got.action[:, 0] * 1e4]


@pytest.mark.parametrize(
    ("doubt", "reason", "again"),
    [(Doubt.UNHEARD, "nobody took the commands", 70), (Doubt.DISPUTED, "a state had several publishers", 80)],
)
def test_what_is_in_doubt_is_left_out_with_a_margin_and_counted(
    tmp_path: Path, doubt: Doubt, reason: str, again: int
) -> None:
    log = Log()
    log.event("begin", T0)
    middle = log.ticks(T0, 60)
    later = log.ticks(middle, 10, doubt=int(doubt))
    end = log.ticks(later, 60)
    log.end(end)
    got = log.found(tmp_path / "e.mcap")
    # A logger may have heard of it some seconds earlier, and the last false message may be the newest for a while; a
    # command that is heard again is heard.
    assert log.numbers(got) == [*range(29), *range(again, 130)]
    assert got.skipped == {reason: again - 29}


def test_a_drop_that_only_a_disputed_state_shows_is_none(tmp_path: Path) -> None:
    contract = load_contract(share_dir() / "config" / "adroit_baoding.yaml")
    rng = np.random.default_rng(0)
    height = contract.task.state.index("ball_b.position.z")
    path = tmp_path / "e.mcap"
    with EpisodeWriter(path, contract, EpisodeInfo("s", 0), fsync=False) as writer:
        for k in range(100):
            state = rng.uniform(-0.3, 0.3, len(contract.task.state))
            state[[i for i, name in enumerate(contract.task.state.names) if name.endswith("position.z")]] = 0.2
            if 40 <= k < 45:
                state[height] = 0.0
            stamp = T0 + k * PERIOD
            for source, values in zip(contract.sources, split_state(contract, state), strict=True):
                writer.write(f"/{source.topic}", source_message(source, values, stamp), stamp)
            command = ros_messages.joint_state(
                contract.action.names, rng.uniform(-0.1, 0.1, len(contract.action)), stamp
            )
            writer.write("/controller/command", command, stamp)
            row = ros_messages.multi_array([stamp / 1e9, 2.0 * (40 <= k < 45)], LABELS)
            writer.write("/controller/tick", row, stamp)
    assert transitions(read_episode(path)).step[-1] == 98


def test_logs_without_doubts_read_as_ever(tmp_path: Path) -> None:
    log = Log()
    log.event("begin", T0)
    log.end(log.ticks(T0, 20, labels=("stamp",)))
    assert log.numbers(log.found(tmp_path / "e.mcap")) == list(range(20))


def test_an_end_before_its_begin_costs_the_last_command_alone(tmp_path: Path) -> None:
    """As the controller once stamped it where the clock went back by more than the episode's age."""
    log = Log()
    log.event("begin", T0)
    log.ticks(T0, 31)
    back = T0 - 40 * PERIOD
    log.event("end", back)
    log.ticks(back, 3)
    got = log.found(tmp_path / "e.mcap")
    assert log.numbers(got) == list(range(30))
    assert got.skipped["end of the episode"] == 1


def test_an_end_with_the_last_good_ticks_stamp_costs_the_last_command_alone(tmp_path: Path) -> None:
    log = Log()
    log.event("begin", T0)
    last = log.ticks(T0, 31) - PERIOD
    log.event("end", last)
    log.ticks(T0 - 40 * PERIOD, 3)
    got = log.found(tmp_path / "e.mcap")
    assert log.numbers(got) == list(range(30))


@quick
@given(
    parts=st.lists(st.tuples(st.integers(1, 25), st.integers(-60, 60)), min_size=1, max_size=4),
    told=st.booleans(),
)
def test_whatever_the_clock_does_no_transition_mixes_two_times(
    tmp_path: Path, parts: list[tuple[int, int]], told: bool
) -> None:
    """Ticks, a jump of the clock by periods, ticks, ...; `found` checks that each row is of two successive ticks."""
    log, stamp = Log(), T0
    log.event("begin", T0)
    last = T0
    for count, jump in parts:
        stamp = log.ticks(stamp, count)
        last = stamp - PERIOD
        stamp += jump * PERIOD
    if told and parts[-1][1] < 0:
        log.event("end", last)  # as the controller stamps it where the clock went back
    elif told:
        log.end(stamp)
    got = log.found(tmp_path / "e.mcap")
    assert (np.diff(log.numbers(got)) > 0).all()


def test_a_clock_that_goes_back_to_just_where_it_was_is_seen_by_the_commands(tmp_path: Path) -> None:
    log = Log()
    log.event("begin", T0)
    log.ticks(T0, 11)
    log.ticks(T0 + 10 * PERIOD, 20)  # the eleventh tick's time comes again
    got = log.found(tmp_path / "e.mcap")
    assert got.skipped["the clock went back"] >= 2
    assert len(got) >= 20


@quick
@given(count=st.integers(2, 40), past=st.integers(1, 10), back=st.integers(100, 10_000))
def test_what_a_new_episodes_log_holds_of_the_time_before_the_clock_went_back_is_not_its_own(
    tmp_path: Path, count: int, past: int, back: int
) -> None:
    """A file begins with the last second before its episode, which may be later by the clock as it was then."""
    log = Log()
    log.ticks(T0 + back * PERIOD, past)
    log.event("begin", T0)
    log.end(log.ticks(T0, count))
    assert log.numbers(log.found(tmp_path / "e.mcap")) == list(range(past, past + count))


def test_when_the_new_time_reaches_the_old_one_the_two_are_kept_apart(tmp_path: Path) -> None:
    log = Log()
    log.ticks(T0 + 20 * PERIOD, 5)
    log.event("begin", T0)
    log.end(log.ticks(T0, 40))
    got = log.found(tmp_path / "e.mcap")
    assert got.skipped["the clock went back"] >= 5
    assert len(got) >= 28
