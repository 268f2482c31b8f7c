# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Writes an episode to an MCAP file that `ros2 bag`, Foxglove and this package read.

During writing the file is called `<name>.part`, from the moment its metadata is written; `close` renames it. Records
are written in small chunks: a power-off or `kill -9` costs only what came since the last flush, and `recovery` repairs
the file.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from mcap.writer import CompressionType, Writer

from mbrl_controller.base.errors import EpisodeError
from mbrl_controller.base.resources import write_hint
from mbrl_controller.contract import ros_types
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.episodes import ros_messages
from mbrl_controller.episodes.mcap_scan import OFFERED_QOS_KEY
from mbrl_controller.episodes.metadata import CLOSED_RECORD, LOCKSTEP, RECORD, EpisodeInfo
from mbrl_controller.episodes.named_signals import signal_messages
from mbrl_controller.episodes.offered_qos import RECORD as RECORDED
from mbrl_controller.episodes.offered_qos import qos_by_topic

PART = ".part"
BEGUN = ".begun"  # suffix of the hidden file before its metadata is written
CHUNK_BYTES = 256 * 1024


class EpisodeWriter:
    """One episode file. Not thread-safe. Not for a thread with a deadline: writes may block on the disk.

    Every method that writes raises EpisodeError if the file cannot be written; earlier records stay recoverable.
    """

    def __init__(
        self,
        path: str | Path,
        contract: RobotContract,
        info: EpisodeInfo,
        flush_s: float = 0.2,
        fsync: bool = True,
        offered: Callable[[str], str] = lambda topic: "",
    ) -> None:
        """Create the file and write its metadata.

        Args:
            path: Final name of the file.
            contract: Robot contract, stored in the metadata.
            info: Identity of the episode.
            flush_s: Longest time that records are held back, s.
            fsync: On `close`, wait until the file is on disk.
            offered: Returns the quality of service that a topic's publishers offer, as rosbag2 writes it; called at
                the topic's first message. If empty, the file notes what this package's nodes offer.
        """
        self.path = Path(path)
        self.info = info.of_contract(contract)
        self._offered = offered
        self._usual = qos_by_topic(contract, self.info.topics, lockstep=self.info.source == LOCKSTEP)
        self.messages = 0
        self._flush_s = flush_s
        self._channels: dict[tuple[str, str], int] = {}
        self._schemas: dict[str, int] = {}
        self._file = McapFile(self.path, fsync)
        try:
            with self._file.guard():
                self._file.writer.start("ros2", "mbrl_controller")
                self._file.writer.add_metadata(RECORD, self.info.to_metadata(contract))
                self._file.show()
        except EpisodeError:
            self.discard()  # it holds no messages yet
            raise
        self._flushed = time.monotonic()

    def write(self, topic: str, message: Any, log_time_ns: int, publish_time_ns: int | None = None) -> None:
        """Append a message made by `episodes.ros_messages`."""
        self.write_raw(topic, message.__msgtype__, ros_messages.encode(message), log_time_ns, publish_time_ns)

    def write_raw(
        self, topic: str, type_name: str, data: bytes, log_time_ns: int, publish_time_ns: int | None = None
    ) -> None:
        """Append CDR bytes unchanged; `log_time_ns` is when they were received."""
        channel = self._channels.get((topic, type_name))
        with self._file.guard():
            if channel is None:
                channel = self._register(topic, type_name)
            published = log_time_ns if publish_time_ns is None else publish_time_ns
            self._file.writer.add_message(channel, max(log_time_ns, 0), data, max(published, 0), self.messages)
            self.messages += 1
            if time.monotonic() - self._flushed >= self._flush_s:
                self.flush()

    def write_signals(self, row_topic: str, data: bytes, log_time_ns: int) -> None:
        """Append a labelled row's entries, each by its name; `data`: the row's CDR bytes."""
        for topic, value in signal_messages(row_topic, data):
            self.write_raw(topic, ros_types.FLOAT64, value, log_time_ns)

    def flush(self) -> None:
        """Hand everything to the operating system: then only a power cut can lose it."""
        with self._file.guard():
            self._file.flush()
        self._flushed = time.monotonic()

    def close(self, reason: str = "end", **notes: str) -> Path:
        """Finish the file, rename it to its final name, and return that."""
        with self._file.guard():
            self._file.writer.add_metadata(CLOSED_RECORD, {"reason": reason, "messages": str(self.messages), **notes})
        return self._file.close()

    def abandon(self) -> None:
        """Close the file unfinished, for `recovery`. Never raises."""
        self._file.abandon()

    def discard(self) -> None:
        """Close and remove the file. Never raises."""
        self._file.discard()

    def __enter__(self) -> EpisodeWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if kind is None:
            self.close()
        else:
            self.abandon()

    def _register(self, topic: str, type_name: str) -> int:
        text, digest = ros_messages.definition(type_name)
        writer = self._file.writer
        if type_name not in self._schemas:
            self._schemas[type_name] = writer.register_schema(type_name, "ros2msg", text.encode())
        qos = self._offered(topic) or self._usual.get(topic, RECORDED).to_yaml()
        channel = writer.register_channel(
            topic, "cdr", self._schemas[type_name], {OFFERED_QOS_KEY: qos, "topic_type_hash": digest}
        )
        self._channels[topic, type_name] = channel
        return channel


