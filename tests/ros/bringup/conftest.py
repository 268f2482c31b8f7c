# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Launch files under the real launch, wherever that imports."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lifecycle_msgs.srv import GetState

from ..conftest import NodeProcess, Ros

ROOT = Path(__file__).resolve().parents[3]
EXECUTABLES = {
    "controller": "mbrl_controller.nodes.controller",
    "logger": "mbrl_controller.nodes.logger",
    "sim": "mbrl_controller.nodes.sim",
    "retrain": "mbrl_controller.cli.main retrain",
}
RUN = """
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

pairs = [argument.split(":=", 1) for argument in sys.argv[2:]]
file = IncludeLaunchDescription(PythonLaunchDescriptionSource(sys.argv[1]), launch_arguments=pairs)
service = LaunchService(noninteractive=True)
service.include_launch_description(LaunchDescription([file]))
sys.exit(service.run())
"""
HEAD = """
from launch import LaunchDescription
from launch.actions import *
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch_ros.actions import *

def include(name, **arguments):
    source = PythonLaunchDescriptionSource(FOLDER + "/" + name + ".launch.py")
    return IncludeLaunchDescription(source, launch_arguments=arguments.items())

def generate_launch_description():
    return LaunchDescription(ACTIONS)

"""


@pytest.fixture(scope="session")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prefix such as colcon makes, of this checkout: share/ and lib/mbrl_controller, where launch looks."""
    prefix = tmp_path_factory.mktemp("prefix")
    marker = prefix / "share" / "ament_index" / "resource_index" / "packages" / "mbrl_controller"
    marker.parent.mkdir(parents=True)
    marker.touch()
    (prefix / "share" / "mbrl_controller").symlink_to(ROOT)
    folder = prefix / "lib" / "mbrl_controller"
    folder.mkdir(parents=True)
    for name, module in EXECUTABLES.items():
        (folder / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" -m {module} "$@"\n')
        (folder / name).chmod(0o755)
    return prefix


class Launch:
    """A launch file, run as `ros2 launch` runs it."""

    def __init__(self, ros: Ros, prefix: Path, home: Path, path: Path, **arguments: Any) -> None:
        known = [str(prefix), *filter(None, [os.environ.get("AMENT_PREFIX_PATH")])]
        self.home = home
        env = {**ros.env, "AMENT_PREFIX_PATH": os.pathsep.join(known), "MBRL_HOME": str(home), "ROS_HOME": str(home)}
        given = [f"{name}:={value}" for name, value in arguments.items()]
        self.ros, self.process = ros, NodeProcess([sys.executable, "-c", RUN, str(path), *given], env)
        ros.processes.append(self.process)
        self._clients: dict[str, Any] = {}

    @property
    def output(self) -> str:
        """All that it and its nodes said."""
        return self.process.output

    def wait_for(self, *texts: str) -> None:
        """Wait until it has said all of these."""
        self.ros.wait(lambda: all(text in self.process.output for text in texts), f"{texts} from launch")

    def pids(self, name: str) -> list[int]:
        """Of all processes so far of an executable, in the order in which they were started."""
        return [int(pid) for pid in re.findall(rf"\[{name}-\d+\]: process started with pid \[(\d+)\]", self.output)]

    def alive(self, pid: int) -> bool:
        """Whether that process of the launch still runs."""
        return Path(f"/proc/{pid}").exists()

    def command(self, pid: int) -> list[str]:
        """The command line of a process, without the names of files that launch makes anew each time."""
        parts = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
        return [re.sub(r"launch_params_\w+", "launch_params", part) for part in parts]

    def kill(self, name: str, which: int = -1, number: int = signal.SIGKILL) -> None:
        """Send a signal to a process of an executable, by default kill -9 to the one that was started last."""
        os.kill(self.pids(name)[which], number)

    def state(self, node: str) -> str:
        """A lifecycle node's state, or nothing: a service of one that was killed may seem to be there for a while."""
        if node not in self._clients:
            self._clients[node] = self.ros.node.create_client(GetState, f"{node}/get_state")
        client, end = self._clients[node], time.monotonic() + 1.0
        while not client.service_is_ready():
            self.ros.executor.spin_once(timeout_sec=0.05)
            if time.monotonic() > end:
                return ""
        answer = client.call_async(GetState.Request())
        while not answer.done():
            self.ros.executor.spin_once(timeout_sec=0.05)
            if time.monotonic() > end:
                client.remove_pending_request(answer)
                return ""
        return str(answer.result().current_state.label)

    def wait_for_state(self, node: str, state: str) -> None:
        """Wait until a node is in that state, though it be one that takes the place of one killed."""
        self.ros.wait(lambda: self.state(node) == state, f"{node} {state}", timeout=60.0)

    def stays(self, node: str, state: str, seconds: float = 2.0) -> bool:
        """Whether a node is in that state for so long: time enough for whoever would change it."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.state(node) not in (state, ""):
                return False
        return self.state(node) == state

    def wait_for_exit(self, timeout: float = 30.0) -> int:
        """The status that it ends with by itself."""
        self.ros.wait(lambda: not self.process.alive, "the launch's end", timeout)
        return self.process.stop()


@pytest.fixture
def launch(ros: Ros, prefix: Path, tmp_path: Path) -> Callable[..., Launch]:
    """Runs a file of launch/ by name, or one with the actions in a text (with `include(name, **arguments)`)."""

    def start(what: str, **arguments: Any) -> Launch:
        path = ROOT / "launch" / f"{what}.launch.py"
        if not what.isidentifier():
            path = tmp_path / "user.launch.py"
            path.write_text(f"{HEAD}\nFOLDER = {str(ROOT / 'launch')!r}\nACTIONS = [{what}]\n")
        return Launch(ros, prefix, tmp_path / "home", path, **arguments)

    return start


@pytest.fixture
def small(small_hand: Path, tmp_path: Path) -> dict[str, str]:
    """Launch arguments for the small hand."""
    params = tmp_path / "small.yaml"
    params.write_text(
        "/**/controller:\n  ros__parameters:\n"
        f"    models_dir: {small_hand / 'models'}\n    planner.num_samples: 16\n    planner.horizon: 3\n"
    )
    return {"contract": str(small_hand / "contract.yaml"), "controller_params": str(params)}


@pytest.fixture
def small_valve(still_models: Path, tmp_path: Path) -> dict[str, str]:
    """Launch arguments for the claw, with a model that is quick to load."""
    params = tmp_path / "valve.yaml"
    params.write_text(
        "/**/controller:\n  ros__parameters:\n"
        f"    models_dir: {still_models}\n    planner.num_samples: 16\n    planner.horizon: 3\n"
    )
    return {"contract": "claw_valve.yaml", "controller_params": str(params)}
