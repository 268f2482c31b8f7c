# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Clocks that jump: the sensors', and ROS time itself. The steady clock is the operating system's, and does not."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from std_srvs.srv import Trigger

from mbrl_controller.episodes.transitions import transitions

from .conftest import PERIOD, Control

pytestmark = [pytest.mark.ros, pytest.mark.slow]
JUMP_S = 5.0


@pytest.fixture(scope="module")
def control(module_ros: Any, small_hand: Path) -> Iterator[Control]:
    """A controller that lives by the /clock of its hand."""
    made = Control(module_ros, small_hand, use_sim_time=True)
    try:
        made.wait_until_running()
        yield made
    finally:
        made.close()


@pytest.mark.parametrize(("direction", "word"), [(1.0, "in the future"), (-1.0, "joint_states: ")])
def test_a_sensors_clock_that_jumps_holds_the_hand_until_it_is_right(
    control: Control, fault_row: Any, direction: float, word: str
) -> None:
    hand = control.hand
    good = control.wait_until_running()
    episode = hand.ticks[-1].row["episode"]
    began = control.fault(stamp_offset=direction * JUMP_S)
    periods = control.wait_until_safe(began)
    said = control.said(word)
    first = next(tick.time for tick in hand.after(began) if not tick.planned)
    control.ros.wait(lambda: len(hand.after(first)) > 10, "ticks")
    ended = hand.change(stamp_offset=0.0)
    assert not any(tick.planned for tick in hand.after(first) if tick.time < ended)
    again = control.wait_until_running(ticks=4)
    # Not only once the time of the wrong stamps has come.
    assert again - ended < JUMP_S
    waited = sum(tick.time < again for tick in hand.after(ended))
    assert waited <= 4
    hand.check_commands(good)
    assert hand.ticks[-1].row["episode"] == episode
    fault_row(
        fault=f"the sensors' clock jumps by {direction * JUMP_S:+.0f} s",
        hand=f"kept its last target, went on {waited} periods after the clock was right",
        diagnostics=said,
        periods=periods,
        lost="nothing: the same episode goes on",
    )


def test_ros_time_that_jumps_forwards_costs_a_tick_at_most(control: Control, fault_row: Any) -> None:
    hand = control.hand
    good = control.wait_until_running()
    began = control.fault(clock_offset=hand.clock_offset + JUMP_S)
    control.ros.wait(lambda: len(hand.after(began)) > 10, "ticks")
    control.wait_until_running(ticks=4)
    ticks = hand.after(began)
    held = [tick for tick in ticks if not tick.planned]
    assert ticks[-1].row["stamp"] - ticks[0].row["stamp"] < JUMP_S
    assert len(held) <= 2
    old = [tick for tick in ticks if tick.planned and abs(tick.age) >= 0.5]  # by the clock of then
    assert not old
    hand.check_commands(good)
    fault_row(
        fault=f"ROS time jumps by {JUMP_S:+.0f} s",
        hand=f"held for {len(held)} periods, then went on",
        diagnostics=control.values()["safety state"],
        periods=hand.periods_to_last((tick.time for tick in old), began),
        lost="the transition across the jump",
    )


def test_ros_time_that_jumps_back_ends_the_episode(control: Control, fault_row: Any) -> None:
    hand = control.hand
    good = control.wait_until_running()
    episode = hand.ticks[-1].row["episode"]
    began = control.fault(clock_offset=hand.clock_offset - 2 * JUMP_S)
    periods = control.wait_until_safe(began)
    said = control.said("the clock went back")
    first = next(tick.time for tick in hand.after(began) if not tick.planned)
    control.ros.wait(lambda: len(hand.after(first)) > 10, "ticks")
    assert not any(tick.planned for tick in hand.after(first))
    assert control.ros.call("controller/reset", Trigger).success
    control.wait_until_running(ticks=4)
    assert hand.ticks[-1].row["episode"] == episode + 1
    hand.check_commands(good)
    fault_row(
        fault=f"ROS time jumps by {-2 * JUMP_S:+.0f} s",
        hand="kept its last target; began a new episode after ~/reset",
        diagnostics=said,
        periods=periods,
        lost="the rest of the episode",
    )


