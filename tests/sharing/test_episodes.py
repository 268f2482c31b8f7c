# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Episodes from hands to who trains: whole, in order, whatever fails in between."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.control.task_config import contract_for
from mbrl_controller.episodes.metadata import EpisodeInfo
from mbrl_controller.episodes.trajectory_writer import write_trajectory
from mbrl_controller.sharing.passes import Exchanged, ShareSettings, exchange, watch
from mbrl_controller.sharing.store import ShareError, Store

from .conftest import S3Server, free_port, make_bucket
from .s3_gateway import Fault, S3Gateway

CLAW = contract_for("valve")


def record(home: Path, session: str, number: int, seed: int = 0) -> Path:
    """A short episode, number s after the first."""
    rng = np.random.default_rng([seed, number])
    states = rng.uniform(-0.3, 0.3, (4, len(CLAW.task.state)))
    info = EpisodeInfo(session, number, started=f"2026-01-01T00:00:{number:02d}.000+00:00")
    path = home / "episodes" / "valve" / session / f"episode_{number:04d}.mcap"
    write_trajectory(path, CLAW, info, states, rng.uniform(-0.3, 0.3, (3, len(CLAW.action))))
    os.utime(path, (number, number))
    return path


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Exchanged]:
    """A pass of one of several machines, each with a home of its own."""

    def run(name: str, role: Any, url: str, **options: Any) -> Exchanged:
        monkeypatch.setenv("MBRL_HOME", str(tmp_path / name))
        return exchange(ShareSettings(role, url, ("valve",), **options))

    return run


def logs(home: Path) -> dict[str, bytes]:
    folder = home / "episodes" / "valve"
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_episodes_of_two_hands_arrive_whole_and_once(
    url: str, tmp_path: Path, machine: Callable[..., Exchanged]
) -> None:
    for number in range(3):
        record(tmp_path / "left", "s-left", number)
    record(tmp_path / "right", "s-right", 0, seed=1)
    (tmp_path / "left/episodes/valve/s-left/episode_0009.mcap.part").write_bytes(b"still being written")
    assert machine("left", "hand", url).episodes == 3
    assert machine("right", "hand", url).episodes == 1
    assert machine("left", "hand", url).episodes == 0
    shutil.rmtree(tmp_path / "left" / "share")  # what was sent is forgotten: it is compared once more
    machine("left", "hand", url)
    assert machine("trainer", "trainer", url).episodes == 4
    both = logs(tmp_path / "left") | logs(tmp_path / "right")
    both.pop("s-left/episode_0009.mcap.part")
    assert logs(tmp_path / "trainer") == both
    assert machine("trainer", "trainer", url).episodes == 0
    notes = [json.loads(Store(url).read(key, 10_000)) for key in Store(url).keys("episodes/valve/index")]
    assert [note["started"][-9:-6] for note in notes] == ["000"] * 4
    assert [note["name"] for note in notes if note["session"] == "s-left"] == sorted(
        note["name"] for note in notes if note["session"] == "s-left"
    )


TORN = """
import os, signal, sys
from fsspec.implementations.local import LocalFileSystem
from mbrl_controller.sharing.passes import ShareSettings, exchange
count = 0
def torn(self, source, target, **options):
    global count
    count += 1
    os.makedirs(os.path.dirname(target), exist_ok=True)
    content = open(source, "rb").read()
    open(target, "wb").write(content if count == 1 else content[:100])
    if count == 2:
        os.kill(os.getpid(), signal.SIGKILL)
LocalFileSystem.put_file = torn
exchange(ShareSettings("hand", sys.argv[1], ("valve",)))
"""


def test_an_upload_that_a_kill_cut_is_seen_by_nobody_and_made_again(
    tmp_path: Path, machine: Callable[..., Exchanged]
) -> None:
    (tmp_path / "storage").mkdir()
    url = f"file://{tmp_path / 'storage'}"
    for number in range(3):
        record(tmp_path / "hand", "s", number)
    environment = {**os.environ, "MBRL_HOME": str(tmp_path / "hand")}
    done = subprocess.run([sys.executable, "-c", TORN, url], env=environment)
    assert done.returncode == -signal.SIGKILL
    assert machine("trainer", "trainer", url).episodes == 1
    assert machine("hand", "hand", url).episodes == 2
    assert machine("trainer", "trainer", url).episodes == 2
    assert logs(tmp_path / "trainer") == logs(tmp_path / "hand")


