# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The head of a Ray cluster as `ray start` makes it, in processes that a test can kill, and commands that use it."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PATIENCE_S = 300.0
STARTS = 3
AWAY_S = "30"  # after which Ray itself ends a process whose head is away: no test waits for a minute


class RayHead:
    """A head with one CPU, a port for nodes and one for clients, which stay the same when it is started again."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ray"))  # short: the names of its sockets are limited
        self.port, self.client_port = free_ports(2)
        token = self.folder / "token"
        token.write_text(secrets.token_hex(32))
        self._joined = {  # environment of a process that joins it
            **os.environ,
            "RAY_ADDRESS": f"127.0.0.1:{self.port}",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(token),
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_gcs_rpc_server_reconnect_timeout_s": AWAY_S,
            "RAY_CLIENT_RECONNECT_GRACE_PERIOD": "10",
            "OMP_NUM_THREADS": "1",
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it works."""
        log = self.folder / "head.log"
        for _ in range(STARTS):
            self._begin(log)
            if self._comes_up():
                return
            self.kill()
        raise AssertionError(f"no Ray head came up in {STARTS} tries:\n{log.read_text()}")

    def _begin(self, log: Path) -> None:
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--num-cpus=1"]
        command += [f"--port={self.port}", f"--ray-client-server-port={self.client_port}", "--include-dashboard=false"]
        command += [f"--temp-dir={self.folder}", "--object-store-memory=100000000"]
        with log.open("w") as output:
            self._process = subprocess.Popen(
                command,
                env={**self._joined, "RAY_ADDRESS": ""},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # of its own, which ends as a machine does
            )

    def _comes_up(self) -> bool:
        """Whether it answers and runs something: its ports answer long before that, and a client does not wait.

        On a busy machine Ray ends itself, because one part of it waited too long for another.
        """
        assert self._process is not None
        ended = self._process.poll
        for port in (self.port, self.client_port):
            wait_until(lambda port=port: answers(port) or ended() is not None, "a Ray head")
        command = [sys.executable, "-c", "import ray; ray.init(); ray.get(ray.remote(lambda: 1).remote())"]
        with contextlib.suppress(subprocess.TimeoutExpired):
            tried = subprocess.run(command, env=self._joined, capture_output=True, timeout=PATIENCE_S)
            return tried.returncode == 0 and ended() is None
        return False

    def kill(self) -> None:
        """End all its processes at once, as a power cut does."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def remove(self) -> None:
        """Kill it, and leave no file."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def begin(self, home: Path, *arguments: str) -> subprocess.Popen[str]:
        """Begin an `mbrl` command with a home of its own, which joins the cluster where it says `--on ray`."""
        return subprocess.Popen(
            [sys.executable, "-m", "mbrl_controller", *arguments],
            env={**self._joined, "MBRL_HOME": str(home)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, home: Path, *arguments: str) -> str:
        """Run such a command to its end, which must be a good one; what it printed."""
        process = self.begin(home, *arguments)
        printed, _ = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0, printed
        return printed


def free_ports(count: int) -> list[int]:
    """Ports of this machine at which nobody listens."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("", 0))
        return [each.getsockname()[1] for each in sockets]


def answers(port: int) -> bool:
    """Whether somebody listens there."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
    except OSError:
        return False
    return True


def wait_until(condition: object, what: str) -> None:
    """Wait for a condition, a function without arguments; fails where it does not come about."""
    assert callable(condition)
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.02)
