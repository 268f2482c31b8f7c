# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Sensors that fail, and what the network does to their messages."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sensor_msgs.msg import JointState

from mbrl_controller.nodes.messages import to_time

from .conftest import Control, Spoil

pytestmark = [pytest.mark.ros, pytest.mark.slow]


PHASES = (0.0, 0.3, 0.6, 0.9)  # of a control period after a tick, at which a fault begins


@pytest.fixture(scope="module")
def control(module_ros: Any, small_hand: Path) -> Iterator[Control]:
    """A running controller of the small hand, whose objects cannot rest."""
    made = Control(module_ros, small_hand, frozen_object_periods=1)
    try:
        made.wait_until_running()
        yield made
    finally:
        made.close()


# --- what becomes of the messages that a sensor sends ---------------------------------------------------------------


def silent() -> Spoil:
    return lambda message: []


def frozen() -> Spoil:
    first: list[JointState] = []

    def spoil(message: JointState) -> list[JointState]:
        first.append(message)
        return [JointState(header=message.header, name=message.name, position=first[0].position, velocity=[0.0] * 3)]

    return spoil


def frozen_valve() -> Spoil:
    first: list[JointState] = []

    def spoil(message: JointState) -> list[JointState]:
        first.append(message)
        return [JointState(header=message.header, name=message.name, position=first[0].position, velocity=[0.0])]

    return spoil


def repeated() -> Spoil:
    """The driver sends its last message for ever."""
    first: list[JointState] = []

    def spoil(message: JointState) -> list[JointState]:
        first.append(message)
        return [first[0]]

    return spoil


def not_a_number() -> Spoil:
    def spoil(message: JointState) -> list[JointState]:
        message.position[1] = float("nan")
        return [message]

    return spoil


def missing() -> Spoil:
    return lambda message: [
        JointState(header=message.header, name=["J0", "J2"], position=[0.0, 0.0], velocity=[0.0, 0.0])
    ]


def late() -> Spoil:
    """All that arrives was measured a second ago."""

    def spoil(message: JointState) -> list[JointState]:
        message.header.stamp = to_time(message.header.stamp.sec + 1e-9 * message.header.stamp.nanosec - 1.0)
        return [message]

    return spoil


def permuted() -> Spoil:
    """Another order of joints in each message, which an order once learnt would get wrong."""
    rng = np.random.default_rng(0)

    def spoil(message: JointState) -> list[JointState]:
        order = rng.permutation(3)
        return [
            JointState(
                header=message.header,
                name=[message.name[i] for i in order],
                position=[message.position[i] for i in order],
                velocity=[message.velocity[i] for i in order],
            )
        ]

    return spoil


def duplicated() -> Spoil:
    return lambda message: [message, message, message]


def out_of_order() -> Spoil:
    """Each message comes after the one that was measured later."""
    held: list[JointState] = []

    def spoil(message: JointState) -> list[JointState]:
        held.append(message)
        return [held.pop(), held.pop()] if len(held) == 2 else []

    return spoil


def late_between() -> Spoil:
    """After each good message a copy of one that was measured half a second before, when the hand was elsewhere."""
    past: list[JointState] = []

    def spoil(message: JointState) -> list[JointState]:
        past.append(copy.deepcopy(message))
        return [message, past[-50]] if len(past) > 50 else [message]

    return spoil


# --- faults that hold the hand --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fault:
    """What is spoilt, how, and what /diagnostics must say of it."""

    name: str
    what: str
    spoil: Callable[[], Spoil]
    word: str


HOLDING = [
    Fault("joint sensor silent", "spoil", silent, "joint_states: nothing received for"),
    Fault("object sensor silent", "spoil_valve", silent, "valve/joint_states: nothing received for"),
    Fault("joint sensor frozen: new stamps, old values", "spoil", frozen, "joint_states: the same values for"),
    Fault(
        "object sensor frozen (frozen_object_periods: 1)",
        "spoil_valve",
        frozen_valve,
        "valve/joint_states: the same values for",
    ),
    Fault("driver repeats its last message", "spoil", repeated, "nothing newer received for"),
    Fault("joint angle not a number", "spoil", not_a_number, "non-finite value for J1.position"),
    Fault("joint missing", "spoil", missing, "joint J1 missing"),
    Fault("all messages a second late", "spoil", late, "joint_states: "),
]


@pytest.mark.parametrize("fault", HOLDING, ids=lambda fault: fault.name)
def test_holds_within_two_periods_and_goes_on(control: Control, fault_row: Any, fault: Fault) -> None:
    hand = control.hand
    good = control.wait_until_running()
    episode = hand.ticks[-1].row["episode"]
    periods, held, moved = [], 0, 0.0
    for phase in PHASES:
        control.wait_until_running(ticks=4)
        began = control.fault(phase, **{fault.what: fault.spoil()})
        periods.append(control.wait_until_safe(began))
        said = control.said(fault.word)
        first = next(tick.time for tick in hand.after(began) if not tick.planned)
        control.ros.wait(lambda: len(hand.after(first)) > 5, "more ticks")  # noqa: B023
        ended = hand.change(**{fault.what: lambda message: [message]})
        safe = [tick for tick in hand.after(first) if tick.time < ended]
        assert not any(tick.planned for tick in safe)
        kept = np.array(hand.commands_after(first))[1 : len(safe) - 1]
        held, moved = held + len(safe), max(moved, float(np.abs(np.diff(kept, axis=0)).max()))
    control.wait_until_running(ticks=4)
    assert moved == pytest.approx(0.0, abs=1e-9)
    hand.check_commands(good)
    assert hand.ticks[-1].row["episode"] == episode
    assert control.process.alive
    fault_row(
        fault=fault.name,
        hand=f"kept its last target (moved {moved:.3f} rad in {held} periods), then went on",
        diagnostics=said,
        periods=max(periods),
        lost="nothing: the same episode goes on",
    )


# --- faults that need nobody ----------------------------------------------------------------------------------------

HARMLESS = {
    "joints in another order in each message": permuted,
    "messages three times": duplicated,
    "messages out of order": out_of_order,
    "old messages between the new ones": late_between,
}


@pytest.mark.parametrize("name", HARMLESS)
def test_goes_on_with_the_right_values(control: Control, fault_row: Any, name: str) -> None:
    hand = control.hand
    good = control.wait_until_running()
    rejected = control.values()["rejected messages"]
    began = control.fault(spoil=HARMLESS[name]())
    # On a busy machine the hand itself may fall silent for a moment: so many plans, not so many ticks.
    control.ros.wait(lambda: sum(tick.planned for tick in hand.after(began)) > 25, "plans to be followed")
    ended = hand.change(spoil=lambda message: [message])
    ticks = [tick for tick in hand.after(began) if tick.time < ended]
    planned = [tick for tick in ticks if tick.planned]
    assert (np.diff([tick.row["state_stamp"] for tick in planned]) > 0).all()
    old = [tick for tick in planned if tick.age >= 0.3]
    assert not old
    control.wait_until_running()
    # With another joint's angle, or an old one, the limits around it would let commands jump.
    hand.check_commands(good)
    values = control.values()
    assert values["rejected messages"] == rejected
    fault_row(
        fault=name,
        hand=f"followed {len(planned)} plans in {len(ticks)} periods",
        diagnostics=values["safety state"],
        periods=hand.periods_to_last((tick.time for tick in old), began),
        lost="nothing",
    )
