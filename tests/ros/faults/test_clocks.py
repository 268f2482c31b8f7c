"""Clocks that jump: the sensors', and ROS time itself. The steady clock is the operating system's, and does not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from std_srvs.srv import Trigger

from .conftest import Control

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
