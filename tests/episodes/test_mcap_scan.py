# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Scanning MCAP files of this and of other writers: what is complete comes out once, what is not is named."""

from __future__ import annotations

import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import lz4.frame
import pytest
import zstandard
from mcap.writer import CompressionType, Writer

from mbrl_controller.base.errors import EpisodeError
from mbrl_controller.episodes.mcap_scan import Channel, McapScan, Message, Metadata

MAGIC = b"\x89MCAP0\r\n"
CHUNK = 0x06


def write(path: Path, count: int = 10, **options) -> Path:
    """`count` messages of 100 bytes on two topics, metadata before and after them."""
    with path.open("wb") as stream:
        writer = Writer(stream, **{"chunk_size": 300, **options})
        writer.start("ros2", "another")
        writer.add_metadata("first", {"a": "1", "b": "ü"})
        schema = writer.register_schema("pkg/msg/Kind", "ros2msg", b"float64 x")
        one = writer.register_channel("/one", "cdr", schema)
        two = writer.register_channel("/two", "json", schema)
        for k in range(count):
            writer.add_message(two if k % 5 == 4 else one, 10 * k + 1, bytes([k]) * 100, 10 * k, k)
        writer.add_metadata("last", {})
        writer.finish()
    return path


def scanned(path: Path) -> tuple[McapScan, list[Message | Metadata]]:
    scan = McapScan()
    return scan, list(scan.records(path))


def numbers(records: list[Message | Metadata]) -> list[int]:
    """Of the messages that came out, each checked to be whole."""
    found = [r for r in records if isinstance(r, Message)]
    assert all(m.data == m.data[:1] * 100 for m in found)
    return [m.data[0] for m in found]


def chunks(content: bytes) -> list[tuple[int, int]]:
    """(begin, end) of the body of each chunk record."""
    at, found = len(MAGIC), []
    while content[at] != 0x0F:
        length = struct.unpack_from("<Q", content, at + 1)[0]
        if content[at] == CHUNK:
            found.append((at + 9, at + 9 + length))
        at += 9 + length
    return found


@pytest.mark.parametrize("compression", CompressionType)
@pytest.mark.parametrize("chunking", [True, False])
@pytest.mark.parametrize("crcs", [True, False])
def test_every_writers_messages_and_metadata_come_out_in_order(tmp_path, compression, chunking, crcs):
    path = write(tmp_path / "e.mcap", compression=compression, use_chunking=chunking, enable_crcs=crcs)
    scan, records = scanned(path)
    assert records[0] == Metadata("first", {"a": "1", "b": "ü"})
    assert Metadata("last", {}) in records
    assert numbers(records) == list(range(10))
    first, fifth = records[1], records[5]
    assert first == Message(Channel("/one", "pkg/msg/Kind"), 1, 0, bytes(100))
    assert fifth == Message(Channel("/two", ""), 41, 40, b"\x04" * 100)  # in an encoding that is not read here
    assert (scan.complete, scan.problem, scan.damaged_chunks) == (True, "", 0)
    assert scan.usable == scan.size == path.stat().st_size


