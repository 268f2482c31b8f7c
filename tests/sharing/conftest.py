# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Storage to share by: a folder, and an S3 server that runs as a process of its own."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ..trained_valve import no_shipped_models  # noqa: F401 (a fixture that all tests of the folder use)

pytest.importorskip("fsspec")


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


class S3Server:
    """moto's server."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            assert self._process.poll() is None, "moto's server ended"
            with socket.socket() as client:
                if client.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.1)
        raise AssertionError("moto's server does not answer")

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    for name in ("s3fs", "moto", "flask"):
        pytest.importorskip(name)
    server = S3Server(free_port())
    server.start()
    yield server
    server.stop()


@pytest.fixture
def use_s3(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Takes credentials and an endpoint into the environment, as a user does."""

    def use(endpoint: str, key: str = "testing") -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")

    return use


def make_bucket(name: str, endpoint: str) -> str:
    import s3fs

    s3fs.S3FileSystem(endpoint_url=endpoint, skip_instance_cache=True).mkdir(name)
    return f"s3://{name}/fleet"


@pytest.fixture(params=["folder", "s3"])
def url(request: pytest.FixtureRequest, tmp_path: Path, use_s3: Callable[[str], None]) -> str:
    """An empty storage."""
    if request.param == "folder":
        (tmp_path / "storage").mkdir()
        return f"file://{tmp_path / 'storage'}"
    server: S3Server = request.getfixturevalue("s3_server")
    use_s3(server.endpoint)
    return make_bucket(f"bucket-{time.time_ns()}", server.endpoint)
