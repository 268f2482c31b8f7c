# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""An episode is decoded once; what is read from the cache is what the file would give."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mbrl_controller.base import columns
from mbrl_controller.base.file_digests import DIGESTS, FileDigest, FileDigests
from mbrl_controller.control.task_config import contract_for
from mbrl_controller.episodes.metadata import EpisodeInfo
from mbrl_controller.episodes.trajectory_writer import write_trajectory
from mbrl_controller.training import column_cache, dataset
from mbrl_controller.training.column_cache import clear, measure, prune
from mbrl_controller.training.dataset import Dataset, load_dataset

CLAW = contract_for("valve")
LONG_AGO = 1_600_000_000


def episode(path: Path, number: int, steps: int = 40) -> Path:
    """Random states, in a file that was written long ago."""
    rng = np.random.default_rng(number)
    states = rng.uniform(-0.3, 0.3, (steps + 1, len(CLAW.task.state)))
    commands = rng.uniform(-0.3, 0.3, (steps, len(CLAW.action)))
    return write_trajectory(path, CLAW, EpisodeInfo("s", number, world="claw"), states, commands)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return [episode(tmp_path / f"{n}.mcap", n) for n in range(3)] + [episode(tmp_path / "long.mcap", 3, 900)]


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """Names of the files decoded since it was last asked."""
    names: list[str] = []
    real = dataset.read_episode

    def noted(path: Path, *positional: object, **named: object) -> object:
        names.append(path.name)
        return real(path, *positional, **named)

    def ask() -> list[str]:
        found = names.copy()
        names.clear()
        return found

    monkeypatch.setattr(dataset, "read_episode", noted)
    return ask


def alike(one: Dataset, other: Dataset) -> bool:
    same = ("files", "unused_files", "skipped", "origins")
    return one.data.digest() == other.data.digest() and all(getattr(one, n) == getattr(other, n) for n in same)


def test_only_new_files_are_decoded_and_the_result_is_the_same(
    files: list[Path], tmp_path: Path, decoded: Callable[[], list[str]]
) -> None:
    cache = tmp_path / "cache"
    expected = load_dataset(files, CLAW)
    decoded()
    assert alike(load_dataset(files[:2], CLAW, cache=cache), load_dataset(files[:2], CLAW))
    decoded()
    assert alike(load_dataset(files, CLAW, cache=cache), expected)
    assert decoded() == ["2.mcap", "long.mcap"]
    read: list[Path] = []
    assert alike(load_dataset(files, CLAW, read.append, cache=cache), expected)
    assert decoded() == []
    assert read == files
    assert measure(cache).entries == 4
    assert measure(cache).size > 4 * 40 * 8 * 9
    moved = files[0].rename(tmp_path / "elsewhere.mcap")
    load_dataset([moved, files[1]], CLAW, cache=cache)
    assert decoded() == []


def test_several_processes_fill_it_with_the_same(
    files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, decoded: Callable[[], list[str]]
) -> None:
    monkeypatch.setattr(dataset, "MANY", 2)
    cache = tmp_path / "cache"
    expected = load_dataset(files, CLAW)
    decoded()
    assert alike(load_dataset(files, CLAW, processes=2, cache=cache), expected)
    assert alike(load_dataset(files, CLAW, processes=2, cache=cache), expected)
    assert decoded() == []


@pytest.mark.parametrize("keep", [0, 100, -1], ids=["empty", "cut", "a bit"])
def test_a_damaged_entry_is_made_again(
    files: list[Path], tmp_path: Path, decoded: Callable[[], list[str]], keep: int
) -> None:
    cache = tmp_path / "cache"
    expected = load_dataset(files, CLAW, cache=cache)
    for entry in (cache / column_cache.COLUMNS).rglob("*.npy"):
        content = bytearray(entry.read_bytes())
        content[-50] ^= 1
        entry.write_bytes(content if keep == -1 else content[:keep])
    decoded()
    assert alike(load_dataset(files, CLAW, cache=cache), expected)
    assert len(decoded()) == len(files)
    assert alike(load_dataset(files, CLAW, cache=cache), expected)
    assert decoded() == []


