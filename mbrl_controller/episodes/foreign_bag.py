# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Bags that `ros2 bag record` or others wrote: MCAP and sqlite3, split, compressed, cut by a crash.

MCAP files are read by this package's own scan, which needs no summary at their end; sqlite3 by Python's own library. A
bag without metadata.yaml is read, too: all files of its folder by name.
"""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import zstandard

from mbrl_controller.base.errors import EpisodeError
from mbrl_controller.base.yaml_text import load_yaml
from mbrl_controller.episodes.mcap_scan import McapScan, Message
from mbrl_controller.episodes.metadata import RECORD

METADATA = "metadata.yaml"
STORAGES = (".mcap", ".db3")
ZSTD = ".zstd"  # suffix of a file that is compressed as a whole
LATEST = 2**62  # ns; beyond it, sums of times would not fit
MAX_MESSAGE = 2**28  # bytes of a message, uncompressed


class BagMessage(NamedTuple):
    """CDR bytes as recorded; when they were received, ns."""

    topic: str
    type_name: str
    time: int
    data: bytes


class ForeignBag:
    """A bag: a folder, or one file of it."""

    def __init__(self, path: Path) -> None:
        """Find the files; raises EpisodeError where there is no bag."""
        self.path = path
        self.problems: list[str] = []  # what could not be read; of the last reading
        about = _metadata(path) if path.is_dir() else {}
        self.compressed_messages = str(about.get("compression_mode", "")).upper() == "MESSAGE"
        self._announced = about.get("message_count")
        self.files = _files(path, about)

    def messages(self) -> Iterator[BagMessage]:
        """All messages, in the order of the files; raises EpisodeError for an episode of this package."""
        self.problems = []
        count = 0
        for file in self.files:
            for message in self._of(file):
                count += 1
                if not 0 <= message.time < LATEST:
                    self._note(f"{file}: messages with impossible times")
                    continue
                if self.compressed_messages:
                    try:
                        data = _unpacked(message.data)
                    except (zstandard.ZstdError, ValueError) as error:
                        self._note(f"{file}: a message on {message.topic} is no zstd: {error}")
                        continue
                    message = message._replace(data=data)
                yield message
        if isinstance(self._announced, int) and count < self._announced:
            self._note(f"{self.path}: {METADATA} counts {self._announced} messages, {count} can be read")

    def _of(self, file: Path) -> Iterator[BagMessage]:
        if file.suffix != ZSTD:
            yield from self._plain(file, file)
            return
        with tempfile.TemporaryDirectory() as folder:
            whole = Path(folder) / file.with_suffix("").name
            try:
                with file.open("rb") as packed, whole.open("wb") as out:
                    shutil.copyfileobj(zstandard.ZstdDecompressor().stream_reader(packed), out)
            except (OSError, zstandard.ZstdError) as error:
                self._note(f"{file}: not all of it can be unpacked: {error}")
            yield from self._plain(whole, file)

    def _plain(self, file: Path, named: Path) -> Iterator[BagMessage]:
        try:
            yield from self._mcap(file, named) if file.suffix == ".mcap" else self._sqlite(file, named)
        except EpisodeError as error:
            if isinstance(error, _OwnEpisodeError):
                raise
            self._note(str(error).replace(str(file), str(named)))

    def _mcap(self, file: Path, named: Path) -> Iterator[BagMessage]:
        scan = McapScan()
        for record in scan.records(file):
            if isinstance(record, Message):
                yield BagMessage(record.channel.topic, record.channel.type_name, record.log_time, record.data)
            elif record.name == RECORD:
                raise _OwnEpisodeError(f"{named}: is an episode of this package already; learn from it as it is")
        if not scan.complete:
            self._note(f"{named}: {scan.problem or 'not closed properly'}")

    def _sqlite(self, file: Path, named: Path) -> Iterator[BagMessage]:
        query = (
            "SELECT topics.name, topics.type, messages.timestamp, messages.data FROM messages "
            "JOIN topics ON messages.topic_id = topics.id ORDER BY messages.id"
        )
        try:
            with contextlib.closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as base:
                for topic, kind, time, data in base.execute(query):
                    if isinstance(topic, str) and isinstance(kind, str) and type(time) is int and type(data) is bytes:
                        yield BagMessage(topic, kind, time, data)
                    else:
                        self._note(f"{named}: a row is damaged")
        except (sqlite3.Error, UnicodeDecodeError) as error:
            self._note(f"{named}: cannot be read, or not to its end: {error}")

    def _note(self, problem: str) -> None:
        if problem not in self.problems:
            self.problems.append(problem)


def _unpacked(data: bytes) -> bytes:
    if zstandard.frame_content_size(data) > MAX_MESSAGE:
        raise ValueError("impossible size")
    return zstandard.ZstdDecompressor().decompress(data, max_output_size=MAX_MESSAGE)


class _OwnEpisodeError(EpisodeError):
    """Not a foreign bag."""


def _metadata(folder: Path) -> dict[str, object]:
    """What metadata.yaml says of the bag; empty without one."""
    path = folder / METADATA
    if not path.is_file():
        return {}
    try:
        document = load_yaml(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EpisodeError(f"{path}: cannot be read ({error}); without it, all files of the folder are read") from error
    about = document.get("rosbag2_bagfile_information") if isinstance(document, dict) else None
    return about if isinstance(about, dict) else {}


def _files(path: Path, about: dict[str, object]) -> list[Path]:
    if path.is_file():
        if not path.name.removesuffix(ZSTD).endswith(STORAGES):
            raise EpisodeError(f"{path}: no bag: expected {' or '.join(STORAGES)}, or a folder of them")
        return [path]
    if not path.is_dir():
        raise EpisodeError(f"{path}: no such bag")
    names = about.get("relative_file_paths")
    files = [path / Path(str(name)).name for name in names] if isinstance(names, list) else []
    if missing := [file.name for file in files if not file.is_file()]:
        raise EpisodeError(f"{path}: {METADATA} names {', '.join(missing)}, which are not there")
    files = files or sorted(f for f in path.iterdir() if f.name.removesuffix(ZSTD).endswith(STORAGES))
    if not files:
        raise EpisodeError(f"{path}: no bag: it has no {' and no '.join(STORAGES)} file")
    return files
