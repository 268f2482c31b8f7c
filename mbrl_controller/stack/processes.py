# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Nodes as child processes: started with parameters, watched, stopped in order, and never left running."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.base.os_process import die_with_parent
from mbrl_controller.base.resources import share_dir

PATIENCE_S = (8.0, 3.0)  # after SIGINT, after SIGTERM; then SIGKILL


class ProcessError(MbrlError):
    """A child process that failed; the message contains its last output."""


# Of each node that is started.
NODE_ENVIRONMENT = {
    "RCUTILS_LOGGING_BUFFERED_STREAM": "0",
    "OMP_NUM_THREADS": "1",  # small matrices: threads would only compete for the cores
    "PYTHONUNBUFFERED": "1",
}


def local_environment(domain: int) -> dict[str, str]:
    """Variables that keep a ROS graph on this machine, separate from others on it and closed to other machines.

    UDP on the loopback interface: shared memory gains nothing here, and the segments that a killed process leaves in
    /dev/shm break later ones.
    """
    loopback = str(share_dir() / "config" / "security" / "loopback.xml")
    return {
        "ROS_DOMAIN_ID": str(domain),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "ROS_STATIC_PEERS": "",
        "FASTRTPS_DEFAULT_PROFILES_FILE": loopback,  # of Fast DDS 2 (Jazzy)
        "FASTDDS_DEFAULT_PROFILES_FILE": loopback,  # of Fast DDS 3 (Kilted)
        "FASTDDS_BUILTIN_TRANSPORTS": "UDPv4",
        **NODE_ENVIRONMENT,
    }


def free_domain() -> int:
    """A ROS domain whose first discovery port is free; raises MbrlError when there is none."""
    domains = list(range(1, 102))
    random.shuffle(domains)
    for domain in domains:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind(("", 7410 + 250 * domain))
            except OSError:
                continue
            return domain
    raise MbrlError("no free ROS domain among 1 to 101")


def ros_arguments(params_files: Sequence[Path] = (), params: Mapping[str, Any] | None = None) -> list[str]:
    """Command-line arguments with a node's parameters; `params` override the files."""
    arguments = ["--ros-args"]
    for path in params_files:
        arguments += ["--params-file", str(path)]
    for name, value in (params or {}).items():
        # JSON is YAML: quoted strings stay strings, 20.0 stays a float
        arguments += ["-p", f"{name}:={json.dumps(value)}"]
    return arguments


class Child:
    """One process of the group. Its output goes to the file `log`; an error shows the end of it.

    Args:
        name: of the node.
        command: program and arguments.
        environment: variables besides those of this process.
        log: file for its output.
    """

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self.name, self.log = name, log
        self.asked_to_stop = False
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                command,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches the parent alone, which stops them in order
                preexec_fn=die_with_parent,
            )

    @property
    def running(self) -> bool:
        """Whether the process still runs."""
        return self.process.poll() is None

    def last_words(self, lines: int = 15) -> str:
        """The end of its output."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def stop(self) -> None:
        """Send SIGINT, then SIGTERM, then SIGKILL, until the process ends."""
        self.asked_to_stop = True
        for number, patience in zip((signal.SIGINT, signal.SIGTERM), PATIENCE_S, strict=True):
            if not self.running:
                return
            self.process.send_signal(number)
            try:
                self.process.wait(patience)
            except subprocess.TimeoutExpired:
                continue
        if self.running:
            self.process.kill()
            self.process.wait()

    def check(self) -> None:
        """Raise ProcessError if the process ended without being asked to, or with an error."""
        code = self.process.poll()
        if code is None or (self.asked_to_stop and code == 0):
            return
        end = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        raise ProcessError(f"{self.name} {end}. Its last lines:\n{self.last_words()}")


class ProcessGroup:
    """Child processes that end with the `with` block, in the order `stop_order`."""

    def __init__(self, environment: Mapping[str, str], stop_order: Sequence[str]) -> None:
        self._environment, self._stop_order = environment, stop_order
        self._folder = tempfile.TemporaryDirectory(prefix="mbrl-")
        self.children: dict[str, Child] = {}

    def start(self, name: str, module: str, arguments: Sequence[str] = ()) -> Child:
        """Start `python -m module arguments`."""
        log = Path(self._folder.name) / f"{name}.log"
        child = Child(name, [sys.executable, "-m", module, *arguments], self._environment, log)
        self.children[name] = child
        return child

    def check(self) -> None:
        """Raise ProcessError for the first child that failed."""
        for child in self.children.values():
            child.check()

    def stop(self) -> None:
        """Stop all in order, even if one fails or a signal arrives meanwhile."""
        try:
            for name in self._stop_order:
                if name in self.children:
                    self.children[name].stop()
        finally:
            for child in self.children.values():
                if child.running:
                    child.process.kill()
                    child.process.wait()

    def __enter__(self) -> ProcessGroup:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._folder.cleanup()


def wait_for(condition: Callable[[], object], what: str, timeout: float, group: ProcessGroup) -> None:
    """Poll `condition` until it is true; raises MbrlError after `timeout` s, or when a child fails.

    Args:
        condition: is called about 50 times a second.
        what: begins the error's text.
        timeout: s.
        group: the processes that must keep running.
    """
    if not is_true_within(condition, timeout, group):
        raise MbrlError(f"{what}: not within {timeout:.0f} s")


def is_true_within(condition: Callable[[], object], timeout: float, group: ProcessGroup) -> bool:
    """Poll `condition` for up to `timeout` s; raises MbrlError when a child fails."""
    deadline = time.monotonic() + timeout
    while not condition():
        group.check()
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