@pytest.mark.parametrize("rate", [0.5, 2.0])
def test_simulated_time_at_another_speed_is_what_ticks_are_counted_in(
    control: Control, fault_row: Any, rate: float
) -> None:
    hand = control.hand
    control.wait_until_running()
    began = hand.run_at(rate)
    try:
        control.ros.wait(lambda: len(hand.after(began)) > 100, "ticks")
        ended = time.monotonic()
        settled = [tick for tick in hand.after(began) if began + 2.0 < tick.time < ended]
        steps = np.diff([tick.row["stamp"] for tick in settled])
        told = control.values()
    finally:
        hand.run_at(1.0)
    # A tick that a busy machine misses is counted; none comes at another time.
    assert np.median(steps) == pytest.approx(PERIOD, rel=0.1)
    assert (np.abs(steps / PERIOD - np.round(steps / PERIOD)) < 0.5).all()
    assert sum(tick.planned for tick in settled) > len(settled) / 2  # how many a busy machine loses is in the table
    assert float(told["simulated time (times real time)"]) == pytest.approx(rate, rel=0.2)
    held = [tick.time for tick in hand.after(began) if not tick.planned and tick.time < ended]
    control.wait_until_running()
    fault_row(
        fault=f"simulated time runs at {rate} times real time",
        hand=f"got {len(settled)} commands {1e3 * np.median(steps):.0f} ms of simulated time apart",
        diagnostics=f"simulated time (times real time): {told['simulated time (times real time)']}",
        periods=0.0,
        lost=f"{len(held)} ticks held",
    )


def test_simulated_time_that_stands_still_holds_the_hand_and_says_so(control: Control, fault_row: Any) -> None:
    hand = control.hand
    control.wait_until_running()
    control.reports.clear()
    began = hand.run_at(0.0)
    periods = control.wait_until_safe(began)
    said = control.said("time on /clock has stood still for")
    control.ros.wait(lambda: len(hand.after(began)) > 10, "ticks")
    assert not any(tick.planned for tick in hand.after(began)[2:])
    hand.run_at(1.0)
    control.wait_until_running()
    fault_row(
        fault="simulated time stands still",
        hand="kept its last target until it went on",
        diagnostics=said,
        periods=periods,
        lost="nothing: the same episode goes on",
    )


def test_a_world_that_is_reset_costs_the_log_a_transition_or_two(
    control: Control, fault_row: Any, tmp_path: Path
) -> None:
    """Its clock begins anew: it goes back by more than the episode's age."""
    hand, ros = control.hand, control.ros
    control.start_logger(tmp_path)
    control.wait_until_running()
    assert ros.call("controller/reset", Trigger).success
    good = time.monotonic()
    ros.wait(lambda: len([t for t in hand.after(good) if t.planned]) > 40, "an episode")
    number = hand.ticks[-1].row["episode"]
    began = control.fault(clock_offset=hand.clock_offset - 1000.0)
    periods = control.wait_until_safe(began)
    said = control.said("the clock went back")
    commands = len([t for t in hand.ticks if good < t.time <= began and t.planned])
    episode = control.logged(tmp_path, number)
    got = transitions(episode)
    assert episode.begin_ns is not None
    assert episode.end_ns is not None
    assert episode.end_ns >= episode.begin_ns
    uneven = got.skipped.get("commands not one period apart", 0)  # ticks that a busy machine made late
    assert len(got) >= commands - uneven - 8
    assert ros.call("controller/reset", Trigger).success
    again = time.monotonic()
    control.wait_until_running()
    ros.wait(lambda: len([t for t in hand.after(again) if t.planned]) > 20, "the next episode")
    hand.check_commands(again)
    fault_row(
        fault="a world is reset: ROS time goes back by more than the episode's age",
        hand="kept its last target; began a new episode after ~/reset",
        diagnostics=said,
        periods=periods,
        lost=f"of {commands} commands all but {len(got)} transitions",
    )
