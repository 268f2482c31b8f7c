# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The simulated hand as a process of its own, over DDS."""

from __future__ import annotations

import signal
import time
import uuid

import numpy as np
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("mujoco")

from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray
from std_srvs.srv import Trigger

from mbrl_controller.base.resources import share_dir
from mbrl_controller.contract.contract import load_contract
from mbrl_controller.nodes import qos

pytestmark = pytest.mark.ros
CONTRACT = share_dir() / "config" / "claw_valve.yaml"
HEARD = QoSProfile(depth=1000, reliability=ReliabilityPolicy.BEST_EFFORT)


class Peer:
    """Starts a sim in a namespace of its own, and stands where the controller would."""

    def __init__(self, ros, **parameters) -> None:
        self.ros, self.space = ros, f"/hand_{uuid.uuid4().hex[:8]}"
        self.contract = load_contract(CONTRACT)
        self.joints = ros.collect(f"{self.space}/joint_states", JointState, HEARD)
        self.valve = ros.collect(f"{self.space}/valve/joint_states", JointState, HEARD)
        self.clock = ros.collect("/clock", Clock, HEARD)
        self.statuses = ros.diagnostics(f"{self.space[1:]}/sim: simulation")
        given = {"contract": str(CONTRACT)} | {name.replace("__", "."): v for name, v in parameters.items()}
        namespace = ("--ros-args", "-r", f"__ns:={self.space}", "--")
        self.process = ros.start("mbrl_controller.nodes.sim", given, *namespace)

    def ready(self) -> None:
        """Wait until both hear each other."""
        self.commands = self.ros.publisher(f"{self.space}/hand_controller/commands", Float64MultiArray, qos.COMMAND)
        self.wait(lambda: self.joints and self.valve, "states")

    def send(self, target: np.ndarray) -> None:
        self.commands.publish(Float64MultiArray(data=target.tolist()))

    def wait(self, condition, what: str) -> None:
        self.ros.wait(condition, what)

    def stamps(self) -> list[int]:
        """ns, of all states heard, each once."""
        return sorted({stamp(message) for message in self.joints})

    def reset(self) -> Trigger.Response:
        return self.ros.call(f"{self.space}/sim/reset", Trigger)

    def stop(self) -> None:
        assert self.process.stop(signal.SIGINT) == 0, self.process.output


def stamp(message) -> int:
    return message.header.stamp.sec * 10**9 + message.header.stamp.nanosec


def test_real_time_states_clock_commands_and_reset(ros):
    peer = Peer(ros, state_rate=50.0)
    peer.ready()
    peer.wait(lambda: len(peer.joints) > 20 and peer.clock, "states and clock")
    heard = [stamp(m) for m in peer.joints]
    assert heard == sorted(heard)
    assert abs(heard[-1] - time.time_ns()) < 5e9
    # a joint goes where it is sent, and is held there when the commands stop
    target = peer.contract.action.neutral.copy()
    target[0] = 0.3
    peer.wait(lambda: peer.send(target) or abs(peer.joints[-1].position[0] - 0.3) < 0.1, "the joint at its target")
    peer.wait(lambda: any("last target is held" in text for _, text, _ in peer.statuses), "a warning")
    assert abs(peer.joints[-1].position[0] - 0.3) < 0.1
    # what is no command is counted, not obeyed
    peer.send(target[:3])
    peer.wait(lambda: peer.statuses[-1][2]["commands rejected"] == "1", "a rejection")
    peer.send(np.full_like(target, np.nan))
    peer.wait(lambda: "non-finite value" in peer.statuses[-1][2]["last rejection"], "a rejection")
    before = stamp(peer.joints[-1])
    response = peer.reset()
    assert (response.success, response.message) == (True, "new start from seed 1")
    peer.wait(lambda: stamp(peer.joints[-1]) > before + 3e8, "states after the reset")
    assert max(np.diff(peer.stamps())) > 2e8  # quiet for two control periods: no transition leads across the reset
    peer.wait(lambda: abs(peer.joints[-1].position[0]) < 0.15, "the start pose")
    peer.stop()


def lockstep_run(ros, steps):
    """Positions of all joints after each of `steps` commands of a fixed plan; their stamps."""
    physics = {"options__cone": ["elliptic"], "options__contact_time": [0.02, 0.03]}
    peer = Peer(ros, lockstep=True, seed=3, preset="randomised", options__drop_probability=0.0, **physics)
    peer.ready()
    rng = np.random.default_rng(0)
    for step in range(steps):
        peer.wait(lambda step=step: len(peer.stamps()) > step, "the next state")
        peer.send(rng.uniform(peer.contract.action.lower, peer.contract.action.upper))
    rows = {stamp(m): list(m.position) for m in peer.joints}
    peer.stop()
    return np.array([rows[at] for at in sorted(rows)][:steps]), sorted(rows)[:steps]


def test_lockstep_is_the_same_run_for_a_seed(ros):
    first, stamps = lockstep_run(ros, 15)
    second, again = lockstep_run(ros, 15)
    assert np.array_equal(first, second)
    assert stamps == again
    assert stamps[0] == 1_000_000_000
    assert set(np.diff(stamps[1:])) == {100_000_000}
    assert np.abs(np.diff(first, axis=0)).max() > 0.05


def test_an_unanswered_state_is_sent_again_and_its_echo_is_no_answer(ros):
    peer = Peer(ros, lockstep=True)
    peer.ready()
    peer.wait(lambda: len(peer.joints) >= 3, "the state, again and again")
    assert len(peer.stamps()) == 1
    target = peer.contract.action.neutral
    peer.send(target)
    peer.wait(lambda: len(peer.stamps()) == 2, "the next state")
    peer.send(target)  # the same answer to the state that came again
    peer.send(target + 0.01)
    peer.wait(lambda: len(peer.stamps()) == 3, "the state after the real answer")
    peer.wait(lambda: len([m for m in peer.joints if stamp(m) == 1_200_000_000]) > 1, "that state again")
    assert peer.stamps() == [1_000_000_000, 1_100_000_000, 1_200_000_000]
    assert peer.reset().success
    peer.wait(lambda: peer.stamps()[-1] == 2_200_000_000, "a state after a jump of the clock")
    peer.stop()


def test_what_is_wrong_with_its_parameters_is_said(ros):
    for name, value in (("joint_noise", 9.0), ("cone", ["elliptic", "round"])):
        peer = Peer(ros, **{f"options__{name}": value})
        peer.wait(lambda p=peer, n=name: n in p.process.output, "a line that says so")
        peer.stop()


def test_a_second_sim_may_leave_the_clock_alone(ros):
    peer = Peer(ros, publish_clock=False)
    peer.ready()
    assert not ros.node.get_publishers_info_by_topic("/clock")
    for lockstep in (True, False):  # also once it is made anew, and where the clock is the states' own
        assert ros.change(f"{peer.space}/sim", "deactivate")
        assert ros.change(f"{peer.space}/sim", "cleanup")
        assert ros.set_parameters(f"{peer.space}/sim", lockstep=lockstep, publish_clock=lockstep).successful
        assert ros.change(f"{peer.space}/sim", "configure")
        assert ros.change(f"{peer.space}/sim", "activate")
        peer.wait(
            lambda n=lockstep: len(ros.node.get_publishers_info_by_topic("/clock")) == n,
            f"publishers of /clock: {lockstep}",
        )
        heard = len(peer.joints)
        peer.wait(lambda n=heard: len(peer.joints) > n, "states")
    peer.stop()