@pytest.mark.parametrize("compression", CompressionType)
def test_a_damaged_chunk_costs_its_messages_and_no_others(tmp_path, compression):
    path = write(tmp_path / "e.mcap", compression=compression)
    content = bytearray(path.read_bytes())
    begin, end = chunks(content)[1]
    content[(begin + end) // 2 + 10] ^= 0xFF
    path.write_bytes(content)
    scan, records = scanned(path)
    left = numbers(records)
    assert left
    assert left == [k for k in range(10) if k not in set(range(10)) - set(left)]
    assert 0 < 10 - len(left) < 5
    assert {0, 9} <= set(left)
    assert Metadata("last", {}) in records
    assert (scan.complete, scan.damaged_chunks) == (False, 1)
    assert scan.usable < scan.size
    # the damage itself is told until the end of the file, which then cannot be whole, is
    with path.open("r+b") as file:
        file.truncate(end)
    scan, _ = scanned(path)
    assert scan.problem.startswith("cut after byte ")
    assert scan.damaged_chunks == 1


def test_a_changed_byte_is_noticed_by_the_checksum_alone(tmp_path):
    path = write(tmp_path / "e.mcap", compression=CompressionType.NONE)
    content = bytearray(path.read_bytes())
    _, end = chunks(content)[1]
    content[end - 1] ^= 1  # the last byte of a message's data
    path.write_bytes(content)
    assert len(numbers(scanned(path)[1])) < 10
    unchecked = write(tmp_path / "f.mcap", compression=CompressionType.NONE, enable_crcs=False)
    content = bytearray(unchecked.read_bytes())
    _, end = chunks(content)[1]
    content[end - 1] ^= 1
    unchecked.write_bytes(content)
    _, records = scanned(unchecked)
    assert len([r for r in records if isinstance(r, Message)]) == 10  # nothing says that it is wrong


@pytest.mark.parametrize(
    ("at", "value"),
    [(16, 2**40), (16, 0), (16, 1), (28, 2**31), (32, ord("x"))],
    ids=["huge", "empty", "small", "long name", "unknown compression"],
)
@pytest.mark.parametrize("compression", [CompressionType.ZSTD, CompressionType.LZ4])
def test_a_chunk_that_lies_about_its_size_allocates_nothing_and_is_passed_over(tmp_path, compression, at, value):
    path = write(tmp_path / "e.mcap", compression=compression)
    content = bytearray(path.read_bytes())
    begin, _ = chunks(content)[1]
    kind = {16: "<Q", 28: "<I", 32: "<B"}[at]
    struct.pack_into(kind, content, begin + at, value)
    path.write_bytes(content)
    scan, records = scanned(path)
    assert scan.damaged_chunks == 1
    assert 5 < len(numbers(records)) < 10
    assert Metadata("last", {}) in records


def packed_anew(path: Path, compression: str, pack: Callable[[bytes], bytes], size: int | None = None) -> None:
    """The first chunk of an uncompressed file compressed by another writer, which may lie about its size."""
    content = path.read_bytes()
    begin, end = chunks(content)[0]
    head, length = content[begin : begin + 28], struct.unpack_from("<I", content, begin + 28)[0]
    at = begin + 32 + length
    data = pack(content[at + 8 : end])
    head = head[:16] + struct.pack("<Q", size) + head[24:] if size is not None else head
    name = compression.encode()
    body = head + struct.pack("<I", len(name)) + name + struct.pack("<Q", len(data)) + data
    path.write_bytes(content[: begin - 8] + struct.pack("<Q", len(body)) + body + content[end:])


PACKERS = {
    "lz4": lambda data: lz4.frame.compress(data, store_size=False),
    "zstd": lambda data: zstandard.ZstdCompressor(write_content_size=False).compress(data),
}


@pytest.mark.parametrize("compression", PACKERS)
def test_a_chunk_whose_frame_does_not_tell_its_size_is_read(tmp_path, compression):
    path = write(tmp_path / "e.mcap", compression=CompressionType.NONE)
    packed_anew(path, compression, PACKERS[compression])
    scan, records = scanned(path)
    assert numbers(records) == list(range(10))
    assert scan.damaged_chunks == 0


@pytest.mark.parametrize("compression", PACKERS)
def test_a_chunk_that_unpacks_to_more_than_it_says_takes_no_more_memory(tmp_path, compression):
    path = write(tmp_path / "e.mcap", compression=CompressionType.NONE)
    packed_anew(path, compression, lambda data: PACKERS[compression](bytes(2**26)))
    tracemalloc.start()
    try:
        scan, records = scanned(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2**23
    assert scan.damaged_chunks > 0
    assert not [r for r in records if isinstance(r, Message)]  # their channels were in it


def test_every_damaged_chunk_is_counted(tmp_path):
    path = write(tmp_path / "e.mcap", compression=CompressionType.NONE, count=20)
    content = bytearray(path.read_bytes())
    for _, end in chunks(content)[1:4]:
        content[end - 1] ^= 1
    path.write_bytes(content)
    scan, records = scanned(path)
    assert scan.damaged_chunks == 3
    assert len(numbers(records)) < 20
    at = len(content) - 1
    path.write_bytes(content[:at])
    assert scanned(path)[0].problem.startswith("cut within the summary after byte ")


def test_where_a_file_is_cut_all_before_is_good(tmp_path):
    path = write(tmp_path / "e.mcap")
    content = path.read_bytes()
    begins = [begin - 9 for begin, _ in chunks(content)]
    ends = [end for _, end in chunks(content)]
    before = 0
    assert len(ends) > 2
    for count, end in enumerate(ends, 1):
        path.write_bytes(content[:end])
        scan, records = scanned(path)
        assert (scan.complete, scan.problem) == (False, f"cut after byte {end}")
        assert (scan.usable, scan.size) == (end, end)
        now = len(numbers(records))
        assert now > before
        path.write_bytes(content[: end - 1])
        scan, records = scanned(path)
        assert scan.problem == f"cut within the record at byte {scan.usable}"
        assert scan.usable == begins[count - 1]
        assert len(numbers(records)) == before
        assert scan.usable < end - 1 == scan.size
        before = now
    for cut in (1, 9, 30):
        path.write_bytes(content[:-cut])
        scan, records = scanned(path)
        assert len(numbers(records)) == 10
        assert (scan.complete, scan.problem) == (False, f"cut within the summary after byte {scan.usable}")
        assert scan.usable < len(content) - cut


def test_a_message_of_a_channel_that_was_never_announced_ends_what_can_be_used(tmp_path):
    path = write(tmp_path / "e.mcap", use_chunking=False)
    content = bytearray(path.read_bytes())
    at, seen = len(MAGIC), 0
    while seen < 4:  # the fourth message
        opcode, length = content[at], struct.unpack_from("<Q", content, at + 1)[0]
        seen += opcode == 0x05
        here, at = at, at + 9 + length
    struct.pack_into("<H", content, here + 9, 77)
    path.write_bytes(content)
    scan, records = scanned(path)
    assert numbers(records) == [0, 1, 2]
    assert scan.problem.startswith(f"damaged record at byte {here}: ")
    assert "77" in scan.problem
    assert not scan.complete


def test_what_is_no_mcap_file_is_refused(tmp_path):
    path = tmp_path / "e.mcap"
    for content, complaint in ((b"", "is empty"), (MAGIC[:-1], "is not an MCAP file"), (b"x" * 50, "is not an MCAP")):
        path.write_bytes(content)
        with pytest.raises(EpisodeError, match=complaint):
            scanned(path)
    with pytest.raises(EpisodeError, match=r"none\.mcap: cannot be read"):
        scanned(tmp_path / "none.mcap")
