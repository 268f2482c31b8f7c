# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Repairs episode files truncated by a crash, a power-off or a full disk."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mbrl_controller.base.errors import ContractError, EpisodeError
from mbrl_controller.contract.contract import parse_contract
from mbrl_controller.episodes.mcap_scan import McapScan, Message
from mbrl_controller.episodes.metadata import CLOSED_RECORD, RECORD, EpisodeInfo
from mbrl_controller.episodes.writer import BEGUN, PART, EpisodeWriter

UNREADABLE = ".unreadable"
_SCRATCH = ".recovering"


@dataclass(frozen=True)
class Recovery:
    """Result for one file."""

    path: Path  # the complete file
    messages: int
    lost_bytes: int
    was_complete: bool = False

    def __str__(self) -> str:
        if self.was_complete:
            return f"{self.path}: already complete, {self.messages} messages"
        return f"{self.path}: recovered {self.messages} messages, lost {self.lost_bytes} bytes at the cut"


@dataclass
class FolderRecovery:
    """Results for the truncated files of a log folder."""

    recovered: list[Recovery] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)  # reasons, each naming its file
    busy: list[Path] = field(default_factory=list)  # still being written

    def __str__(self) -> str:
        parts = [f"{len(self.recovered)} cut episodes recovered"]
        parts += [f"{len(self.failed)} could not be"] if self.failed else []
        parts += [f"{len(self.busy)} being written"] if self.busy else []
        return ", ".join(parts)


def recover(path: str | Path) -> Recovery:
    """Repair `path` (`<name>.mcap.part`, or a truncated `<name>.mcap`) to `<name>.mcap`. Idempotent.

    Raises EpisodeError if nothing in the file is usable or it is being written; the file is then left unchanged.
    """
    path = Path(path)
    target = path.with_name(path.name.removesuffix(PART))
    with _claim(path):
        scan = McapScan()
        count = 0
        own: dict[str, str] | None = None
        closed: dict[str, str] = {}
        for record in scan.records(path):
            if isinstance(record, Message):
                count += 1
            elif record.name == RECORD and own is None:
                own = record.entries
            elif record.name == CLOSED_RECORD and not closed:
                closed = record.entries
        if scan.complete:
            if path != target:
                os.rename(path, target)
            return Recovery(target, count, 0, was_complete=True)
        if own is None:
            raise EpisodeError(f"{path}: nothing to recover: {scan.problem}, before the episode's metadata")
        info = EpisodeInfo.from_metadata(own, str(path))
        try:
            contract = parse_contract(own.get("contract", ""), f"contract in {path}")
        except ContractError as error:
            raise EpisodeError(str(error)) from error
        scratch = target.with_name(target.name + _SCRATCH)
        for leftover in (scratch, scratch.with_name(scratch.name + PART)):
            leftover.unlink(missing_ok=True)
        offered: dict[str, str] = {}  # quality of service by topic, as in the file
        writer = EpisodeWriter(scratch, contract, info, flush_s=1e9, offered=lambda topic: offered.get(topic, ""))
        lost = scan.size - scan.usable
        try:
            for m in McapScan().records(path):  # a second pass: an hour of messages is too much to keep
                if isinstance(m, Message) and m.channel.type_name:
                    offered.setdefault(m.channel.topic, m.channel.offered_qos)
                    writer.write_raw(m.channel.topic, m.channel.type_name, m.data, m.log_time, m.publish_time)
            why = closed.get("reason", "recovered")
            writer.close(why, recovered="true", lost_bytes=str(lost), cut=scan.problem)
        except BaseException:
            writer.discard()
            raise
        os.replace(scratch, target)
        if path != target:
            path.unlink()
        return Recovery(target, count, lost)


def recover_folder(folder: str | Path) -> FolderRecovery:
    """Recover every truncated episode below `folder`.

    Files with nothing usable are renamed to `<name>.unreadable`, so that they are tried once; files that another
    process is writing are left alone.
    """
    done = FolderRecovery()
    for begun in Path(folder).rglob(f".*{BEGUN}"):  # holds nothing yet
        with contextlib.suppress(OSError, EpisodeError), _claim(begun):
            begun.unlink()
    for part in sorted(Path(folder).rglob(f"*{PART}")):
        if part.name.endswith(_SCRATCH + PART):
            with contextlib.suppress(OSError, EpisodeError), _claim(part):  # a recovery that was interrupted itself
                part.unlink()
            continue
        try:
            done.recovered.append(recover(part))
        except _BusyError:
            done.busy.append(part)
        except (EpisodeError, OSError) as error:
            done.failed.append(str(error))
            with contextlib.suppress(OSError):
                if not isinstance(error.__cause__, OSError) and not isinstance(error, OSError):
                    os.rename(part, part.with_name(part.name + UNREADABLE))
    return done


class _BusyError(EpisodeError):
    """Another process holds the file."""


@contextlib.contextmanager
def _claim(path: Path) -> Iterator[None]:
    """Hold the lock that a writer holds during writing."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise EpisodeError(f"{path}: cannot be read: {error.strerror or error}") from error
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                raise _BusyError(f"{path}: is being written") from error
        yield
    finally:
        os.close(fd)
