# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Others on the hand's command topic, and others that must not be heard."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool, Float64MultiArray
from std_srvs.srv import SetBool

from mbrl_controller.nodes.messages import to_time

from ..conftest import Ros, free_domain
from .conftest import JOINTS, PERIOD, Control

pytestmark = [pytest.mark.ros, pytest.mark.slow]
FOREIGN = [0.123, 0.123, 0.123]  # rad; no plan sends this


@pytest.fixture(scope="module")
def control(module_ros: Any, small_hand: Path) -> Iterator[Control]:
    """A running controller of the small hand."""
    made = Control(module_ros, small_hand)
    try:
        made.wait_until_running()
        yield made
    finally:
        made.close()


def foreign(command: np.ndarray) -> bool:
    return bool(np.array_equal(command, FOREIGN))


def test_another_domain_is_not_heard(control: Control, fault_row: Any) -> None:
    hand = control.hand
    good = control.wait_until_running()
    with free_domain() as domain:
        other = Ros(os.environ | {"ROS_DOMAIN_ID": str(domain)})
        try:
            publishers = [
                (other.node.create_publisher(JointState, "joint_states", 10), "states"),
                (other.node.create_publisher(Float64MultiArray, "hand/commands", 10), "commands"),
                (other.node.create_publisher(Bool, "e_stop", 10), "e-stops"),
            ]
            heard = other.collect("e_stop", Bool)
            began = time.monotonic()

            def shout() -> bool:
                stamp = to_time(time.time())
                joints = JointState(name=JOINTS, position=[0.9] * 3, velocity=[0.0] * 3)
                joints.header.stamp = stamp
                for (publisher, _), message in zip(
                    publishers, (joints, Float64MultiArray(data=FOREIGN), Bool(data=True)), strict=True
                ):
                    publisher.publish(message)
                control.ros.executor.spin_once(timeout_sec=0.0)
                return len(heard) > 30 and sum(tick.planned for tick in hand.after(began)) > 30

            other.wait(shout, "its own messages in the other domain")
            ended = time.monotonic()
        finally:
            other.close()
    ticks = [tick for tick in hand.after(began) if tick.time < ended]
    strange = [when for when, command in list(hand.commands) if foreign(command)]
    assert not strange
    hand.check_commands(good)
    values = control.values()
    fault_row(
        fault=f"{', '.join(what for _, what in publishers)} in another domain",
        hand=f"followed {sum(tick.planned for tick in ticks)} plans in {len(ticks)} periods",
        diagnostics=values["safety state"],
        periods=hand.periods_to_last(strange, began),
        lost="nothing",
    )


def test_a_foreign_publisher_gets_the_hand_alone(control: Control, fault_row: Any) -> None:
    hand = control.hand
    good = control.wait_until_running()
    control.reports.clear()
    rival = control.ros.node.create_publisher(Float64MultiArray, "hand/commands", 1)

    def takes_it() -> bool:
        rival.publish(Float64MultiArray(data=FOREIGN))
        return any(foreign(command) for command in hand.commands_after(good))

    control.ros.wait(takes_it, "a foreign command to arrive")
    first = next(when for when, command in list(hand.commands) if when > good and foreign(command))
    said = control.said("is already commanded by /observer")
    ended = time.monotonic()
    control.ros.wait(lambda: not takes_it() or time.monotonic() > ended + 10 * PERIOD, "some periods")
    own = [when for when, command in list(hand.commands) if when > first and not foreign(command)]
    periods = hand.periods_to_last(own, first)
    control.ros.node.destroy_publisher(rival)

    def taken_back() -> bool:
        # Within seconds of its activation it deactivates, later it hands the hand over.
        if control.ros.state("controller") == "inactive":
            return bool(control.ros.change("controller", "activate"))
        return bool(control.ros.call("controller/hand_over", SetBool, SetBool.Request(data=False)).success)

    control.ros.wait(taken_back, "the foreign publisher to be forgotten")
    again = time.monotonic()
    control.ros.wait(lambda: len([t for t in hand.after(again) if t.planned]) > 10, "control")
    hand.check_commands(again)
    fault_row(
        fault="a foreign publisher on the command topic",
        hand=f"{len(own)} commands of the controller after the first foreign one, then none until it was taken back",
        diagnostics=said,
        periods=periods,
        lost="the rest of the episode",
    )


def test_two_controllers_never_both_command(control: Control, fault_row: Any, small_hand: Path) -> None:
    """Started beside a running one, the second is refused, or one of them gives way."""
    hand = control.hand
    control.wait_until_running()
    began = time.monotonic()
    second: list[float] = []
    control.ros.node.create_subscription(JointState, "second/command", lambda _: second.append(time.monotonic()), 50)
    reports = control.ros.diagnostics("second: control")
    control.reports.clear()
    arguments = ["--ros-args", "-r", "__node:=second"]
    process = control.ros.start(
        "mbrl_controller.nodes.controller", {**control.given, "discovery_s": 4.0, "autostart": True}, *arguments
    )
    word = "is already commanded by"
    control.ros.wait(lambda: any(word in r[1] for r in [*reports, *control.reports]), "the reason")
    said = next(r[1] for r in [*reports, *control.reports] if word in r[1])
    settled = time.monotonic()
    control.ros.wait(lambda: time.monotonic() > settled + 10 * PERIOD, "some periods")
    mine = [tick.time for tick in hand.after(began) if tick.planned]
    both = min(max(second, default=0.0), max(mine, default=0.0)) - min(second, default=np.inf)
    periods = max(both / PERIOD, 0.0)
    assert [control.ros.state("controller"), control.ros.state("second")].count("active") <= 1
    assert process.stop() == 0, process.output
    fault_row(
        fault="a second controller of the same hand",
        hand=f"{len(second)} commands of the second, {len(mine)} of the first",
        diagnostics=said,
        periods=periods,
        lost="nothing" if mine and mine[-1] > settled else "the rest of the episode",
    )
