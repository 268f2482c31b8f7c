# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Versions from who trains to hands: published once, checked, and current last."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mbrl_controller.control.task_config import contract_for
from mbrl_controller.models.card import MODEL_FILE, ModelCard, Version
from mbrl_controller.models.registry import Registry, file_sha256
from mbrl_controller.models.spec import ModelSpec
from mbrl_controller.sharing.passes import Exchanged, ShareSettings, exchange
from mbrl_controller.sharing.store import Store

from ..linear_model import linear_model_bytes

CLAW = contract_for("valve")


def add(home: Path, created: str, promote: bool = True) -> Version:
    """A small version in a machine's registry."""
    registry, files = Registry(home / "models"), home / f"new-{created}"
    files.mkdir(parents=True)
    spec = ModelSpec.of(CLAW.task, CLAW.file.robot, CLAW.action, 2, (1,))
    spec = spec.model_copy(update={"version": registry.next_name("valve"), "created": created})
    mix = np.zeros((2, len(CLAW.action), len(CLAW.task.state)), np.float32)
    (files / MODEL_FILE).write_bytes(linear_model_bytes(mix, spec.to_metadata()))
    (files / "report.md").write_text("fine\n")
    version = registry.add("valve", files, ModelCard(spec=spec, model_sha256=file_sha256(files / MODEL_FILE)))
    if promote:
        registry.promote("valve", version.name)
    return version


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Exchanged]:
    """A pass of one of several machines, each with a home of its own."""

    def run(name: str, role: Any, url: str) -> Exchanged:
        monkeypatch.setenv("MBRL_HOME", str(tmp_path / name))
        return exchange(ShareSettings(role, url, ("valve",)))

    return run


@pytest.fixture
def folder(tmp_path: Path) -> str:
    (tmp_path / "storage").mkdir()
    return f"file://{tmp_path / 'storage'}"


def test_hands_get_versions_and_see_current_move(url: str, tmp_path: Path, machine: Callable[..., Exchanged]) -> None:
    first = add(tmp_path / "trainer", "a")
    assert machine("trainer", "trainer", url).versions == 1
    assert machine("hand", "hand", url).current == {"valve": "v0001"}
    hand = Registry(tmp_path / "hand" / "models")
    found = hand.current("valve")
    assert found.check_digest() == first.check_digest()
    assert (found.folder / "report.md").read_text() == "fine\n"
    add(tmp_path / "trainer", "b", promote=False)
    add(tmp_path / "trainer", "c")
    assert machine("trainer", "trainer", url).versions == 2
    assert machine("hand", "hand", url).current == {"valve": "v0003"}
    hand.roll_back("valve")
    assert machine("hand", "hand", url).current == {}
    assert hand.current("valve").name == "v0001"  # a person's choice holds until the storage's moves
    Registry(tmp_path / "trainer" / "models").promote("valve", "v0002")
    machine("trainer", "trainer", url)
    assert machine("hand", "hand", url).current == {"valve": "v0002"}


def test_of_two_trainers_with_one_name_the_second_is_refused(
    url: str, tmp_path: Path, machine: Callable[..., Exchanged]
) -> None:
    first = add(tmp_path / "one", "a")
    add(tmp_path / "two", "b")
    machine("one", "trainer", url)
    refused = machine("two", "trainer", url)
    assert refused.versions == 0
    assert "another trainer published a v0001" in refused.faults[0]
    machine("hand", "hand", url)
    assert Registry(tmp_path / "hand" / "models").current("valve").card().spec.created == first.card().spec.created
    assert not Store(url).create("models/valve/versions/v0001", b"mine")


@pytest.mark.parametrize("change", [{"name": "../../x"}, {"name": "/etc/x"}, {"name": ".."}, {"sha256": "../x"}])
def test_names_from_the_storage_are_never_paths(
    folder: str, tmp_path: Path, machine: Callable[..., Exchanged], change: dict[str, str]
) -> None:
    add(tmp_path / "trainer", "a")
    machine("trainer", "trainer", folder)
    store, key = Store(folder), "models/valve/versions/v0001"
    note = json.loads(store.read(key, 10_000))
    note["files"][0] |= change
    store.replace(key, json.dumps(note).encode())
    done = machine("hand", "hand", folder)
    assert done.versions == 0
    assert key in done.faults[0]
    assert not Registry(tmp_path / "hand" / "models").versions("valve")


def test_a_damaged_version_is_not_added_and_not_made_current(
    folder: str, tmp_path: Path, machine: Callable[..., Exchanged]
) -> None:
    add(tmp_path / "trainer", "a")
    machine("trainer", "trainer", folder)
    store = Store(folder)
    kept = {key: store.read(key, 10**6) for key in store.keys("models/valve/files")}
    for key, content in kept.items():
        store.replace(key, bytes(len(content)))
    done = machine("hand", "hand", folder)
    assert (done.versions, done.current) == (0, {})
    assert "damaged" in done.faults[0]
    for key, content in kept.items():
        store.replace(key, content)
    assert machine("hand", "hand", folder).current == {"valve": "v0001"}


def test_a_version_of_another_task_is_refused(folder: str, tmp_path: Path, machine: Callable[..., Exchanged]) -> None:
    add(tmp_path / "trainer", "a")
    machine("trainer", "trainer", folder)
    (tmp_path / "storage" / "models" / "valve").rename(tmp_path / "storage" / "models" / "cube")
    settings = ShareSettings("hand", folder, ("cube",), models_dir=tmp_path / "hand" / "models")
    done = exchange(settings)
    assert "its card is of valve" in done.faults[0]
    assert done.versions == 0
