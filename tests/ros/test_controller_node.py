# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The controller as its users meet it: a process, topics, services, signals."""

from __future__ import annotations

import json
import re
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool, Float64MultiArray, String
from std_srvs.srv import SetBool, Trigger
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from mbrl_controller.base.files import write_atomically
from mbrl_controller.contract.source_reader import stamp_of
from mbrl_controller.models.registry import Registry
from mbrl_controller.nodes import qos
from mbrl_controller.nodes.control_loop import CONFLICT_S

pytestmark = pytest.mark.ros

MODULE = "mbrl_controller.nodes.controller"
OPTIONS = {"planner.num_samples": 16, "planner.horizon": 3, "planner.iterations": 1}
JOINTS = ["J0", "J1", "J2"]


class FakeHand:
    """Publishes joint and valve states at 50 Hz from a thread; tests spoil them. The hand trembles, but never moves."""

    def __init__(self, ros: Any, silent: bool = False) -> None:
        self.ros = ros
        self.names, self.position = list(JOINTS), [0.0, 0.1, 0.2]
        self.silent, self.frozen, self.trembling = silent, False, 0.0
        self._sending = threading.Lock()
        self._joints = ros.publisher("joint_states", JointState)
        self._valve = ros.publisher("valve/joint_states", JointState)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def send(self, stamp: Any = None) -> None:
        """One full set of states."""
        stamp = stamp or self.ros.node.get_clock().now().to_msg()
        n = len(self.names)
        self.trembling += 0.0 if self.frozen else 1e-9
        joints = JointState(name=self.names, position=self.position[:n], velocity=[self.trembling] * n)
        valve = JointState(name=["valve"], position=[0.0], velocity=[0.0])
        for publisher, message in ((self._joints, joints), (self._valve, valve)):
            message.header.stamp = stamp
            publisher.publish(message)

    def change(self, **what: Any) -> None:
        """Set attributes between two states: none with the old ones is sent after it."""
        with self._sending:
            self.__dict__.update(what)

    def close(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(0.02):
            with self._sending:
                if not self.silent:
                    self.send()


def parameters(folder: Path, **more: Any) -> dict[str, Any]:
    given = {"contract": str(folder / "contract.yaml"), "models_dir": str(folder / "models"), "autostart": True}
    return given | OPTIONS | {name.replace("__", "."): value for name, value in more.items()}


@pytest.fixture
def hand(ros: Any, small_hand: Path) -> Iterator[FakeHand]:
    """A running controller (20 Hz) with a hand in front of it."""
    ros.commands = ros.collect("hand/commands", Float64MultiArray)
    ros.reports = ros.diagnostics("controller: control")
    ros.episodes = ros.collect(
        "controller/episode", String, QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    )
    ros.process = ros.start(MODULE, parameters(small_hand))
    fake = FakeHand(ros)
    ros.wait(lambda: len(ros.commands) > 3, "commands")
    yield fake
    fake.close()


def report(ros: Any, word: str, key: str = "reason") -> dict[str, str]:
    """The values of the next report whose `key` contains `word`."""
    ros.reports.clear()
    return ros.wait(lambda: next((r[2] for r in ros.reports if word in r[2].get(key, "")), None), f"{key}: {word}")


def wait_state(ros: Any, state: str) -> None:
    ros.reports.clear()
    ros.wait(lambda: any(r[2].get("safety state") == state for r in ros.reports), f"safety state {state}")


def events(ros: Any) -> list[tuple[str, int, str]]:
    return [(e["event"], e["episode"], e["reason"]) for e in (json.loads(m.data) for m in ros.episodes)]


def test_illegal_transition_leaves_it_alive(ros: Any, small_hand: Path) -> None:
    process = ros.start(MODULE, parameters(small_hand, autostart=False, planner__num_sample=8))
    assert ros.change("controller", "activate") is False
    assert "unknown parameter planner.num_sample is ignored; did you mean planner.num_samples?" in process.output
    assert ros.state("controller") == "unconfigured"
    assert ros.change("controller", "configure")
    assert ros.change("controller", "activate")
    assert ros.change("controller", "configure") is False
    assert ros.state("controller") == "active"
    assert ros.change("controller", "deactivate")
    assert ros.change("controller", "cleanup")
    assert ros.change("controller", "configure")
    assert ros.state("controller") == "inactive"
    assert process.stop() == 0, process.output
    assert "Traceback" not in process.output


def spoil(case: str, folder: Path) -> tuple[dict[str, Any], str]:
    """Parameters with something wrong, and what the controller must say of it."""
    model = folder / "models" / "valve" / "v0001" / "model.onnx"
    contract = folder / "contract.yaml"
    if case == "no contract":
        contract.unlink()
        return {}, "contract.yaml: cannot be read"
    if case == "unknown task":
        contract.write_text(contract.read_text().replace("task: valve", "task: juggling"))
        return {}, "unknown task 'juggling'"
    if case == "no version":
        return {"model_version": "v0077"}, "no version 'v0077'"
    if case == "corrupt model":
        model.write_bytes(model.read_bytes()[:-40])
        return {}, "its sha256 is not the one"
    if case == "other period":
        contract.write_text(contract.read_text().replace("control_period_s: 0.05", "control_period_s: 0.1"))
        return {}, "its control period is 0.05 s, the contract's 0.1 s"
    if case == "rate":
        return {"rate": 50.0}, "parameter rate: 50.0 Hz, but the contract's control period is 0.05 s"
    return {"planner__num_samples": "many"}, "planner.num_samples"


@pytest.mark.parametrize(
    "case", ["no contract", "unknown task", "no version", "corrupt model", "other period", "rate", "wrong type"]
)
def test_refuses_what_does_not_fit(ros: Any, small_hand: Path, tmp_path: Path, case: str) -> None:
    folder = tmp_path / "hand"
    shutil.copytree(small_hand, folder)
    more, expected = spoil(case, folder)
    ros.reports = ros.diagnostics("controller: control")
    process = ros.start(MODULE, parameters(folder, **more))
    ros.wait(lambda: any(expected in message for _, message, _ in ros.reports), f"the reason {expected!r}")
    level = next(level for level, message, _ in ros.reports if expected in message)
    assert level == DiagnosticStatus.ERROR
    # The reason is told while the transition that failed is still on its way back.
    ros.wait(lambda: ros.state("controller") == "unconfigured", "the way back to unconfigured")
    assert process.alive
    assert "Traceback" not in process.output


def test_bad_states_hold_and_good_ones_recover(ros: Any, hand: FakeHand) -> None:
    for spoilt, word in (
        ({"frozen": True}, "joint_states: the same values for"),
        ({"position": [0.0, 0.1, 1.5]}, "J2 is measured at 1.5 rad, 0.5 outside its limits"),
        ({"position": [0.0, float("nan"), 0.2]}, "non-finite value for J1.position"),
        ({"names": ["J0", "J2"]}, "joint J1 missing"),
        ({"silent": True}, "nothing received for"),
    ):
        good = {key: getattr(hand, key) for key in spoilt}
        hand.__dict__.update(spoilt)
        report(ros, word)
        ros.commands.clear()
        if "outside" in word:
            report(ros, word)
            assert len(ros.commands) <= 1  # at most one that was under way: nothing is sent
        else:
            ros.wait(lambda: len(ros.commands) > 2, "the held command")
            held = {tuple(message.data) for message in ros.commands[1:]}
            assert len(held) == 1
            assert np.isfinite(list(held)).all()
        hand.__dict__.update(good)
        wait_state(ros, "running")
    values = report(ros, "running", "safety state")
    assert int(values["rejected messages"]) > 0
    assert values["model version"] == "v0001"
    assert {"Target frequency (Hz)", "Actual frequency (Hz)", "missed ticks", "late plans"} <= set(values)


def test_e_stop_is_latched_until_reset(ros: Any, hand: FakeHand) -> None:
    publisher = ros.publisher("e_stop", Bool)
    publisher.publish(Bool(data=True))
    report(ros, "e-stop (topic)")
    ros.commands.clear()
    publisher.publish(Bool(data=False))
    # Deactivation does not clear it either.
    assert ros.change("controller", "deactivate")
    assert ros.change("controller", "activate")
    values = report(ros, "stopped", "safety state")
    assert values["reason"] == "e-stop (topic)"
    assert not ros.commands
    assert ros.call("controller/reset", Trigger).success
    ros.wait(lambda: ros.commands, "commands after the reset")
    assert ros.call("controller/e_stop", Trigger).success
    report(ros, "e-stop (service)")
    ros.wait(lambda: len(events(ros)) >= 4, "episode events")
    assert events(ros)[:4] == [("begin", 0, ""), ("end", 0, "stop"), ("begin", 1, ""), ("end", 1, "stop")]


def test_the_hand_is_handed_over_and_taken_back(ros: Any, hand: FakeHand) -> None:
    assert ros.call("controller/hand_over", SetBool, SetBool.Request(data=True)).success
    values = report(ros, "handed_over", "safety state")
    assert values["reason"] == "asked for (service)"
    ros.commands.clear()
    operator = ros.node.create_publisher(Float64MultiArray, "hand/commands", 1)
    ros.reports.clear()
    ros.wait(lambda: len(ros.reports) >= 2, "reports with the operator there")
    assert ros.call("controller/reset", Trigger).success  # does not take it back
    answer = ros.call("controller/hand_over", SetBool, SetBool.Request(data=False))
    assert not answer.success
    assert "is already commanded by /observer" in answer.message
    assert not ros.commands
    ros.node.destroy_publisher(operator)

    def taken_back() -> bool:
        return bool(ros.call("controller/hand_over", SetBool, SetBool.Request(data=False)).success)

    ros.wait(taken_back, "the operator to be forgotten")
    ros.wait(lambda: len(ros.commands) > 2, "commands again")
    ros.wait(lambda: len(events(ros)) >= 3, "episode events")
    assert events(ros)[:3] == [("begin", 0, ""), ("end", 0, "hand-over"), ("begin", 1, "")]
    assert not ros.call("controller/hand_over", SetBool, SetBool.Request(data=False)).success


def test_who_comes_later_gets_the_hand(ros: Any, hand: FakeHand) -> None:
    """Some seconds after activation a second commander is an operator, whoever that is: two would fight."""
    end = time.monotonic() + CONFLICT_S
    ros.wait(lambda: time.monotonic() > end, "the time of contest to pass")
    operator = ros.node.create_publisher(Float64MultiArray, "hand/commands", 1)
    values = report(ros, "handed_over", "safety state")
    assert "is already commanded by" in values["reason"]  # by name, where discovery already knows it
    ros.commands.clear()
    assert ros.call("controller/reset", Trigger).success
    report(ros, "handed_over", "safety state")
    assert not ros.commands
    ros.node.destroy_publisher(operator)


def test_parameters_are_taken_whole_or_not_at_all(ros: Any, hand: FakeHand) -> None:
    refused = ros.set_parameters("controller", planner__sigma=0.4, planner__horizon=5)
    assert not refused.successful
    assert "planner.horizon: can be changed only while the node is unconfigured" in refused.reason
    refused = ros.set_parameters("controller", planner__sigma=0.4, goal_options="direction=sideways")
    assert not refused.successful
    assert "direction must be one of" in refused.reason
    refused = ros.set_parameters("controller", planner__inverse_temperature=-1.0)
    assert not refused.successful
    accepted = ros.set_parameters("controller", planner__sigma=1, goal_options="angle=1.0", check_disagreement=False)
    assert accepted.successful, accepted.reason
    goals = ros.collect("controller/goal", JointTrajectory)
    ros.wait(lambda: any(goal.points[0].positions[0] == 1.0 for goal in goals), "the new goal")
    refused = ros.set_parameters("controller", planner__joint_scale=[1.0, 2.0])
    assert not refused.successful
    assert "joint_scale has 2 entries, the hand 3 joints" in refused.reason
    assert ros.set_parameters("controller", planner__joint_scale=[0.5] * 3, planner__noise="knots").successful


def test_goals_are_checked(ros: Any, hand: FakeHand) -> None:
    goals = ros.collect("controller/goal", JointTrajectory)
    publisher = ros.publisher("controller/set_goal", JointTrajectory)
    for names, value in ((["lid.target"], 0.5), (["valve.target"], float("nan")), (["valve.target"], 100.0)):
        publisher.publish(JointTrajectory(joint_names=names, points=[JointTrajectoryPoint(positions=[value])]))
        report(ros, names[0] if names[0] == "lid.target" else str(value), "last goal refusal")
    publisher.publish(JointTrajectory(joint_names=["valve.target"], points=[JointTrajectoryPoint(positions=[0.5])]))
    ros.wait(lambda: any(goal.points[0].positions[0] == 0.5 for goal in goals), "the goal to be asked")
    assert report(ros, "3", "goals refused")


def test_models_are_swapped_or_refused(ros: Any, hand: FakeHand) -> None:
    assert ros.set_parameters("controller", model_version="v0002").successful
    answer = ros.call("controller/load_model", Trigger)
    assert answer.success, answer.message
    assert answer.message == "v0001 -> v0002"
    report(ros, "v0002", "model version")
    assert ros.set_parameters("controller", model_version="v0042").successful
    answer = ros.call("controller/load_model", Trigger)
    assert not answer.success
    assert "no version 'v0042'" in answer.message
    assert report(ros, "v0042", "last model refusal")["model version"] == "v0002"
    ros.commands.clear()
    ros.wait(lambda: len(ros.commands) > 2, "commands to go on")


def test_a_current_version_that_moves_is_followed_and_a_refused_one_not_again(
    ros: Any, small_hand: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "hand"
    shutil.copytree(small_hand, folder)
    registry, damaged = Registry(folder / "models"), folder / "models" / "valve" / "v0003"
    shutil.copytree(folder / "models" / "valve" / "v0002", damaged)
    ros.commands, ros.reports = ros.collect("hand/commands", Float64MultiArray), ros.diagnostics("controller: control")
    ros.start(MODULE, parameters(folder, follow_current_s=0.1))
    fake = FakeHand(ros)
    try:
        ros.wait(lambda: len(ros.commands) > 3, "commands")
        registry.promote("valve", "v0002")
        report(ros, "v0002", "model version")
        (damaged / "model.onnx").write_bytes(b"no model")
        write_atomically(folder / "models" / "valve" / "current.json", json.dumps({"version": "v0003"}).encode())
        refused = report(ros, "v0003", "last model refusal")
        assert refused["model version"] == "v0002"
        assert refused["model refused"] == "1"
        registry.promote("valve", "v0001")  # several looks later than the refusal, which was tried once
        assert report(ros, "v0001", "model version")["model refused"] == "1"
        ros.commands.clear()
        ros.wait(lambda: len(ros.commands) > 2, "commands to go on")
        refused = ros.set_parameters("controller", model_version="v0001")
        assert not refused.successful
        assert "follow_current_s" in refused.reason
        assert ros.set_parameters("controller", model_version="v0001", follow_current_s=0.0).successful
    finally:
        fake.close()


def test_one_hand_has_one_master(ros: Any, hand: FakeHand, small_hand: Path) -> None:
    """Whichever of two hears of the other gives way, by staying inactive or by handing over; both may, but never
    neither. How long it takes is the fault matrix's to measure."""
    arguments = ["--ros-args", "-r", "__node:=second"]
    reports = ros.diagnostics("second: control")
    second = ros.start(MODULE, parameters(small_hand, autostart=False), *arguments)
    assert ros.change("second", "configure")
    ros.change("second", "activate")
    ros.wait(
        lambda: any("is already commanded by" in message for _, message, _ in [*reports, *ros.reports]), "the reason"
    )

    def masters() -> int | None:
        """How many of the two command, by their newest reports; None while one of them has not reported."""
        newest = [r[-1][2] for r in (reports, ros.reports) if r]
        alone = [v.get("lifecycle state") == "active" and v.get("safety state") != "handed_over" for v in newest]
        return sum(alone) if len(alone) == 2 else None

    ros.wait(lambda: masters() in (0, 1), "one of them to give way")
    for _ in range(3):  # and it stays so
        reports.clear()
        ros.reports.clear()
        ros.wait(lambda: masters() is not None, "a report of each")
        assert masters() in (0, 1)
    assert second.stop() == 0


def test_a_rival_right_after_activation_makes_it_give_way(ros: Any, hand: FakeHand) -> None:
    rival = ros.node.create_publisher(Float64MultiArray, "hand/commands", 1)
    ros.wait(
        lambda: any(
            "is already commanded by" in r[1] or r[2].get("safety state") == "handed_over" for r in ros.reports
        ),
        "the rival to be noticed",
    )
    ros.node.destroy_publisher(rival)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_safe_command_is_the_last_one(ros: Any, hand: FakeHand, number: int) -> None:
    rows = ros.collect("controller/tick", Float64MultiArray)
    ros.wait(lambda: rows, "a tick row")
    ros.process.popen.send_signal(number)
    ros.wait(lambda: not ros.process.alive, "its end")
    assert ros.process.stop() == 0, ros.process.output
    ros.wait(lambda: rows[-1].data[5] == 1.0, "the row of the safe command")
    ros.wait(lambda: ("end", 0, "deactivate") in events(ros), "the end of the episode")
    last = lambda: [list(command.data) for command in ros.commands[-2:]]  # noqa: E731
    ros.wait(lambda: len(last()) == 2 and last()[0] == last()[1], "the safe command, which keeps the grip")
    assert "Traceback" not in ros.process.output


def test_lockstep_answers_every_state_once_and_resets_the_scene(ros: Any, small_hand: Path) -> None:
    resets: list[int] = []

    def reset(_: Any, response: Trigger.Response) -> Trigger.Response:
        resets.append(1)
        response.success = True
        return response

    ros.node.create_service(Trigger, "scene/reset", reset)
    commands = ros.collect("hand/commands", Float64MultiArray)
    ros.episodes = ros.collect(
        "controller/episode", String, QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    )
    options = {"lockstep": True, "auto_reset": True, "reset_service": "scene/reset", "episode_s": 0.25}
    ros.start(MODULE, parameters(small_hand, **options))
    fake = FakeHand(ros, silent=True)
    try:
        # What it hears before does not count, and this hand, unlike the simulated one, sends no state again.
        ros.wait(lambda: ros.state("controller") == "active", "the controller to be active")
        runs = []
        for episode in range(2):
            begin = 10.0 * episode + 1.0
            commands.clear()
            for step in range(5):
                fake.send(_stamp(begin + 0.05 * step))
                ros.wait(lambda: len(commands) > step, f"command {step} of episode {episode}")  # noqa: B023
            runs.append([list(message.data) for message in commands])
            fake.send(_stamp(begin + 0.25))  # the time is up: no command, but a reset of the scene
            ros.wait(lambda: len(resets) == episode + 1, "the scene's reset")  # noqa: B023
        ros.wait(lambda: len(events(ros)) >= 4, "two episodes")
    finally:
        fake.close()
    assert [len(run) for run in runs] == [5, 5]
    assert events(ros)[:4] == [("begin", 0, ""), ("end", 0, "timeout"), ("begin", 1, ""), ("end", 1, "timeout")]
    assert runs[0] != runs[1]  # another seed an episode


def test_no_episode_begins_on_a_state_from_before_the_scenes_reset(ros: Any, small_hand: Path) -> None:
    """The hand is elsewhere after it: a command from where it was would be too far away to go on from."""
    ros.collect("hand/commands", Float64MultiArray)  # a hand that takes them
    commands = ros.collect("controller/command", JointState)
    rows = ros.collect("controller/tick", Float64MultiArray)
    fakes: list[FakeHand] = []

    def reset(_: Any, response: Trigger.Response) -> Trigger.Response:
        fakes[0].change(silent=True, position=[-0.9, -0.9, -0.9])
        response.success = True
        return response

    def has_forgotten() -> float | None:
        """When, after the first episode, the controller sent nothing: until it heard of the reset it held."""
        ticks = (dict(zip((dim.label for dim in row.layout.dim), row.data, strict=True)) for row in rows)
        return next(
            (t["stamp"] for t in ticks if t["episode"] == t["source"] == 0 and np.isnan(t["episode_time"])), None
        )

    ros.node.create_service(Trigger, "scene/reset", reset)
    options = {"auto_reset": True, "reset_service": "scene/reset", "episode_s": 0.5}
    ros.start(MODULE, parameters(small_hand, **options))
    fakes.append(FakeHand(ros))
    fakes[0].position = [0.9, 0.9, 0.9]
    try:
        ros.wait(lambda: fakes[0].silent, "the scene's reset")
        forgotten = ros.wait(has_forgotten, "the controller to wait for a state")
        fakes[0].silent = False

        def after() -> list[JointState]:
            return [c for c in commands if stamp_of(c) > forgotten]

        ros.wait(lambda: len(after()) > 5, "commands from where the hand is")
    finally:
        fakes[0].close()
    assert all(max(message.position) < -0.5 for message in after()[:5])


def _stamp(seconds: float) -> Any:
    from mbrl_controller.nodes.messages import to_time

    return to_time(seconds)


def test_publishers_that_cannot_be_heard_are_named(ros: Any, small_hand: Path) -> None:
    """Lockstep asks for reliable states; a best-effort publisher would leave it waiting without a word."""
    reports = ros.diagnostics("controller: control")
    ros.start(MODULE, parameters(small_hand, lockstep=True))
    deaf = ros.node.create_publisher(JointState, "joint_states", qos.SENSOR)
    ros.wait(lambda: any("incompatible QoS on joint_states" in message for _, message, _ in reports), "a warning")
    ros.node.destroy_publisher(deaf)


def test_what_the_system_refuses_the_loop_is_told_and_logged(ros: Any, small_hand: Path) -> None:
    ros.reports = ros.diagnostics("controller: control")
    process = ros.start(MODULE, parameters(small_hand, cpus=[4000], lock_memory=True))
    values = report(ros, "CPUs [4000]", "not granted")
    locked = float(values["locked memory (MiB)"]) > 0
    assert locked is not ("locked memory: " in values["not granted"])
    ros.wait(lambda: "did not grant: " in process.output, "a warning in the log")
    assert "CPUs [4000]" in process.output
    assert process.stop() == 0, process.output


def test_a_loop_at_any_rate_keeps_the_models_period_and_sums_itself_up(ros: Any, small_hand: Path) -> None:
    """The contract's rate is 20 Hz; without any_rate another is refused (see spoil)."""
    ros.reports = ros.diagnostics("controller: control")
    ros.collect("hand/commands", Float64MultiArray)  # a hand that takes them
    rows = ros.collect("controller/tick", Float64MultiArray)
    process = ros.start(MODULE, parameters(small_hand, rate=40.0, any_rate=True))
    fake = FakeHand(ros)
    try:
        ros.wait(lambda: any(r[2].get("safety state") == "running" for r in ros.reports), "control")
        rows.clear()
        ros.wait(lambda: len(rows) > 60, "ticks")
    finally:
        fake.close()
    values = ros.reports[-1][2]
    assert float(values["Target frequency (Hz)"]) == 40.0
    assert float(values["lateness.p99.9 (ms)"]) <= float(values["lateness.max (ms)"]) * 1.001
    assert re.fullmatch(r"\d+ ticks in [\d.]+ s", values["figures cover"])
    first, last = (dict(zip([d.label for d in row.layout.dim], row.data, strict=True)) for row in (rows[0], rows[60]))
    steps = 60 + last["missed_ticks"] - first["missed_ticks"]
    assert (last["stamp"] - first["stamp"]) * 40.0 == pytest.approx(steps, rel=0.25)
    assert ros.change("controller", "deactivate")
    ros.wait(lambda: re.search(r"\d+ ticks, \d+ missed; lateness p50", process.output), "the loop's summary")
    assert process.stop() == 0, process.output
