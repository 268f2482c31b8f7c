# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What all tests share. A robot has no training stack: a file that needs what is missing is skipped and says so."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from hypothesis import settings

from .browser import chromium  # noqa: F401 (fixture)
from .trained_valve import trained, trained_copy, valve_episodes  # noqa: F401 (fixtures)

settings.register_profile("busy", deadline=None)  # how long an example takes says nothing on a busy machine
# What a mutant is judged by: the same few examples each time.
settings.register_profile("mutation", deadline=None, max_examples=25, derandomize=True, database=None)
# Continuous integration judges a change by the same examples each time; other runs look for new ones.
settings.register_profile("ci", deadline=None, derandomize=True, database=None)
settings.load_profile("ci" if os.environ.get("CI") else "busy")

# What an extra of setup.py, ROS or a key of package.xml brings, and this machine may lack.
OPTIONAL = {"PIL", "array_api_compat", "flask", "fsspec", "moto", "s3fs",
            "gymnasium", "gymnasium_robotics", "launch", "launch_ros", "matplotlib", "mcap_ros2", "minari",
            "mjviser", "mujoco", "onnx", "optuna", "pyarrow", "ray", "rclpy", "stable_baselines3", "tensorboard",
            "torch", "viser"}  # fmt: skip


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


def pytest_configure() -> None:
    # What a test decodes must not be found by another run; those of the cache have their own.
    os.environ.setdefault("MBRL_CACHE", "off")
    # pytest-xdist gives its workers a width of 80 characters, which a console keeps from its import on.
    for name in ("COLUMNS", "LINES"):
        os.environ.pop(name, None)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fault-table", metavar="FILE", help="write the fault matrix of tests/ros/faults as JSON")
    parser.addoption(
        "--most-periods", metavar="P", type=float, help="fail where a fault is not answered in so many control periods"
    )
    parser.addoption(
        "--logger-kills", metavar="N", type=int, default=5, help="how often tests/ros/faults kill a logger"
    )
    parser.addoption(
        "--stops", metavar="N", type=int, default=10, help="how often tests/ros/test_ending.py stops a node"
    )
    parser.addoption("--stops-seed", type=int, default=0, help="of the moments at which it does")
    parser.addoption("--stops-latest", metavar="S", type=float, default=30.0, help="how long each may take")
    parser.addoption("--stops-file", metavar="FILE", help="write a line for each as it goes")
    parser.addoption("--fuzz-inputs", type=int, default=1500, help="inputs that tests/fuzz tries in all")
    parser.addoption("--fuzz-table", metavar="FILE", help="write what became of them as JSON")


@pytest.hookimpl(tryfirst=True)  # before -m looks at the marks
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # Continuous integration has a machine whose other load nobody knows. A test of real processes over DDS may fail
    # there once, and is listed as RERUN; twice in a row it fails.
    again = bool(os.environ.get("CI")) and config.pluginmanager.hasplugin("rerunfailures")
    for item in items:
        if again and item.get_closest_marker("ros"):
            item.add_marker(pytest.mark.flaky(reruns=1))
        if "trained" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.training)


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


@pytest.fixture
def own_int8(monkeypatch: pytest.MonkeyPatch) -> None:
    """8-bit files are served as on a robot, whatever MBRL_INT8 says of this run: for tests of the 8-bit files."""
    monkeypatch.delenv("MBRL_INT8", raising=False)
