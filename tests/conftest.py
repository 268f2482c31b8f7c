"""What all tests share. A robot has no training stack: a file that needs what is missing is skipped and says so."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("busy", deadline=None)  # how long an example takes says nothing on a busy machine
settings.load_profile("busy")

# What an extra of setup.py, ROS or a key of package.xml brings, and this machine may lack.
OPTIONAL = {"PIL", "gymnasium_robotics", "launch", "launch_ros", "matplotlib", "mcap_ros2", "mjviser", "mujoco", "onnx",
            "rclpy", "tensorboard", "torch", "viser"}  # fmt: skip


class OptionalModule(pytest.Module):
    """A test file whose imports, its own or those of what it tests, may ask for a package that is not there.

    `pytest.importorskip` says the same in one file; this holds for files whose writer had everything installed.
    """

    def collect(self) -> Iterable[pytest.Item | pytest.Collector]:
        try:
            return super().collect()
        except self.CollectError as error:
            cause = error.__cause__
            if isinstance(cause, ModuleNotFoundError) and (cause.name or "").partition(".")[0] in OPTIONAL:
                pytest.skip(f"needs {cause.name}, which is not installed", allow_module_level=True)
            raise


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module:
    return OptionalModule.from_parent(parent, path=module_path)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fault-table", metavar="FILE", help="write the fault matrix of tests/ros/faults as JSON")
    parser.addoption(
        "--most-periods", metavar="P", type=float, help="fail where a fault is not answered in so many control periods"
    )
    parser.addoption(
        "--logger-kills", metavar="N", type=int, default=5, help="how often tests/ros/faults kill a logger"
    )
    parser.addoption("--fuzz-inputs", type=int, default=1500, help="inputs that tests/fuzz tries in all")
    parser.addoption("--fuzz-table", metavar="FILE", help="write what became of them as JSON")


@pytest.fixture(scope="session")
def killed_at() -> Callable[[int, Callable[[], object]], bool]:
    """Calls a function in another process, which is killed as the file system is to be changed for the n-th time;
    whether it was."""
    changes = {"open", "os.mkdir", "os.link", "os.rename", "os.remove", "os.rmdir", "os.chmod"}

    def run(event: int, work: Callable[[], object]) -> bool:
        pid = os.fork()
        if not pid:
            left = event

            def hook(name: str, arguments: tuple[object, ...]) -> None:
                nonlocal left
                if name in changes:
                    left -= 1
                    if left < 0:
                        os.kill(os.getpid(), signal.SIGKILL)

            code = 1
            try:
                sys.addaudithook(hook)
                work()
                code = 0
            finally:
                os._exit(code)
        status = os.waitpid(pid, 0)[1]
        assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
        return os.WIFSIGNALED(status)

    return run