def test_a_full_disk_keeps_what_was_not_sent(
    tmp_path: Path, machine: Callable[..., Exchanged], monkeypatch: pytest.MonkeyPatch
) -> None:
    from fsspec.implementations.local import LocalFileSystem

    (tmp_path / "storage").mkdir()
    url = f"file://{tmp_path / 'storage'}"
    record(tmp_path / "hand", "s", 0)

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(LocalFileSystem, "put_file", full)
        with pytest.raises(ShareError, match=r"storage/episodes/valve/files/.*No space left"):
            machine("hand", "hand", url)
    assert machine("hand", "hand", url).episodes == 1


def test_while_the_server_is_away_episodes_wait_and_then_go_in_order(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    machine: Callable[..., Exchanged],
    use_s3: Callable[..., None],
) -> None:
    pytest.importorskip("s3fs")
    pytest.importorskip("moto")
    pytest.importorskip("flask")
    server = S3Server(free_port())
    use_s3(server.endpoint)
    for number in range(2):
        record(tmp_path / "hand", "s", number)
    monkeypatch.setenv("MBRL_HOME", str(tmp_path / "hand"))
    passes: list[Exchanged] = []
    failures: list[tuple[str, float]] = []

    def should_stop(wait: float) -> bool:
        if len(failures) == 1 and not passes:
            server.start()
            make_bucket("late", server.endpoint)
        return bool(passes)

    settings = ShareSettings("hand", "s3://late/fleet", ("valve",))
    try:
        watch(settings, 1.0, passes.append, lambda why, wait: failures.append((why, wait)), should_stop)
        assert [done.episodes for done in passes] == [2]
        assert "s3://late/fleet/" in failures[0][0]
        assert failures[0][1] == 2.0
        assert machine("trainer", "trainer", "s3://late/fleet").episodes == 2
    finally:
        server.stop()


@pytest.mark.parametrize(("fault", "said"), [("quota", "quota"), ("disk full", "threshold"), ("cut", "")])
def test_what_a_full_bucket_or_a_cut_upload_refuses_waits_and_is_sent_later(
    fault: Fault,
    said: str,
    s3_server: S3Server,
    use_s3: Callable[[str], None],
    tmp_path: Path,
    machine: Callable[..., Exchanged],
) -> None:
    gateway = S3Gateway(s3_server.port)
    try:
        use_s3(gateway.endpoint)
        url = make_bucket(f"bad-day-{time.time_ns()}", gateway.endpoint)
        record(tmp_path / "hand", "s", 0)
        assert machine("hand", "hand", url).episodes == 1
        waiting = record(tmp_path / "hand", "s", 1)
        before = logs(tmp_path / "hand")
        gateway.fault = fault
        with pytest.raises(ShareError, match="episodes/valve/") as failure:
            machine("hand", "hand", url, keep_bytes=0)
        assert said in str(failure.value)
        assert gateway.uploads_refused
        assert logs(tmp_path / "hand")[f"s/{waiting.name}"] == before[f"s/{waiting.name}"]
        assert machine("trainer", "trainer", url).episodes == 1  # nothing half of the second is seen
        gateway.fault = ""
        assert machine("hand", "hand", url).episodes == 1
        assert machine("trainer", "trainer", url).episodes == 1
        assert logs(tmp_path / "trainer") == before
    finally:
        gateway.close()


