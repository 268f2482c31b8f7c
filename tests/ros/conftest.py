# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Real processes over DDS: start them, wait for what they do, stop them as a person would. Nothing sleeps."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

with suppress(ImportError):  # without ROS each test file here is skipped; this one must load
    import rclpy
    from lifecycle_msgs.msg import Transition
    from lifecycle_msgs.srv import ChangeState, GetState
    from rclpy.executors import SingleThreadedExecutor
    from rclpy.parameter import Parameter
    from rclpy.signals import SignalHandlerOptions

if TYPE_CHECKING:
    from mbrl_controller.contract.contract import RobotContract

TIMEOUT = 30.0  # s; generous, since the machine may be busy: nothing waits for it when all is well


@contextmanager
def free_domain() -> Iterator[int]:
    """A ROS domain that no other test run on this machine uses."""
    for domain in range(20, 100):
        with open(Path(tempfile.gettempdir()) / f"ros_test_domain_{domain}.lock", "w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                continue
            yield domain
            return
    raise RuntimeError("no free ROS domain")


@pytest.fixture(scope="session")
def ros_env() -> Iterator[dict[str, str]]:
    """Environment for nodes: a free ROS domain, and this process in it."""
    with free_domain() as domain:
        settings = {
            "ROS_DOMAIN_ID": str(domain),
            "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
            "FASTDDS_BUILTIN_TRANSPORTS": "UDPv4",
            "OMP_NUM_THREADS": "1",
            "PYTHONUNBUFFERED": "1",
        }
        before = dict(os.environ)
        os.environ.update(settings)
        yield dict(os.environ)
        os.environ.clear()
        os.environ.update(before)


class NodeProcess:
    """A node in a process of its own, with what it wrote to stderr and stdout so far."""

    def __init__(self, command: list[str], env: dict[str, str]) -> None:
        self.popen = subprocess.Popen(
            command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def output(self) -> str:
        """All that it wrote."""
        return "".join(self.lines)

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self.popen.poll() is None

    def stop(self, number: int = signal.SIGINT, timeout: float = TIMEOUT) -> int:
        """Send a signal and wait for the end; the exit code."""
        if self.alive:
            self.popen.send_signal(number)
        try:
            code = self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
            raise AssertionError(f"did not end after signal {number}:\n{self.output}") from None
        finally:
            self._reader.join(5.0)
        return code

    def _read(self) -> None:
        assert self.popen.stdout is not None
        self.lines.extend(iter(self.popen.stdout.readline, ""))


class Ros:
    """An observer node, and the processes it observes."""

    def __init__(self, env: dict[str, str], name: str = "observer") -> None:
        self.env = env
        self.context = rclpy.Context()
        rclpy.init(
            context=self.context, domain_id=int(env["ROS_DOMAIN_ID"]), signal_handler_options=SignalHandlerOptions.NO
        )
        self.node = rclpy.create_node(name, context=self.context, start_parameter_services=False)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.processes: list[NodeProcess] = []

    def start(self, module: str, parameters: dict[str, Any] | None = None, *arguments: str) -> NodeProcess:
        """Run `python -m module` with ROS parameters. A controller does not wait to discover others, unless told to."""
        command = [sys.executable, "-m", module, *arguments]
        if module.endswith(".controller"):
            parameters = {"discovery_s": 0.0, **(parameters or {})}
        if parameters:
            command.append("--ros-args")
        for key, value in (parameters or {}).items():
            text = str(value).lower() if isinstance(value, bool) else f"'{value}'" if isinstance(value, str) else value
            command += ["-p", f"{key}:={text}"]
        return self._run(command)

    def start_script(self, path: Path) -> NodeProcess:
        """Run a Python file."""
        return self._run([sys.executable, str(path)])

    def _run(self, command: list[str]) -> NodeProcess:
        process = NodeProcess(command, self.env)
        self.processes.append(process)
        return process

    def wait(self, condition: Callable[[], Any], what: str, timeout: float = TIMEOUT) -> Any:
        """Handle messages until `condition` is true; its value."""
        end = time.monotonic() + timeout
        while not (value := condition()):
            if time.monotonic() > end:
                output = "\n".join(p.output for p in self.processes)
                raise AssertionError(f"waited {timeout:.0f} s in vain for {what}; output of the nodes:\n{output}")
            self.executor.spin_once(timeout_sec=0.05)
        return value

    def collect(self, topic: str, kind: type, qos: Any = 50) -> list[Any]:
        """A list that fills with the topic's messages (while `wait` handles them)."""
        received: list[Any] = []
        self.node.create_subscription(kind, topic, received.append, qos)
        return received

    def publisher(self, topic: str, kind: type, qos: Any = 10, subscribers: int = 1) -> Any:
        """A publisher, matched with its subscribers."""
        publisher = self.node.create_publisher(kind, topic, qos)
        self.wait(lambda: publisher.get_subscription_count() >= subscribers, f"{subscribers} subscribers of {topic}")
        return publisher

    def call(self, service: str, kind: type, request: Any = None) -> Any:
        """The answer of a service."""
        client = self.node.create_client(kind, service)
        try:
            self.wait(client.service_is_ready, f"service {service}")
            future = client.call_async(request if request is not None else kind.Request())
            self.wait(future.done, f"an answer of {service}")
            return future.result()
        finally:
            self.node.destroy_client(client)

    def state(self, node: str) -> str:
        """A lifecycle node's state."""
        return self.call(f"{node}/get_state", GetState).current_state.label

    def change(self, node: str, transition: str) -> bool:
        """Ask for a transition (configure, activate, deactivate, cleanup); whether it succeeded."""
        number = getattr(Transition, f"TRANSITION_{transition.upper()}")
        request = ChangeState.Request(transition=Transition(id=number))
        return self.call(f"{node}/change_state", ChangeState, request).success

    def set_parameters(self, node: str, **values: Any) -> Any:
        """Set parameters in one batch (`__` in a name stands for a dot); the result."""
        from rcl_interfaces.srv import SetParametersAtomically

        batch = [Parameter(name.replace("__", "."), value=value).to_parameter_msg() for name, value in values.items()]
        request = SetParametersAtomically.Request(parameters=batch)
        return self.call(f"{node}/set_parameters_atomically", SetParametersAtomically, request).result

    def diagnostics(self, name: str) -> list[tuple[bytes, str, dict[str, str]]]:
        """A list that fills with (level, message, values) of the status called `name`."""
        from diagnostic_msgs.msg import DiagnosticArray

        received: list[tuple[bytes, str, dict[str, str]]] = []

        def take(message: DiagnosticArray) -> None:
            for status in message.status:
                if status.name == name:
                    received.append((status.level, status.message, {v.key: v.value for v in status.values}))

        self.node.create_subscription(DiagnosticArray, "/diagnostics", take, 50)
        return received

    def close(self) -> None:
        """Stop what still runs, then the observer."""
        for process in self.processes:
            if process.alive:
                try:
                    process.stop(timeout=10.0)
                except AssertionError:
                    continue
        self.executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)


@pytest.fixture
def ros(ros_env: dict[str, str]) -> Iterator[Ros]:
    """An observer with its processes, all stopped at the end."""
    helper = Ros(ros_env)
    yield helper
    helper.close()


@pytest.fixture
def foreign_node(ros_env: dict[str, str]) -> Iterator[Callable[..., Any]]:
    """Makes nodes, as `foreign_node(name, namespace=None)`, in a participant and on a thread of their own, as those of
    other processes are."""
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=int(ros_env["ROS_DOMAIN_ID"]))
    executor = SingleThreadedExecutor(context=context)
    nodes, stop = [], threading.Event()

    def make(name: str, namespace: str | None = None) -> Any:
        nodes.append(rclpy.create_node(name, namespace=namespace, context=context, start_parameter_services=False))
        executor.add_node(nodes[-1])
        return nodes[-1]

    def spin() -> None:
        while not stop.is_set():
            executor.spin_once(timeout_sec=0.05)

    thread = threading.Thread(target=spin)
    thread.start()
    yield make
    stop.set()
    thread.join()
    executor.shutdown()
    for node in nodes:
        node.destroy_node()
    rclpy.shutdown(context=context)


