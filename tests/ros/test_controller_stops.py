# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What a person or a fault latched outlives every transition, and the controller says truly what holds."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy")

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import Bool, Float64MultiArray, String
from std_srvs.srv import SetBool, Trigger

from .conftest import Ros
from .test_controller_node import MODULE, FakeHand, parameters, report

pytestmark = [pytest.mark.ros, pytest.mark.slow]
KEPT = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)
GOOD = "a new episode begins with the next good state"


class Bench:
    """A controller of the small hand in whatever state, with a hand in front of it."""

    def __init__(self, ros: Any, folder: Path, **more: Any) -> None:
        self.ros = ros
        self.commands = ros.collect("hand/commands", Float64MultiArray)
        self.reports = ros.reports = ros.diagnostics("controller: control")
        self.episodes = ros.collect("controller/episode", String, KEPT)
        self.process = ros.start(MODULE, parameters(folder, **more))
        self.hand: FakeHand | None = None

    def show_hand(self) -> None:
        """The hand's driver starts; from then on it is controlled, if the controller is active."""
        self.hand = FakeHand(self.ros)

    def wait_for_commands(self) -> None:
        before = len(self.commands)
        self.ros.wait(lambda: len(self.commands) > before + 3, "commands")

    def send_nothing(self, seconds: float = 0.7) -> None:
        """Whether no command comes for so long, though there is a state."""
        self.commands.clear()
        end = time.monotonic() + seconds
        self.ros.wait(lambda: time.monotonic() > end, "time to pass")
        assert not self.commands

    def change(self, *transitions: str) -> None:
        for transition in transitions:
            assert self.ros.change("controller", transition), transition

    def reset(self) -> Any:
        return self.ros.call("controller/reset", Trigger)

    def hand_over(self, data: bool) -> Any:
        return self.ros.call("controller/hand_over", SetBool, SetBool.Request(data=data))

    def said(self, lifecycle: str, word: str) -> tuple[bytes, str, dict[str, str]]:
        """The next report of this lifecycle state with `word` in its message."""
        self.reports.clear()
        return self.ros.wait(
            lambda: next((r for r in self.reports if r[2].get("lifecycle state") == lifecycle and word in r[1]), None),
            f"{word} while {lifecycle}",
        )


@pytest.fixture
def make(ros: Any, small_hand: Path) -> Iterator[Any]:
    made: list[Bench] = []

    def start(**more: Any) -> Bench:
        made.append(Bench(ros, small_hand, **more))
        return made[0]

    yield start
    for bench in made:
        if bench.hand is not None:
            bench.hand.close()


@pytest.fixture
def bench(make: Any) -> Bench:
    """A running controller."""
    started: Bench = make()
    started.show_hand()
    started.wait_for_commands()
    return started


def test_a_stop_outlives_every_transition_and_a_failed_configuration(bench: Bench) -> None:
    bench.ros.publisher("e_stop", Bool).publish(Bool(data=True))
    report(bench.ros, "e-stop (topic)")
    bench.change("deactivate")
    assert bench.said("inactive", "stopped: e-stop (topic)")[0] == DiagnosticStatus.ERROR
    bench.change("cleanup")
    level, _, values = bench.said("unconfigured", "stopped: e-stop (topic)")
    assert level == DiagnosticStatus.ERROR
    assert values["safety state"] == "stopped"
    assert values["latched stop"].startswith("e-stop (topic) (at ")
    assert bench.ros.set_parameters("controller", model_version="v0077").successful
    assert not bench.ros.change("controller", "configure")
    assert bench.said("unconfigured", "stopped: e-stop (topic)")[0] == DiagnosticStatus.ERROR
    assert bench.ros.set_parameters("controller", model_version="v0001").successful
    bench.change("configure", "activate")
    bench.send_nothing()
    assert bench.said("active", "stopped: e-stop (topic)")[0] == DiagnosticStatus.ERROR
    answer = bench.reset()
    assert answer.success
    assert "stop cleared (e-stop (topic))" in answer.message
    bench.wait_for_commands()


