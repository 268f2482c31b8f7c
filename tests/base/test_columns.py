# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Long arrays in mapped files have the values that they would have in memory."""

from __future__ import annotations

import errno
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mbrl_controller.base import columns
from mbrl_controller.base.cache_folder import cache_dir, cache_limit, scratch_dir
from mbrl_controller.base.columns import Column, ColumnBuilder, taken
from mbrl_controller.base.errors import MbrlError


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """What counts as long is short, and lies below the folder."""
    monkeypatch.setenv("MBRL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(columns, "MEMORY_BYTES", 200)
    monkeypatch.setattr(columns, "CHUNK_ROWS", 7)
    return tmp_path


def joined(parts: list[Column]) -> Column:
    builder = ColumnBuilder()
    for part in parts:
        builder.append(part)
    return builder.build()


def is_mapped(values: Any) -> bool:
    while isinstance(values, np.ndarray) and not isinstance(values, np.memmap):
        values = values.base
    return isinstance(values, np.memmap)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64])
def test_rows_are_the_same_in_memory_and_in_a_file(small: Path, dtype: type) -> None:
    values = np.arange(150).reshape(50, 3).astype(dtype)
    rows = np.random.default_rng(0).integers(0, 50, 40)
    for made, expected in (
        (joined(np.split(values, [10, 10, 30])), values),
        (taken(values, rows), values[rows]),
    ):
        assert is_mapped(made)
        assert made.dtype == expected.dtype
        assert np.array_equal(made, expected)
        made[0] = 0  # as torch asks for
    assert not list(small.rglob("*.*"))  # no file has a name


def test_what_is_short_stays_in_memory_and_nothing_is_an_array(small: Path) -> None:
    assert not is_mapped(taken(np.arange(20), np.arange(5)))
    assert taken(np.ones((4, 3)), np.empty(0, np.int64)).shape == (0, 3)


def test_several_that_are_built_at_once_keep_no_more_in_memory_than_one(small: Path) -> None:
    few = np.arange(15)
    for builders, expected in ((1, False), (2, True)):
        builder = ColumnBuilder(builders)
        builder.append(few)
        made = builder.build()
        assert is_mapped(made) == expected
        assert np.array_equal(made, few)


def test_where_nothing_can_be_written_rows_stay_in_memory(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**options: Any) -> Any:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    assert np.array_equal(taken(np.arange(100), np.arange(100)), np.arange(100))


def test_a_full_disk_is_an_error_that_names_the_folder(small: Path) -> None:
    builder = ColumnBuilder()
    builder.append(np.arange(30))
    assert builder._file is not None
    builder._file.close()
    builder._file = open("/dev/full", "wb")  # noqa: SIM115
    with pytest.raises(MbrlError, match=f"{small / 'cache'}.*No space left"):
        builder.append(np.arange(3_000))


def test_where_the_cache_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MBRL_HOME", str(tmp_path))
    monkeypatch.delenv("MBRL_CACHE")
    assert cache_dir() == tmp_path / "cache"
    monkeypatch.setenv("MBRL_CACHE", str(tmp_path / "else"))
    assert cache_dir() == scratch_dir() == tmp_path / "else"
    monkeypatch.setenv("MBRL_CACHE", "off")
    assert cache_dir() is None
    assert scratch_dir() == Path(tempfile.gettempdir())
    (tmp_path / "file").touch()
    monkeypatch.setenv("MBRL_CACHE", str(tmp_path / "file" / "cache"))
    assert scratch_dir() == Path(tempfile.gettempdir())
    monkeypatch.setenv("MBRL_CACHE_GIB", ".5")
    assert cache_limit() == 2**29
    for wrong in ("much", "-1", "nan", "inf"):
        monkeypatch.setenv("MBRL_CACHE_GIB", wrong)
        with pytest.raises(MbrlError, match="MBRL_CACHE_GIB"):
            cache_limit()