SMALL_HAND = """
format_version: 1
robot: small
task: valve
control_period_s: 0.05
state:
  - {topic: joint_states, type: sensor_msgs/msg/JointState, fields: [position, velocity], max_age_s: 0.5,
     joints: [J0, J1, J2]}
  - {topic: valve/joint_states, type: sensor_msgs/msg/JointState, fields: [position, velocity], max_age_s: 0.5,
     joints: [valve]}
command:
  topic: hand/commands
  type: std_msgs/msg/Float64MultiArray
  joints:
    - {name: J0, lower: -1.0, upper: 1.0, neutral: 0.0, max_rate: 3.0}
    - {name: J1, lower: -1.0, upper: 1.0, neutral: 0.1, max_rate: 3.0}
    - {name: J2, lower: -1.0, upper: 1.0, neutral: 0.2, max_rate: 3.0}
"""


def linear_registry(
    contract: RobotContract, folder: Path, versions: Sequence[str], turn: float, judged: bool = False
) -> Path:
    """A registry folder of one-member models: nothing moves but the valve, by `turn` rad for each rad of target. The
    first version is the current one. `judged`: they say in which units members disagree."""
    import numpy as np

    from mbrl_controller.models.card import ModelCard
    from mbrl_controller.models.registry import Registry, file_sha256
    from mbrl_controller.models.spec import ModelSpec

    from ..linear_model import linear_model_bytes

    S, A = len(contract.task.state), len(contract.action)
    registry = Registry(folder / "models", shipped=folder / "none")
    for name in versions:
        spec = ModelSpec.of(contract.task, contract.file.robot, contract.action, 1, (1,)).model_copy(
            update={"version": name, "delta_scale": (1.0,) * S if judged else ()}
        )
        mix = np.zeros((1, A, S), np.float32)
        mix[0, :, contract.task.state.index("valve.position")] = turn
        files = folder / f"new-{name}"
        files.mkdir()
        (files / "model.onnx").write_bytes(linear_model_bytes(mix, spec.to_metadata()))
        registry.add("valve", files, ModelCard(spec=spec, model_sha256=file_sha256(files / "model.onnx")))
    registry.promote("valve", versions[0])
    return folder / "models"


@pytest.fixture(scope="session")
def small_hand(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with contract.yaml for three joints and a valve, and models/ with v0001 (current) and v0002."""
    from mbrl_controller.contract.contract import load_contract

    folder = tmp_path_factory.mktemp("small_hand")
    (folder / "contract.yaml").write_text(SMALL_HAND)
    linear_registry(load_contract(folder / "contract.yaml"), folder, ("v0001", "v0002"), turn=0.1)
    return folder


@pytest.fixture
def still_models(tmp_path: Path) -> Path:
    """A registry for the claw whose model says that nothing ever moves: any plan is as good, but all else is real."""
    from mbrl_controller.base.resources import share_dir
    from mbrl_controller.contract.contract import load_contract

    return linear_registry(load_contract(share_dir() / "config" / "claw_valve.yaml"), tmp_path, ("v0001",), turn=0.0)