@pytest.mark.parametrize("how", ["topic", "service"])
def test_a_stop_is_heard_and_cleared_in_every_state(make: Any, how: str) -> None:
    bench = make(autostart=False)
    level, _, values = bench.said("unconfigured", "not configured")
    assert (level, values["latched stop"], values["hand-over"]) == (DiagnosticStatus.OK, "none", "none")
    publisher = bench.ros.publisher("e_stop", Bool)

    def stop() -> None:
        if how == "service":
            assert bench.ros.call("controller/e_stop", Trigger).success
        else:
            publisher.publish(Bool(data=True))

    for lifecycle, then in (("unconfigured", "configure"), ("inactive", "activate")):
        stop()
        assert bench.said(lifecycle, f"stopped: e-stop ({how})")[0] == DiagnosticStatus.ERROR
        answer = bench.reset()
        assert answer.success
        assert bench.said(lifecycle, "")[2]["latched stop"] == "none"
        stop()
        bench.said(lifecycle, "stopped: ")
        bench.change(then)
    bench.show_hand()
    bench.send_nothing()
    bench.reset()
    bench.wait_for_commands()


def test_a_stop_from_before_the_process_stops_it_and_does_not_undo_a_reset(make: Any, ros_env: dict[str, str]) -> None:
    other = Ros(ros_env, "button")
    try:
        publisher = other.node.create_publisher(Bool, "e_stop", KEPT)
        publisher.publish(Bool(data=True))
        bench = make()
        bench.show_hand()
        bench.said("active", "stopped: e-stop (topic)")
        bench.send_nothing()
        assert bench.reset().success
        bench.wait_for_commands()
        bench.change("deactivate", "cleanup", "configure", "activate")
        bench.wait_for_commands()
        publisher.publish(Bool(data=True))
        bench.said("active", "stopped: e-stop (topic)")
    finally:
        other.close()


def test_a_button_that_falls_silent_stops_the_hand(make: Any) -> None:
    """`false` again and again says that the button is there. Nothing is sent before the first one."""
    bench = make(e_stop_deadline_s=0.4)
    bench.show_hand()
    level, message, _ = bench.said("active", "e_stop: nothing heard yet")
    assert level == DiagnosticStatus.WARN
    assert message.startswith("holding: ")
    assert "until now: /e_stop: nothing heard yet" in bench.reset().message
    level, message, _ = bench.said("active", "e_stop: nothing heard for")
    assert level == DiagnosticStatus.ERROR
    assert re.search(r"stopped: .*nothing heard for 5\.\d\d s, e_stop_deadline_s is 0\.4 s", message)
    assert not bench.commands
    answer = bench.reset()
    assert not answer.success
    assert "not reset, still stopped: /e_stop: nothing heard" in answer.message
    publisher = bench.ros.publisher("e_stop", Bool)
    alive = threading.Event()
    alive.set()

    def beat() -> None:
        while alive.is_set():
            publisher.publish(Bool(data=False))
            time.sleep(0.05)

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        bench.ros.wait(lambda: bench.reset().success, "a reset")
        bench.wait_for_commands()
        # Long enough for the deadline to have passed without beats.
        end = time.monotonic() + 1.0
        bench.ros.wait(lambda: time.monotonic() > end, "time to pass")
        bench.wait_for_commands()
    finally:
        alive.clear()
        thread.join()
    _, message, _ = bench.said("active", "e_stop: nothing heard for")
    assert re.search(r"stopped: .*nothing heard for 0\.\d\d s, e_stop_deadline_s is 0\.4 s", message)
    bench.send_nothing()
    # While inactive nobody need be there, and the deadline can be lifted.
    bench.change("deactivate")
    assert bench.reset().success
    assert bench.ros.set_parameters("controller", e_stop_deadline_s=0.0).successful
    bench.change("activate")
    bench.wait_for_commands()
    bench.ros.node.destroy_publisher(publisher)
    bench.wait_for_commands()


def test_every_stop_is_in_the_log(bench: Bench) -> None:
    publisher = bench.ros.publisher("e_stop", Bool)
    for number in range(10):
        if number % 2:
            publisher.publish(Bool(data=True))
        else:
            assert bench.ros.call("controller/e_stop", Trigger).success
        bench.ros.wait(lambda: "stop cleared" in bench.reset().message, "a stop to clear")
    bench.change("deactivate")
    bench.ros.wait(lambda: "-> inactive: deactivated" in bench.process.output, "the end in the log")
    told = re.findall(r"-> stopped: e-stop \((\w+)\)", bench.process.output)
    assert told == ["service", "topic"] * 5


