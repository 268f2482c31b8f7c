# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Scans an MCAP file record by record, up to where it is truncated or damaged.

The readers of the `mcap` package need the summary at the file's end, or return a last record that is shorter than it
claims. This one returns only complete, checked records, and no length in a damaged file makes it allocate memory.
"""

from __future__ import annotations

import struct
import zlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

import lz4.frame  # type: ignore[import-untyped]
import zstandard

from mbrl_controller.base.errors import EpisodeError

MAGIC = b"\x89MCAP0\r\n"
MAX_CHUNK = 256 * 2**20  # bytes, uncompressed
OFFERED_QOS_KEY = "offered_qos_profiles"  # in a channel's metadata

_HEADER, _FOOTER, _SCHEMA, _CHANNEL, _MESSAGE, _CHUNK = 0x01, 0x02, 0x03, 0x04, 0x05, 0x06
_METADATA, _DATA_END = 0x0C, 0x0F
_RECORD_HEAD, _MESSAGE_HEAD, _NUMBER = struct.Struct("<BQ"), struct.Struct("<HIQQ"), struct.Struct("<H")


class Channel(NamedTuple):
    """Topic of a message."""

    topic: str
    type_name: str
    offered_qos: str = ""  # of the publishers, as rosbag2 writes it


class Message(NamedTuple):
    """CDR bytes as logged; times in ns."""

    channel: Channel
    log_time: int
    publish_time: int
    data: bytes


class Metadata(NamedTuple):
    """Named key-value pairs."""

    name: str
    entries: dict[str, str]


@dataclass
class McapScan:
    """Findings of a scan besides its records; final once `records` is exhausted."""

    complete: bool = False  # the file was closed properly
    problem: str = ""  # where and why the scan ended early
    size: int = 0  # bytes of the file
    usable: int = 0  # bytes of it that could be used
    damaged_chunks: int = 0
    _channels: dict[int, Channel] = field(default_factory=dict)
    _schemas: dict[int, str] = field(default_factory=dict)

    def records(self, path: Path) -> Iterator[Message | Metadata]:
        """Messages and metadata in file order; raises EpisodeError if `path` is not an MCAP file."""
        try:
            self.size = path.stat().st_size
            with path.open("rb") as file:
                magic = file.read(len(MAGIC))
                if magic != MAGIC:
                    what = "is empty" if not magic else "is not an MCAP file"
                    raise EpisodeError(f"{path}: {what}")
                self.usable = len(MAGIC)
                yield from self._top_level(file)
        except OSError as error:
            raise EpisodeError(f"{path}: cannot be read: {error.strerror or error}") from error

    def _top_level(self, file: BinaryIO) -> Iterator[Message | Metadata]:
        while True:
            head = file.read(9)
            if len(head) < 9:
                self.problem = f"cut after byte {self.usable}"
                return
            opcode, length = head[0], struct.unpack_from("<Q", head, 1)[0]
            if length > self.size - self.usable - 9:
                self.problem = f"cut within the record at byte {self.usable}"
                return
            body = file.read(length)
            if opcode == _DATA_END:
                self.complete = self._footer_follows(file)
                self.usable = self.size if self.complete else self.usable
                self.problem = "" if self.complete else f"cut within the summary after byte {self.usable}"
                return
            try:
                if opcode == _CHUNK:
                    yield from self._chunk(body)
                else:
                    yield from self._record(opcode, body)
            except _DAMAGE as error:
                if opcode != _CHUNK:
                    self.problem = f"damaged record at byte {self.usable}: {error}"
                    return
                self.damaged_chunks += 1
                self.problem = f"damaged chunk at byte {self.usable}: {error}"
            self.usable += 9 + length

    def _footer_follows(self, file: BinaryIO) -> bool:
        tail = 9 + 20 + len(MAGIC)
        if self.size - file.tell() < tail:
            return False
        file.seek(-tail, 2)
        end = file.read(tail)
        return end[0] == _FOOTER and end.endswith(MAGIC) and not self.damaged_chunks

    def _chunk(self, body: bytes) -> Iterator[Message | Metadata]:
        _, _, size, crc, name_length = struct.unpack_from("<QQQII", body)
        at = 32 + name_length
        compression = body[32:at].decode()
        (stored,) = struct.unpack_from("<Q", body, at)
        packed = body[at + 8 : at + 8 + stored]
        if len(packed) != stored or size > MAX_CHUNK:
            raise ValueError("impossible size")
        data = _decompress(packed, compression, size)
        if len(data) != size or (crc and zlib.crc32(data) != crc):
            raise ValueError("checksum differs")
        # A damaged chunk is dropped as a whole. Two passes take less memory than keeping its records.
        for opcode, begin, end in _within(data):
            if opcode == _MESSAGE:
                self._channel_of(data, begin, end)
            else:
                deque(self._record(opcode, data[begin:end]), maxlen=0)
        for opcode, begin, end in _within(data):
            if opcode == _MESSAGE:
                yield self._message(data, begin, end)
            else:
                yield from self._record(opcode, data[begin:end])

    def _channel_of(self, data: bytes, begin: int, end: int) -> Channel:
        if end - begin < _MESSAGE_HEAD.size:
            raise ValueError("message shorter than its head")
        (number,) = _NUMBER.unpack_from(data, begin)
        if number not in self._channels:
            raise ValueError(f"message on unknown channel {number}")
        return self._channels[number]

    def _message(self, data: bytes, begin: int, end: int) -> Message:
        channel = self._channel_of(data, begin, end)
        _, _, logged, published = _MESSAGE_HEAD.unpack_from(data, begin)
        return Message(channel, logged, published, data[begin + _MESSAGE_HEAD.size : end])

    def _record(self, opcode: int, body: bytes) -> Iterator[Message | Metadata]:
        if opcode == _MESSAGE:
            yield self._message(body, 0, len(body))
        elif opcode == _SCHEMA:
            (number,) = struct.unpack_from("<H", body)
            self._schemas[number] = _text(body, 2)[0]
        elif opcode == _CHANNEL:
            number, schema = struct.unpack_from("<HH", body)
            topic, at = _text(body, 4)
            encoding, at = _text(body, at)
            kind = self._schemas.get(schema, "") if encoding == "cdr" else ""
            self._channels[number] = Channel(topic, kind, _pairs(body, at).get(OFFERED_QOS_KEY, ""))
        elif opcode == _METADATA:
            name, at = _text(body, 0)
            yield Metadata(name, _pairs(body, at))


def _within(data: bytes) -> Iterator[tuple[int, int, int]]:
    """(opcode, begin, end) of the records of a chunk."""
    at, size = 0, len(data)
    while at < size:
        opcode, length = _RECORD_HEAD.unpack_from(data, at)
        at += _RECORD_HEAD.size
        if length > size - at:
            raise ValueError("record longer than its chunk")
        yield opcode, at, at + length
        at += length


_DAMAGE = (struct.error, ValueError, zstandard.ZstdError, RuntimeError, EOFError, MemoryError)


def _decompress(packed: bytes, compression: str, size: int) -> bytes:
    if compression == "":
        return packed
    if compression == "zstd":
        if zstandard.frame_content_size(packed) not in (-1, size):
            raise ValueError("size differs from its frame's")
        return zstandard.decompress(packed, max_output_size=size)
    if compression == "lz4":
        if lz4.frame.get_frame_info(packed)["content_size"] not in (0, size):
            raise ValueError("size differs from its frame's")
        return bytes(lz4.frame.LZ4FrameDecompressor().decompress(packed, max_length=size))
    raise ValueError(f"unknown compression {compression!r}")


def _text(body: bytes, at: int) -> tuple[str, int]:
    (length,) = struct.unpack_from("<I", body, at)
    end = at + 4 + length
    if end > len(body):
        raise ValueError("text longer than its record")
    return body[at + 4 : end].decode(), end


def _pairs(body: bytes, at: int) -> dict[str, str]:
    (length,) = struct.unpack_from("<I", body, at)
    at, end, pairs = at + 4, at + 4 + length, {}
    if end > len(body):
        raise ValueError("map longer than its record")
    while at < end:
        key, at = _text(body, at)
        pairs[key], at = _text(body, at)
    return pairs
