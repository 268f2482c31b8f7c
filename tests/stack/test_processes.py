# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Child processes are stopped in order, their failures are told, and none survives its parent."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.stack.processes import ProcessError, ProcessGroup, free_domain, ros_arguments, wait_for

SLEEPER = """
import signal, sys, time
def leave(*_):
    print("left", time.monotonic(), flush=True)
    open(sys.argv[1], "a").write(sys.argv[2])
    sys.exit(0)
signal.signal(signal.SIGINT, leave)
print("ready", flush=True)
time.sleep(60)
"""


@pytest.fixture
def modules(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "sleeper.py").write_text(SLEEPER)
    (tmp_path / "stubborn.py").write_text("import signal, time\n" + "".join(
        f"signal.signal(signal.{name}, signal.SIG_IGN)\n" for name in ("SIGINT", "SIGTERM")
    ) + "print('ready', flush=True)\ntime.sleep(60)\n")  # fmt: skip
    (tmp_path / "failing.py").write_text("import sys\nprint('could not find the hand', file=sys.stderr)\nsys.exit(3)\n")
    return {"PYTHONPATH": str(tmp_path)}


def until_ready(group: ProcessGroup, *names: str) -> None:
    wait_for(lambda: all("ready" in group.children[n].last_words() for n in names), "start", 20, group)


def test_children_are_stopped_in_order(modules: dict[str, str], tmp_path: Path) -> None:
    order = tmp_path / "order"
    with ProcessGroup(modules, stop_order=("b", "c", "a")) as group:
        for name in "abc":
            group.start(name, "sleeper", [str(order), name])
        until_ready(group, *"abc")
        group.stop()
        group.check()
    assert order.read_text() == "bca"


def test_failure_is_told_with_the_last_words(modules: dict[str, str]) -> None:
    with ProcessGroup(modules, stop_order=("f",)) as group:
        group.start("f", "failing")
        with pytest.raises(ProcessError, match=r"(?s)f ended with exit code 3.*could not find the hand"):
            wait_for(lambda: False, "never", 20, group)


def test_a_child_that_ends_unasked_has_failed_even_with_0(modules: dict[str, str]) -> None:
    with ProcessGroup(modules, stop_order=("t",)) as group:
        child = group.start("t", "this")
        child.process.wait(20)
        with pytest.raises(ProcessError, match="exit code 0"):
            group.check()


def test_a_stubborn_child_is_killed(modules: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mbrl_controller.stack.processes.PATIENCE_S", (0.2, 0.2))
    with ProcessGroup(modules, stop_order=("s",)) as group:
        child = group.start("s", "stubborn")
        until_ready(group, "s")
    assert child.process.returncode == -signal.SIGKILL


def test_waiting_has_an_end(modules: dict[str, str]) -> None:
    with ProcessGroup(modules, stop_order=()) as group, pytest.raises(MbrlError, match="the moon: not within 0 s"):
        wait_for(lambda: False, "the moon", 0.1, group)


def test_no_child_survives_a_killed_parent(modules: dict[str, str], tmp_path: Path) -> None:
    left = tmp_path / "left"
    code = (
        "import time; from mbrl_controller.stack.processes import *\n"
        f"group = ProcessGroup({modules!r}, ('a',))\n"
        f"child = group.start('a', 'sleeper', [{str(left)!r}, 'a'])\n"
        "wait_for(lambda: 'ready' in child.last_words(), 'start', 20, group)\n"
        "print('started', flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "started\n"
        parent.kill()
    deadline = time.monotonic() + 10
    while not (left.exists() and left.read_text() == "a"):
        assert time.monotonic() < deadline, "the child goes on without its parent"
        time.sleep(0.02)


def test_parameters_keep_their_types() -> None:
    given = ros_arguments([Path("a.yaml")], {"rate": 10.0, "model": "007", "on": True})
    assert given == [
        "--ros-args", "--params-file", "a.yaml", "-p", "rate:=10.0", "-p", 'model:="007"', "-p", "on:=true",
    ]  # fmt: skip


def test_domains_in_use_are_left_alone() -> None:
    taken = {}
    try:
        for domain in range(1, 102):
            taken[domain] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            if domain != 42:
                try:
                    taken[domain].bind(("", 7410 + 250 * domain))
                except OSError:
                    continue  # someone else's
        assert free_domain() == 42
    finally:
        for probe in taken.values():
            probe.close()
