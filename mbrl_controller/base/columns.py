# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Arrays [T, ...] of which memory holds only what is looked at: long ones are in mapped files without a name.

Their pages come when they are touched, and the system may drop them for others, so the data may be larger than memory.
What is short stays an ordinary array. Values do not depend on where they are.
"""

from __future__ import annotations

import tempfile
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from mbrl_controller.base.cache_folder import scratch_dir
from mbrl_controller.base.errors import MbrlError

Column = NDArray[Any]

MEMORY_BYTES = 64 * 2**20  # from this size an array is mapped
CHUNK_ROWS = 2**18  # worked on at once


class ColumnBuilder:
    """Takes rows of one array, in order; the parts must agree in type and in all but their length."""

    def __init__(self, builders: int = 1) -> None:
        """`builders`: how many take rows at the same time; what they keep in memory is at most that of one."""
        self._memory = MEMORY_BYTES // builders
        self._waiting: list[Column] = []
        self._bytes = self._rows = 0
        self._file: BinaryIO | None = None
        self._in_memory = False

    def append(self, rows: Column) -> None:
        """Add rows [t, ...], which must not be changed afterwards. Raises MbrlError where the disk is full."""
        self._waiting.append(rows)
        self._rows += len(rows)
        self._bytes += rows.nbytes
        if self._bytes >= self._memory and not self._in_memory:
            self._spill()

    def build(self) -> Column:
        """All rows [T, ...], writable without a change to any file. Of at least one part."""
        if self._file is None:
            return self._waiting[0] if len(self._waiting) == 1 else np.concatenate(self._waiting)
        shape, dtype = (self._rows, *self._waiting[-1].shape[1:]), self._waiting[-1].dtype
        self._spill()
        with self._file:
            return np.memmap(self._file, dtype, mode="c", shape=shape).view(np.ndarray)

    def _spill(self) -> None:
        """Move what waits to the file, but for an empty rest that knows type and shape."""
        if self._file is None:
            try:
                self._file = tempfile.TemporaryFile(dir=scratch_dir())  # noqa: SIM115 (open until it is mapped)
            except OSError:
                self._in_memory = True  # a machine on which nothing can be written
                return
        try:
            for rows in self._waiting:
                self._file.write(np.ascontiguousarray(rows).data)
            self._file.flush()
        except OSError as error:
            self._file.close()
            raise MbrlError(
                f"{scratch_dir()}: cannot hold data of this size: {error.strerror}; MBRL_CACHE names another folder"
            ) from error
        self._waiting, self._bytes = [self._waiting[-1][:0]], 0


def frozen(column: Column) -> Column:
    """The same array, of which nobody may change a value from now on."""
    column.setflags(write=False)
    return column


def taken(values: Column, rows: NDArray[np.int64]) -> Column:
    """`values[rows]`."""
    builder = ColumnBuilder()
    for part in chunks(len(rows)):
        builder.append(values[rows[part]])
    return builder.build()


def chunks(length: int) -> list[slice]:
    """Slices of at most CHUNK_ROWS rows that cover `length`; at least one, which may be empty."""
    return [slice(at, min(at + CHUNK_ROWS, length)) for at in range(0, max(length, 1), CHUNK_ROWS)]