def test_a_hand_over_outlives_every_transition(bench: Bench) -> None:
    assert bench.hand_over(True).success
    bench.change("deactivate")
    level, _, _ = bench.said("inactive", "handed over: asked for (service)")
    assert level == DiagnosticStatus.WARN
    bench.change("cleanup")
    bench.said("unconfigured", "handed over: asked for (service)")
    bench.change("configure", "activate")
    bench.send_nothing()
    bench.said("active", "handed_over: asked for (service)")
    assert bench.hand_over(False).success
    bench.wait_for_commands()
    bench.change("deactivate", "cleanup")
    assert bench.hand_over(True).success  # whoever takes the hand need not wait for an active controller
    bench.change("configure", "activate")
    bench.send_nothing()
    assert GOOD in bench.hand_over(False).message
    bench.wait_for_commands()


def test_numbers_and_counts_go_on(make: Any) -> None:
    bench = make(session="named")
    bench.show_hand()
    assert bench.hand is not None
    epochs: list[int] = []
    for round_ in range(3):
        bench.wait_for_commands()
        bench.hand.names = ["J0", "J2"]
        report(bench.ros, "joint J1 missing")
        bench.hand.names = ["J0", "J1", "J2"]
        values = report(bench.ros, "running", "safety state")
        epochs.append(int(values["epoch"]))
        rejected = int(values["rejected messages"])
        assert bench.ros.set_parameters("controller", model_version="v0042").successful
        assert not bench.ros.call("controller/load_model", Trigger).success
        assert bench.ros.set_parameters("controller", model_version="v0001").successful
        bench.change("deactivate", "cleanup", "configure")
        values = bench.said("inactive", "inactive")[2]
        assert int(values["rejected messages"]) >= rejected > round_
        assert int(values["model refused"]) == round_ + 1
        bench.change("activate")
    begun = [
        (e["session"], e["episode"]) for e in (json.loads(m.data) for m in bench.episodes) if e["event"] == "begin"
    ]
    assert begun[:3] == [("named", 0), ("named", 1), ("named", 2)]
    assert epochs == sorted(set(epochs))


def test_a_reset_says_what_follows(make: Any) -> None:
    bench = make(autostart=False)
    assert bench.reset().message == "nothing is sent: not configured"
    assert bench.ros.call("controller/e_stop", Trigger).message == "stopped; ~/reset clears it"
    assert "stopped already: e-stop (service)" in bench.ros.call("controller/e_stop", Trigger).message
    assert bench.reset().message == "stop cleared (e-stop (service)); nothing is sent: not configured"
    bench.change("configure")
    assert bench.reset().message == "nothing is sent: not active"
    bench.change("activate")
    assert re.fullmatch(f"{GOOD}; until now: no message yet on joint_states.*", bench.reset().message)
    bench.show_hand()
    bench.wait_for_commands()
    assert bench.reset().message == GOOD
    bench.wait_for_commands()
    bench.ros.call("controller/e_stop", Trigger)
    assert bench.reset().message == f"stop cleared (e-stop (service)); {GOOD}"
    bench.wait_for_commands()
    assert bench.hand_over(True).message.startswith("nothing is sent: handed over until ~/hand_over with false: ")
    handed_over = "nothing is sent: handed over until ~/hand_over with false: asked for (service)"
    assert bench.reset().message == handed_over
    bench.ros.call("controller/e_stop", Trigger)
    answer = bench.hand_over(False)
    assert answer.message == "nothing is sent: stopped until ~/reset: e-stop (service)"
    assert bench.hand_over(True).success
    assert bench.reset().message == f"stop cleared (e-stop (service)); {handed_over}"
    bench.send_nothing()
    assert bench.hand_over(False).message == GOOD
    bench.wait_for_commands()
    assert not bench.hand_over(False).success


def test_a_reset_that_waits_for_the_scene_says_so(make: Any) -> None:
    bench = make(auto_reset=True, reset_service="scene/reset")
    bench.show_hand()
    bench.wait_for_commands()
    assert (
        bench.reset().message == "a new episode begins with the next good state after the scene's reset by scene/reset"
    )
