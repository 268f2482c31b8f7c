# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A log folder that fails, and loggers that are killed, beside a controller that is commanding a hand.

`--logger-kills 200` (make faults KILLS=200) kills that many instead of a few.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import resource
import shutil
import signal
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("rclpy")

from std_srvs.srv import Trigger

from mbrl_controller.episodes.reader import read_episode
from mbrl_controller.episodes.recovery import recover_folder

from ..conftest import NodeProcess
from .service import Service

pytestmark = [pytest.mark.ros, pytest.mark.slow]

ROOM = 256 * 1024  # bytes of the small folder
ALLOWED_LOSS_S = 0.5


@pytest.fixture(scope="module")
def service(ros_env: dict[str, str], small_hand: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with Service.running(ros_env, small_hand, tmp_path_factory.mktemp("log")) as running:
        yield running


class Log:
    """A logger beside the service, and its folder."""

    def __init__(self, service: Service, folder: Path) -> None:
        self.service, self.ros, self.folder = service, service.ros, folder
        self.seen = service.ros.diagnostics("logger: logging")
        self.process = self.start()

    def start(self) -> NodeProcess:
        """Another logger for the same folder."""
        given = {"contract": str(self.service.contract_file), "log_dir": str(self.folder), "autostart": True}
        self.process = self.ros.start("mbrl_controller.nodes.logger", given)
        return self.process

    def open_files(self) -> set[Path]:
        """Of episodes that are being written, or were when their logger was killed."""
        return set(self.folder.rglob("*.mcap.part"))

    def new_file(self, before: set[Path]) -> None:
        """Wait for one besides those of `before`: discovery takes long where many processes were killed."""
        try:
            self.ros.wait(lambda: self.open_files() - before, "a new file", timeout=90.0)
        except AssertionError as error:
            raise AssertionError(f"{self.seen[-1:]}\n{error}") from None

    def says(self, level: bytes, word: str) -> str:
        """The message of the next report of this level that contains `word`."""
        self.seen.clear()
        return self.ros.wait(
            lambda: next((m for found, m, _ in self.seen if found == level and word in m), None), f"diagnostics: {word}"
        )

    def next_episode(self) -> None:
        """The controller ends this one and begins the next."""
        assert self.ros.call("controller/reset", Trigger).success

    def logs_again(self) -> None:
        """Wait until the next episode is in a file."""
        before = self.open_files()
        self.next_episode()
        self.new_file(before)
        self.says(b"\0", "logging")

    def stop(self) -> list[Path]:
        """End the logger as a person does; its files, all of them whole."""
        assert self.process.stop(signal.SIGINT) == 0, self.process.output
        recover_folder(self.folder)  # what had no room when its logger stopped
        files = sorted(self.folder.rglob("*.mcap"))
        assert sorted(p for p in self.folder.rglob("*") if p.is_file() and ".mcap" in p.name) == files
        assert all(read_episode(path, self.service.contract).complete for path in files)
        return files


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A log folder; a file system of its own (ROOM bytes) where this test may mount one."""
    folder = tmp_path / "log"
    folder.mkdir()
    options = f"size={ROOM}"
    mounted = not subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True
    ).returncode
    yield folder
    if mounted:
        subprocess.run(["umount", "-l", folder], check=True)


@contextlib.contextmanager
def full(log: Log) -> Iterator[None]:
    """The folder's file system has no room; where it is not one of its own, the logger's files may not grow."""
    if os.path.ismount(log.folder):
        filler = log.folder / "filler"
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"\0" * 512)
        yield
        filler.unlink()
    else:
        pid = log.process.popen.pid
        before = resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
        yield
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


@contextlib.contextmanager
def gone(log: Log) -> Iterator[None]:
    """It is removed, with the file that is being written."""
    for path in log.folder.iterdir():
        shutil.rmtree(path)
    yield


@contextlib.contextmanager
def read_only(log: Log) -> Iterator[None]:
    """Nothing can be written from the next episode on."""
    if os.path.ismount(log.folder):
        # A file that is open for writing would keep it from becoming read-only.
        assert log.ros.change("controller", "deactivate")
        log.ros.wait(lambda: not log.open_files(), "the end of the file")
        subprocess.run(["mount", "-o", "remount,ro", log.folder], check=True)
        assert log.ros.change("controller", "activate")
        yield
        subprocess.run(["mount", "-o", f"remount,rw,size={ROOM}", log.folder], check=True)
    elif os.geteuid():
        (place,) = {path.parent for path in log.open_files()}
        place.chmod(0o555)
        yield
        place.chmod(0o755)
    else:
        pytest.skip("root may write everywhere, and cannot mount here")


FAULTS = {"full": full, "gone": gone, "read-only": read_only}


@pytest.mark.parametrize("fault", FAULTS)
def test_control_goes_on_without_its_log(
    service: Service, folder: Path, fault_row: Callable[..., None], fault: str
) -> None:
    log = Log(service, folder)
    log.says(b"\0", "logging")
    service.spin(0.5)
    began = time.time()
    with FAULTS[fault](log):
        if fault == "read-only":
            log.ros.wait(lambda: service.ticks[-1].data[0] > began, "ticks")
            if not os.path.ismount(folder):
                log.next_episode()
        watch = service.watch()
        said = log.says(b"\2", "not logging: ")
        columns = watch.ends(20)
    assert "mcap" in said  # where
    log.logs_again()
    service.spin(0.5)
    files = log.stop()
    newest = [read_episode(path).sources["joint_states"].stamps[-1] / 1e9 - began for path in files]
    assert newest[-1] > 1.0  # s; logged when it could be again
    lost = {
        "full": f"the episode's rest, from {newest[0]:+.1f} s on",
        "gone": "what was removed, and the episode's rest",
        "read-only": "episodes that begin meanwhile",
    }
    assert len(files) == (1 if fault == "gone" else 2)
    fault_row(
        fault=f"log folder {fault}",
        diagnostics=re.sub(r"/\S*/", "", said),
        lost=f"{lost[fault]}; {len(files)} of {len(files)} files can be read",
        **columns,
    )


def test_a_killed_logger_loses_little_and_leaves_files_that_can_be_read(
    service: Service, tmp_path: Path, fault_row: Callable[..., None], request: pytest.FixtureRequest
) -> None:
    """At random moments: of its start, of the recovery of the file before, and of its logging."""
    kills, rng = request.config.getoption("--logger-kills"), random.Random(0)
    killed: dict[Path, tuple[float, float]] = {}  # by the file that was open: when it was killed, and had last written
    watch = service.watch()
    log = Log(service, tmp_path / "log")
    early = 0
    for kill in range(kills):
        before = log.open_files()
        if kill:
            log.start()
        if kill % 5 != 4:
            log.new_file(before)
        service.spin(1.5 * rng.random())
        now = time.time()
        log.process.popen.kill()
        log.process.popen.wait()
        log.ros.processes.remove(log.process)
        fresh = log.open_files() - before
        early += not fresh
        killed |= {path: (now, path.stat().st_mtime) for path in fresh}
        print(f"kill {kill + 1} of {kills}: {', '.join(path.name for path in fresh) or 'no file yet'}", flush=True)
    columns = watch.ends()
    before = log.open_files()
    log.start()
    log.new_file(before)
    said = log.says(b"\0", "logging")
    files = log.stop()
    assert not list(log.folder.rglob("*.unreadable"))
    losses = []
    for part, (moment, written) in killed.items():
        episode = read_episode(part.with_suffix(""), service.contract)
        stamps = [*episode.sources["joint_states"].stamps[-1:], *episode.commands.stamps[-1:]]
        losses.append(moment - max(stamps, default=1e9 * written) / 1e9)  # nothing in it: it was just being opened
        print(f"{part.name}: {losses[-1]:.3f} s lost of {len(episode.sources['joint_states'])} states and more")
    worst = max(losses)
    assert worst <= ALLOWED_LOSS_S
    fault_row(
        fault=f"logger killed {kills} times, {early} of them before it had a file",
        diagnostics=f"{said}, after {len(losses)} files were recovered",
        lost=f"median {statistics.median(losses):.2f} s, worst {worst:.2f} s; {len(files)} of {len(files)} "
        "files can be read",
        **columns,
    )