def test_wrong_credentials_and_no_bucket_are_said_with_the_place(
    s3_server: S3Server, tmp_path: Path, machine: Callable[..., Exchanged], use_s3: Callable[..., None]
) -> None:
    import requests

    use_s3(s3_server.endpoint)
    record(tmp_path / "hand", "s", 0)
    with pytest.raises(ShareError, match="s3://nowhere/x/"):
        machine("hand", "hand", "s3://nowhere/x")
    url = make_bucket("guarded", s3_server.endpoint)
    requests.post(f"{s3_server.endpoint}/moto-api/reset-auth", data=b"0", timeout=10)  # from now on keys are checked
    try:
        with pytest.raises(ShareError, match=f"{url}/"):
            machine("hand", "hand", url)
    finally:
        requests.post(f"{s3_server.endpoint}/moto-api/reset-auth", data=b"1e12", timeout=10)
    assert machine("hand", "hand", url).episodes == 1


@pytest.mark.parametrize(
    "change",
    [
        {"session": "../../outside"},
        {"name": "../x.mcap"},
        {"name": "/tmp/x.mcap"},
        {"session": ".."},
        {"name": "x.sh"},
        {"session": "s\n"},
        {"sha256": "../../../etc/passwd"},
    ],
)
def test_names_from_the_storage_are_never_paths(
    tmp_path: Path, machine: Callable[..., Exchanged], change: dict[str, str]
) -> None:
    url, store = _published(tmp_path, machine)
    (key,) = store.keys("episodes/valve/index")
    store.replace(key, json.dumps(json.loads(store.read(key, 10_000)) | change).encode())
    done = machine("trainer", "trainer", url)
    assert done.episodes == 0
    assert key in done.faults[0]
    assert [path for path in tmp_path.rglob("*.mcap") if "hand" not in path.parts] == []


def test_a_damaged_file_does_not_arrive_and_does_not_hold_up_others(
    tmp_path: Path, machine: Callable[..., Exchanged]
) -> None:
    url, store = _published(tmp_path, machine)
    (key,) = store.keys("episodes/valve/files")
    size = store.size(key)
    assert size
    store.replace(key, bytes(size))
    record(tmp_path / "hand", "s", 1)
    machine("hand", "hand", url)
    done = machine("trainer", "trainer", url)
    assert done.episodes == 1
    assert "damaged" in done.faults[0]
    assert list(logs(tmp_path / "trainer")) == ["s/episode_0001.mcap"]


def test_two_hands_with_one_name_are_named(tmp_path: Path, machine: Callable[..., Exchanged]) -> None:
    url, _ = _published(tmp_path, machine)
    record(tmp_path / "other", "s", 0, seed=5)
    machine("other", "hand", url)
    done = machine("trainer", "trainer", url)
    assert done.episodes == 1
    assert "another recording" in done.faults[0]


def test_only_what_was_sent_is_removed(tmp_path: Path, machine: Callable[..., Exchanged]) -> None:
    url, _ = _published(tmp_path, machine)
    second = record(tmp_path / "hand", "s", 1)
    second.write_bytes(b"unreadable")
    done = machine("hand", "hand", url, keep_bytes=0)
    assert [fault.partition(":")[0] for fault in done.faults] == [str(second), str(second.parents[1])]
    assert list(logs(tmp_path / "hand")) == ["s/episode_0001.mcap"]
    assert machine("trainer", "trainer", url).episodes == 1


def test_a_url_without_sense_is_refused(machine: Callable[..., Exchanged], tmp_path: Path) -> None:
    for url, why in (
        ("nonsense://x", "nonsense"),
        ("s3://me:secret@bucket", "password"),
        (f"file://{tmp_path}/none", "none"),
    ):
        with pytest.raises(MbrlError, match=why):
            machine("hand", "hand", url)
    with pytest.raises(MbrlError, match="unknown task"):
        exchange(ShareSettings("hand", f"file://{tmp_path}", ("../x",)))


def _published(tmp_path: Path, machine: Callable[..., Exchanged]) -> tuple[str, Store]:
    """Storage with one episode."""
    (tmp_path / "storage").mkdir()
    url = f"file://{tmp_path / 'storage'}"
    record(tmp_path / "hand", "s", 0)
    machine("hand", "hand", url)
    return url, Store(url)