class McapFile:
    """An MCAP file, hidden until `show` gives it its `.part` name. It is locked while open, so recovery skips it."""

    def __init__(self, path: Path, fsync: bool = True) -> None:
        self.path = path
        self.part = path.with_name(path.name + PART)
        self._name = path.with_name(f".{path.name}.{os.getpid()}{BEGUN}")  # its current name
        self._fsync = fsync
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists() or self.part.exists():
                raise EpisodeError(f"{path}: already exists; episodes are never overwritten")
            flags = os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC
            self._stream = _Stream(os.open(self._name, flags, 0o644))
        except OSError as error:
            raise EpisodeError(f"{path}: cannot be written: {error.strerror or error}{write_hint(error)}") from error
        with contextlib.suppress(OSError):  # some network file systems have no locks
            fcntl.flock(self._stream.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self.writer = Writer(self._stream, chunk_size=CHUNK_BYTES, compression=CompressionType.ZSTD)  # type: ignore[arg-type]

    def show(self) -> None:
        """Write the metadata and give the file its `.part` name; raises EpisodeError if that name is taken."""
        self.writer.flush()
        try:
            os.link(self._name, self.part)
        except FileExistsError as error:
            raise EpisodeError(f"{self.path}: already exists; episodes are never overwritten") from error
        except OSError:  # a file system without links
            os.rename(self._name, self.part)
        else:
            self._name.unlink()
        self._name = self.part

    def flush(self) -> None:
        """Write the chunk in progress; raises OSError also if the file was removed, which a write does not notice."""
        self.writer.flush()
        if not os.fstat(self._stream.fd).st_nlink:
            raise FileNotFoundError(errno.ENOENT, "the file was removed")

    @contextlib.contextmanager
    def guard(self) -> Any:
        """Turn OSError into EpisodeError."""
        try:
            yield
        except OSError as error:
            raise EpisodeError(f"{self.part}: cannot be written: {error.strerror or error}") from error

    def close(self) -> Path:
        """Write the summary, rename to the final name."""
        with self.guard():
            self.writer.finish()
            if self._fsync:
                os.fsync(self._stream.fd)
            os.rename(self.part, self.path)
        self._stream.close()
        return self.path

    def abandon(self) -> None:
        """Close unfinished."""
        self._stream.close()

    def discard(self) -> None:
        """Close and remove it."""
        self._stream.close()
        with contextlib.suppress(OSError):
            self._name.unlink()


class _Stream:
    """An unbuffered file: after a failed write nothing is left for a later close to retry."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._at = 0

    def write(self, data: bytes) -> int:
        left = memoryview(data)
        while left:
            done = os.write(self.fd, left)  # a nearly full disk accepts only a part
            self._at += done
            left = left[done:]
        return len(data)

    def tell(self) -> int:
        return self._at

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        if self.fd >= 0:
            with contextlib.suppress(OSError):
                os.close(self.fd)
            self.fd = -1
