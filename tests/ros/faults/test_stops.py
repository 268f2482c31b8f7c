# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Stops that could be lost: by a new configuration, by coming too early, and with the stop button itself."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import Bool
from std_srvs.srv import Trigger

from ..conftest import NodeProcess
from .conftest import PERIOD, Control

pytestmark = [pytest.mark.ros, pytest.mark.slow]
KEPT = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
DEADLINE_S = 0.5
BUTTON = """
import rclpy
from std_msgs.msg import Bool
rclpy.init()
node = rclpy.create_node("stop_button")
publisher = node.create_publisher(Bool, "e_stop", 1)
node.create_timer(0.02, lambda: publisher.publish(Bool(data=False)))
rclpy.spin(node)
"""


@pytest.fixture
def make(ros: Any, small_hand: Path) -> Iterator[Callable[..., Control]]:
    """Starts a controller of the small hand, with what parameters it is given."""
    made: list[Control] = []

    def start(**parameters: Any) -> Control:
        made.append(Control(ros, small_hand, **parameters))
        return made[0]

    yield start
    for control in made:
        control.close()


def periods_to_last_plan(control: Control, fault: float) -> float:
    return control.hand.periods_to_last((tick.time for tick in list(control.hand.ticks) if tick.planned), fault)


def let_pass(control: Control, periods: int) -> None:
    end = time.monotonic() + periods * PERIOD
    control.ros.wait(lambda: time.monotonic() > end, "some periods")


def reset_and_run(control: Control) -> None:
    """A person's reset, and nothing else, lets it go on."""
    good = time.monotonic()
    assert control.ros.call("controller/reset", Trigger).success
    control.ros.wait(lambda: len([t for t in control.hand.after(good) if t.planned]) > 10, "control")
    control.hand.check_commands(good)


def test_an_e_stop_then_cleanup_configure_and_activate(make: Any, fault_row: Any) -> None:
    control = make()
    control.wait_until_running()
    publisher = control.ros.publisher("e_stop", Bool)
    control.hand.wait_for_phase(0.5)
    began = time.monotonic()
    publisher.publish(Bool(data=True))
    control.said("stopped: e-stop (topic)")
    for transition in ("deactivate", "cleanup", "configure", "activate"):
        assert control.ros.change("controller", transition)
    control.reports.clear()
    said = control.said("stopped: e-stop (topic)")
    let_pass(control, 20)
    periods = periods_to_last_plan(control, began)
    reset_and_run(control)
    fault_row(
        fault="an e-stop, then deactivate, cleanup, configure and activate",
        hand="kept its last target until ~/reset, then went on",
        diagnostics=said,
        periods=periods,
        lost="the rest of the episode",
    )


def test_an_e_stop_published_before_the_controller_started(make: Any, ros: Any, fault_row: Any) -> None:
    publisher = ros.node.create_publisher(Bool, "e_stop", KEPT)
    publisher.publish(Bool(data=True))
    control = make()
    said = control.said("stopped: e-stop (topic)")
    began = time.monotonic()
    ros.wait(lambda: ros.state("controller") == "active", "activation")
    let_pass(control, 20)
    planned = [tick for tick in control.hand.ticks if tick.planned]
    periods = max(periods_to_last_plan(control, began), float(len(planned)))
    reset_and_run(control)  # what is kept does not come again
    ros.node.destroy_publisher(publisher)
    fault_row(
        fault="an e-stop (transient local) from before the controller started",
        hand=f"{len(planned)} plans were followed before ~/reset",
        diagnostics=said,
        periods=periods,
        lost="nothing",
    )


def test_kill_9_of_the_stop_buttons_node(make: Any, ros: Any, fault_row: Any) -> None:
    button = NodeProcess([sys.executable, "-c", BUTTON], ros.env)
    ros.processes.append(button)
    ros.wait(lambda: ros.node.count_publishers("e_stop"), "the stop button")
    control = make(e_stop_deadline_s=DEADLINE_S)
    control.wait_until_running()
    control.reports.clear()
    control.hand.wait_for_phase(0.5)
    killed = time.monotonic()
    button.stop(signal.SIGKILL)
    said = control.said("e_stop: nothing heard for")
    let_pass(control, 10)
    periods = periods_to_last_plan(control, killed + DEADLINE_S)
    assert not control.ros.call("controller/reset", Trigger).success
    assert ros.state("controller") == "active"
    fault_row(
        fault=f"kill -9 of the stop button's node (e_stop_deadline_s: {DEADLINE_S}; periods are from its end on)",
        hand="kept its last target; ~/reset is refused until the button is back",
        diagnostics=said,
        periods=periods,
        lost="the rest of the episode",
    )


def test_the_stop_buttons_node_leaves(make: Any, ros: Any, fault_row: Any) -> None:
    publisher = ros.node.create_publisher(Bool, "e_stop", 1)
    timer = ros.node.create_timer(0.05, lambda: publisher.publish(Bool(data=False)))
    control = make(e_stop_deadline_s=10.0)
    ros.wait(publisher.get_subscription_count, "the controller")
    control.wait_until_running()
    let_pass(control, 5)  # a beat since activation
    control.reports.clear()
    ros.node.destroy_timer(timer)
    control.hand.wait_for_phase(0.5)
    ros.node.destroy_publisher(publisher)
    left = time.monotonic()
    said = control.said("its publisher has left")
    let_pass(control, 10)
    fault_row(
        fault="the stop button's node ends (e_stop_deadline_s: 10.0)",
        hand="kept its last target",
        diagnostics=said,
        periods=periods_to_last_plan(control, left),
        lost="the rest of the episode",
    )
