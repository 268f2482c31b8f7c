# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""SIGINT and SIGTERM end every node with 0 and without a word of trouble, at whatever moment and however busy it is."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

pytest.importorskip("mujoco")
pytest.importorskip("rclpy")

from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger

from mbrl_controller.base.resources import share_dir
from mbrl_controller.nodes import messages, qos

from .conftest import NodeProcess, Ros
from .test_controller_node import JOINTS, parameters

pytestmark = [pytest.mark.ros, pytest.mark.slow]
LATEST_S = 15.0  # a supervisor kills what has not ended by then
DELAYS_S = (0.0, 0.3, 1.0, 3.0)  # from when signals are handled on: construction, configuration, activation, control


def handles_signals(pid: int) -> bool:
    """Whether the process has a handler of its own for SIGTERM: before that, Python has yet to import the node."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True  # it has ended
    caught = next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(caught >> (signal.SIGTERM - 1) & 1)


class World:
    """What nodes live on: /clock, and the joints and the valve of the small hand, at 50 Hz."""

    def __init__(self, ros: Ros) -> None:
        self.ros = ros
        create = ros.node.create_publisher
        self._clock = create(Clock, "/clock", qos.SENSOR)
        self._states = [
            (create(JointState, "joint_states", qos.SENSOR), JOINTS, [0.0, 0.1, 0.2]),
            (create(JointState, "valve/joint_states", qos.SENSOR), ["valve"], [0.0]),
        ]
        # Ready from the first node on: what is asked of one need not wait to be discovered.
        self._changes = {
            name: ros.node.create_client(ChangeState, f"{name}/change_state")
            for name in ("controller", "logger", "sim")
        }
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def ask_for_cleanup(self, node: str) -> None:
        """Without waiting for it."""
        for number in (Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP):
            if self._changes[node].service_is_ready():
                self._changes[node].call_async(ChangeState.Request(transition=Transition(id=number)))

    def close(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        count = 0
        while not self._stop.wait(0.02):
            count += 1
            stamp = messages.to_time(time.time())
            self._clock.publish(Clock(clock=stamp))
            for publisher, names, position in self._states:
                message = JointState(name=names, position=position, velocity=[1e-9 * count] * len(names))
                message.header.stamp = stamp
                publisher.publish(message)


@pytest.fixture
def world(ros: Ros) -> Iterator[World]:
    made = World(ros)
    yield made
    made.close()


def nodes(ros: Ros, folder: Path, log_dir: Path, sim_time: bool) -> dict[str, Callable[[], NodeProcess]]:
    """What can be started, by name."""
    claw = {"contract": str(share_dir() / "config" / "claw_valve.yaml"), "autostart": True}
    clock = {"use_sim_time": sim_time}
    module = "mbrl_controller.nodes.{}".format
    return {
        "controller": lambda: ros.start(module("controller"), parameters(folder) | clock),
        "logger": lambda: ros.start(module("logger"), claw | clock | {"log_dir": str(log_dir)}),
        "sim": lambda: ros.start(module("sim"), claw | clock),
        "lockstep sim": lambda: ros.start(module("sim"), claw | {"lockstep": True}),
        "failing controller": lambda: ros.start(
            module("controller"), parameters(folder, model_version="v0077") | clock
        ),
    }


def test_they_end_cleanly_at_any_moment(
    world: World, small_hand: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    ros, option = world.ros, request.config.getoption
    chance = random.Random(option("--stops-seed"))
    failures = []
    for number in range(option("--stops")):
        can_be_started = nodes(ros, small_hand, tmp_path / "episodes", sim_time=number % 4 == 3)
        name = list(can_be_started)[number % len(can_be_started)]
        process = can_be_started[name]()
        ros.wait(lambda: handles_signals(process.popen.pid), "its signal handlers", 90.0)  # noqa: B023
        due = time.monotonic() + chance.choice(DELAYS_S) * chance.random()
        while time.monotonic() < due:
            ros.executor.spin_once(timeout_sec=0.01)
        if chance.random() < 0.3:  # the callback at hand is one that destroys things itself
            world.ask_for_cleanup(name.split()[-1])
        sent = signal.SIGINT if number % 2 else signal.SIGTERM
        began = time.monotonic()
        code: int | None = None
        with suppress(AssertionError):  # it did not end
            code = process.stop(sent, option("--stops-latest"))
        line = f"{number} {name} {sent.name} exit code {code} after {time.monotonic() - began:.2f} s"
        failed = code != 0 or "Traceback" in process.output or "InvalidHandle" in process.output
        if failed:
            failures.append(f"{line}:\n{process.output}")
        ros.processes.remove(process)
        if path := option("--stops-file"):
            with open(path, "a", encoding="utf-8") as file:
                file.write(f"FAILED {failures[-1]}\n" if failed else f"{line}\n")
    assert not failures, "\n\n".join(failures)


def test_a_sim_that_is_being_reset_ends_at_once(ros: Ros) -> None:
    """Once time stands still, no reset is ever done."""
    claw = {"contract": str(share_dir() / "config" / "claw_valve.yaml"), "autostart": True}
    sim = ros.start("mbrl_controller.nodes.sim", claw)
    assert ros.call("sim/get_state", GetState).current_state.label == "active"
    client = ros.node.create_client(Trigger, "sim/reset")
    ros.wait(client.service_is_ready, "the service")
    sim.popen.send_signal(signal.SIGSTOP)  # the resets and the signal come at once
    for _ in range(3):
        client.call_async(Trigger.Request())
    sim.popen.send_signal(signal.SIGINT)
    assert sim.stop(signal.SIGCONT, LATEST_S) == 0, sim.output
    ros.node.destroy_client(client)
