# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A cluster that `ray start` made: commands that join it or are its clients, and what becomes of them when it dies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("ray")

from mbrl_controller.control.task_config import contract_for
from mbrl_controller.training.dataset import episode_files, load_dataset

from ..ray_head import PATIENCE_S, RayHead, wait_until

EPISODES = 60
COLLECT = ("collect", "valve", "--policy", "random", "--episodes", str(EPISODES), "--session", "s")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def started() -> Iterator[RayHead]:
    made = RayHead()
    yield made
    made.remove()


@pytest.fixture
def head(started: RayHead) -> Iterator[RayHead]:
    """A head that has just begun."""
    started.start()
    yield started
    started.kill()


def collected(home: Path) -> list[Path]:
    return sorted((home / "episodes").rglob("*.mcap"))


def content(home: Path) -> str:
    """Digest of all transitions and of the names of their episodes."""
    found = load_dataset(episode_files([home / "episodes"]), contract_for("valve"))
    assert len(found.files) == EPISODES
    return found.data.digest()


@pytest.mark.parametrize("client", [False, True], ids=["node", "client"])
def test_the_head_dies_in_the_middle_and_the_same_command_goes_on(head: RayHead, client: bool, tmp_path: Path) -> None:
    on = f"ray://127.0.0.1:{head.client_port}" if client else "ray"
    process = head.begin(tmp_path / "ray", *COLLECT, "--on", on)
    wait_until(lambda: len(collected(tmp_path / "ray")) >= 3 or process.poll() is not None, "episodes")
    head.kill()
    printed, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 2, printed
    assert "the Ray cluster of" in printed
    assert "--session" in printed
    assert "Traceback" not in printed
    kept = {path: path.read_bytes() for path in collected(tmp_path / "ray")}
    assert 3 <= len(kept) < EPISODES

    head.start()
    head.run(tmp_path / "ray", *COLLECT, "--on", on)
    head.run(tmp_path / "here", *COLLECT, "--processes", "1")
    assert all(path.read_bytes() == before for path, before in kept.items())
    assert content(tmp_path / "ray") == content(tmp_path / "here")
