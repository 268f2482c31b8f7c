"""A robot has no training stack: without torch, what trains is not collected, and the rest is tested."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from importlib.util import find_spec

import pytest
from hypothesis import settings

settings.register_profile("busy", deadline=None)  # how long an example takes says nothing on a busy machine
# What a mutant is judged by: the same few examples each time.
settings.register_profile("mutation", deadline=None, max_examples=25, derandomize=True, database=None)
settings.load_profile("busy")

collect_ignore_glob = [] if find_spec("torch") else ["dynamics", "planning/test_onnx_ensemble.py"]


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
