"""The simulated hand as a process of its own, over DDS."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("mujoco")

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray
from std_srvs.srv import Trigger

from mbrl_controller.episodes.contract import load_contract
from mbrl_controller.resources import share_dir

pytestmark = pytest.mark.ros
DOMAIN = 41
CONTRACT = share_dir() / "config" / "claw_valve.yaml"
PATIENCE = 30.0


class Peer:
    """Stands where the controller would: hears states, sends commands."""

    def __init__(self) -> None:
        self.context = rclpy.Context()
        rclpy.init(context=self.context, domain_id=DOMAIN)
        self.node = rclpy.create_node("peer", context=self.context)
        self.contract = load_contract(CONTRACT)
        self.joints: list[JointState] = []
        self.valve: list[JointState] = []
        self.clock: list[Clock] = []
        self.statuses: list[tuple[bytes, str]] = []
        reliable = QoSProfile(depth=1000)
        sensor = QoSProfile(depth=1000, reliability=ReliabilityPolicy.BEST_EFFORT)
        self.node.create_subscription(JointState, "joint_states", self.joints.append, sensor)
        self.node.create_subscription(JointState, "valve/joint_states", self.valve.append, sensor)
        self.node.create_subscription(Clock, "/clock", self.clock.append, sensor)
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self._diagnosed, reliable)
        self.commands = self.node.create_publisher(Float64MultiArray, "hand_controller/commands", QoSProfile(depth=1))
        self.reset_client = self.node.create_client(Trigger, "/sim/reset")
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.thread = threading.Thread(target=self.executor.spin, daemon=True)
        self.thread.start()

    def _diagnosed(self, message: DiagnosticArray) -> None:
        self.statuses += [(status.level, status.message) for status in message.status]

    def send(self, target: np.ndarray) -> None:
        self.commands.publish(Float64MultiArray(data=target.tolist()))

    def wait(self, condition) -> None:
        end = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < end, "nothing came of it"
            time.sleep(0.005)

    def ready(self) -> None:
        self.wait(lambda: self.commands.get_subscription_count() and self.joints and self.valve)

    def reset(self) -> Trigger.Response:
        assert self.reset_client.wait_for_service(PATIENCE)
        future = self.reset_client.call_async(Trigger.Request())
        self.wait(future.done)
        return future.result()

    def close(self) -> None:
        self.executor.shutdown()
        self.thread.join()
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)


@pytest.fixture
def peer():
    peer = Peer()
    yield peer
    peer.close()


@pytest.fixture
def sim():
    processes = []

    def start(**parameters):
        command = [sys.executable, "-m", "mbrl_controller.nodes.sim", "--ros-args", "-p", f"contract:={CONTRACT}"]
        for name, value in parameters.items():
            command += ["-p", f"{name.replace('__', '.')}:={value}"]
        network = {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST", "FASTDDS_BUILTIN_TRANSPORTS": "UDPv4"}
        env = os.environ | network | {"ROS_DOMAIN_ID": str(DOMAIN)}
        processes.append(subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True))
        return processes[-1]

    os.environ.update(ROS_AUTOMATIC_DISCOVERY_RANGE="LOCALHOST", FASTDDS_BUILTIN_TRANSPORTS="UDPv4")
    yield start
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.wait()
        process.stderr.close()


def stop(process) -> None:
    process.send_signal(signal.SIGINT)
    error = process.communicate(timeout=PATIENCE)[1]
    assert process.returncode == 0, error


def stamp(message) -> int:
    return message.header.stamp.sec * 10**9 + message.header.stamp.nanosec


def test_real_time_states_clock_commands_and_reset(sim, peer):
    process = sim(state_rate=50.0)
    peer.ready()
    peer.wait(lambda: len(peer.joints) > 20 and peer.clock)
    stamps = [stamp(m) for m in peer.joints]
    assert stamps == sorted(stamps)
    assert abs(stamps[-1] - time.time_ns()) < 5e9
    # a joint goes where it is sent, and is held there when the commands stop
    target = peer.contract.action.neutral.copy()
    target[0] = 0.3
    for _ in range(10):
        peer.send(target)
        time.sleep(0.05)
    peer.wait(lambda: abs(peer.joints[-1].position[0] - 0.3) < 0.1)
    peer.wait(lambda: any("last target is held" in text for _, text in peer.statuses))
    assert abs(peer.joints[-1].position[0] - 0.3) < 0.1
    # what is no command is counted, not obeyed
    peer.send(target[:3])
    peer.send(np.full_like(target, np.nan))
    before = stamp(peer.joints[-1])
    response = peer.reset()
    assert (response.success, response.message) == (True, "new start from seed 1")
    peer.wait(lambda: stamp(peer.joints[-1]) - before > 0.9e9)
    peer.wait(lambda: abs(peer.joints[-1].position[0]) < 0.15)
    stop(process)


def lockstep_run(sim, peer, steps):
    """Positions of all joints after each of `steps` commands of a fixed plan; their stamps."""
    process = sim(lockstep=True, seed=3, preset="perturbed", options__observation_latency=0.0)
    rng = np.random.default_rng(0)
    rows, stamps, newest = [], [], -1
    peer.joints.clear()
    peer.wait(lambda: peer.commands.get_subscription_count())
    for _ in range(steps):
        peer.wait(lambda newest=newest: any(stamp(m) > newest for m in peer.joints))
        message = max(peer.joints, key=stamp)
        newest = stamp(message)
        rows.append(list(message.position))
        stamps.append(newest)
        peer.send(rng.uniform(peer.contract.action.lower, peer.contract.action.upper))
    stop(process)
    return np.array(rows), stamps


def test_lockstep_is_the_same_run_for_a_seed(sim, peer):
    first, stamps = lockstep_run(sim, peer, 15)
    second, again = lockstep_run(sim, peer, 15)
    assert np.array_equal(first, second)
    assert stamps == again
    assert stamps[0] > 0
    assert set(np.diff(stamps)) <= {100_000_000, 200_000_000}  # a lost measurement shows its stamp twice
    assert np.abs(np.diff(first, axis=0)).max() > 0.05


def test_an_unanswered_state_is_sent_again_and_its_echo_is_no_answer(sim, peer):
    process = sim(lockstep=True)
    peer.ready()
    peer.wait(lambda: len(peer.joints) >= 3)
    first = {stamp(m) for m in peer.joints}
    assert len(first) == 1
    target = peer.contract.action.neutral
    peer.send(target)
    peer.wait(lambda: len({stamp(m) for m in peer.joints}) == 2)
    peer.send(target)  # the same answer to the state that came again
    time.sleep(0.3)
    assert len({stamp(m) for m in peer.joints}) == 2
    peer.send(target + 0.01)
    peer.wait(lambda: len({stamp(m) for m in peer.joints}) == 3)
    assert sorted(stamp(m) for m in peer.joints)[-1] == 1_200_000_000
    assert peer.reset().success
    peer.wait(lambda: max(stamp(m) for m in peer.joints) == 2_200_000_000)
    stop(process)


def test_what_is_wrong_with_its_parameters_is_said(sim):
    process = sim(options__joint_noise=9.0)
    line = ""
    while "joint_noise" not in line:
        line = process.stderr.readline()
        assert line, "it ended without saying what is wrong"
    assert "configure failed" in line or "options" in line
    stop(process)