def test_another_file_another_contract_and_other_code_are_decoded_anew(
    files: list[Path], tmp_path: Path, decoded: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    load_dataset(files, CLAW, cache=cache)
    decoded()
    files[0].unlink()
    episode(files[0], 9)
    assert alike(load_dataset(files, CLAW, cache=cache), load_dataset(files, CLAW))
    assert decoded() == ["0.mcap", *(path.name for path in files)]
    load_dataset(files, CLAW, cache=cache, mix=("robots",))
    assert len(decoded()) == len(files)
    monkeypatch.setattr(column_cache, "_code_digest", lambda module: "edited")
    load_dataset(files, CLAW, cache=cache)
    assert len(decoded()) == len(files)


def test_an_unusable_file_is_named_each_time(files: list[Path], tmp_path: Path) -> None:
    bad = tmp_path / "bad.mcap"
    bad.write_bytes(b"no episode")
    for _ in range(2):
        found = load_dataset([bad, *files], CLAW, cache=tmp_path / "cache")
        assert list(found.unused_files) == [str(bad)]


def test_a_cache_that_cannot_be_written_changes_nothing(files: list[Path], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert alike(load_dataset(files, CLAW, cache=tmp_path / "file" / "cache"), load_dataset(files, CLAW))


def test_a_file_is_hashed_once_unless_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, digests = tmp_path / "a", FileDigests(tmp_path / "cache")
    path.write_bytes(b"one")
    assert digests.known([path]) == {}
    assert FileDigest.of(path).stamp == ""  # it may change again within the clock's resolution
    soon = time.time_ns() + 10_000_000_000
    monkeypatch.setattr(time, "time_ns", lambda: soon)
    found = FileDigest.of(path)
    digests.record({path: found})
    assert digests.known([path, tmp_path / "none"]) == {path: found.sha256}
    path.write_bytes(b"two")
    os.utime(path, (LONG_AGO, LONG_AGO))  # an editor may set it back; the inode's own time it cannot
    assert digests.known([path]) == {}


def test_damaged_records_of_digests_are_begun_anew(tmp_path: Path) -> None:
    path, digests = tmp_path / "a", FileDigests(tmp_path)
    path.write_bytes(b"one")
    (tmp_path / DIGESTS).write_bytes(b"no database" * 100)
    assert digests.known([path]) == {}
    digests.record({path: FileDigest("00", "stamp")})
    assert digests.known([path]) == {}  # another stamp; but it can be read
    assert (tmp_path / DIGESTS).read_bytes().startswith(b"SQLite")


def test_what_is_not_used_for_longest_goes_first(files: list[Path], tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    load_dataset(files[:3], CLAW, cache=cache)
    for entry in (cache / column_cache.COLUMNS).rglob("*.npy"):
        os.utime(entry, (LONG_AGO, LONG_AGO))
    load_dataset(files[:1], CLAW, cache=cache)
    one = measure(cache).size // 3
    assert prune(cache, int(1.5 * one)) == 2
    assert [entry.stat().st_mtime > LONG_AGO for entry in (cache / column_cache.COLUMNS).rglob("*.npy")] == [True]
    assert clear(cache).entries == 1
    assert measure(cache).entries == 0
    assert clear(tmp_path / "none").entries == 0


def test_a_model_learns_the_same_from_the_cache_and_from_mapped_files(
    files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = pytest.importorskip("torch")
    from mbrl_controller.dynamics.train_config import TrainConfig
    from mbrl_controller.dynamics.trainer import EnsembleTrainer
    from mbrl_controller.models.spec import ModelSpec

    options = {"hidden": (16,), "ensemble_size": 2, "max_epochs": 2, "horizon": 3, "horizon_epochs": 1, "batch": 128}
    config = TrainConfig(**options, device="cpu")
    spec = ModelSpec.of(CLAW.task, CLAW.file.robot, CLAW.action, config.ensemble_size, config.hidden)

    def weights(cache: Path | None) -> dict[str, torch.Tensor]:
        sides = load_dataset(files, CLAW, cache=cache).data.split_by_episode(0.3)
        return EnsembleTrainer(spec, config, tuple(CLAW.task.symmetries), threads=1).fit(*sides).model.state_dict()

    without = weights(None)
    first = weights(tmp_path / "cache")
    monkeypatch.setattr(columns, "MEMORY_BYTES", 1000)
    mapped = weights(tmp_path / "cache")
    for other in (first, mapped):
        assert all(torch.equal(without[name], other[name]) for name in without)
