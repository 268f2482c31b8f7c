# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Episodes in the formats of other libraries: LeRobotDataset, Minari, Parquet, CSV.

What may be learnt from is exported, as segments without gaps; the rest is counted by reason. A folder appears whole, or
not at all.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from mbrl_controller.base.errors import EpisodeError, MbrlError
from mbrl_controller.base.resources import write_hint
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.episodes.bridging import Bridge
from mbrl_controller.episodes.data_schema import DataSchema
from mbrl_controller.episodes.export_writer import ExportOptions, ExportReport, SegmentWriter
from mbrl_controller.episodes.reader import read_episode
from mbrl_controller.episodes.segments import Segment, segments
from mbrl_controller.episodes.transitions import used_periods

FORMATS = ("lerobot", "minari", "parquet", "csv")
PART = ".part"
NO_GOAL = "no goal was logged (--without-goals exports the rest)"


Make = Callable[[Path, RobotContract, ExportOptions], SegmentWriter]
NORMAL = ExportOptions()


def run(
    files: Iterable[Path],
    folder: Path,
    form: str,
    *,
    contract: RobotContract | None = None,
    options: ExportOptions = NORMAL,
    on_file: Callable[[Path], None] = lambda path: None,
) -> ExportReport:
    """Export episodes to a new folder.

    Args:
        files: episodes of one robot and task.
        folder: to be made; one that is empty may exist.
        form: one of `FORMATS`.
        contract: of the robot; files that do not fit are left out. None: that of the first file, which all must fit.
        options: how.
        on_file: called with each file that was read.

    Raises:
        MbrlError: nothing to export, a folder that is not empty or cannot be written, episodes that do not fit
            together, or a package that is missing.
    """
    folder = folder.absolute()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise MbrlError(f"{folder}: already exists; name a new folder, or remove it")
    make = _writer(form)
    scratch = folder.with_name(f".{folder.name}.{os.getpid()}{PART}")
    try:
        scratch.mkdir(parents=True)
        report = _export(files, scratch, folder, make, contract, options, on_file)
        if folder.exists():
            folder.rmdir()
        os.rename(scratch, folder)
    except OSError as error:
        raise MbrlError(f"{folder}: cannot be written: {error.strerror or error}{write_hint(error)}") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return report


def _writer(form: str) -> Make:
    """The format's writer; its libraries are imported here, before anything is read."""
    if form == "lerobot":
        from mbrl_controller.episodes.export_lerobot import LeRobotWriter

        return LeRobotWriter
    if form == "minari":
        from mbrl_controller.episodes.export_minari import MinariWriter

        return MinariWriter
    if form == "parquet":
        from mbrl_controller.episodes.export_parquet import ParquetWriter

        return ParquetWriter
    if form == "csv":
        from mbrl_controller.episodes.export_csv import CsvWriter

        return CsvWriter
    raise MbrlError(f"{form!r} is no format to export to; known: {', '.join(FORMATS)}")


def _export(
    files: Iterable[Path],
    scratch: Path,
    folder: Path,
    make: Make,
    contract: RobotContract | None,
    options: ExportOptions,
    on_file: Callable[[Path], None],
) -> ExportReport:
    report = ExportReport(folder)
    writer: SegmentWriter | None = None
    try:
        for segment in _segments(files, report, contract, options.bridge, on_file):
            if writer is None:
                own = segment.episode.contract
                writer = make(scratch, own, replace(options, instruction=options.instruction or own.task.name))
            if writer.needs_goals and options.goals and not segment.has_goals:
                report.left_out[NO_GOAL] += len(segment)
                continue
            writer.add(segment)
            report.segments += 1
            report.frames += len(segment)
        if writer is None or not report.segments:
            why = [f"{path}: {reason}" for path, reason in list(report.unused.items())[:3]]
            why += [NO_GOAL] if report.left_out[NO_GOAL] else []
            raise EpisodeError(f"nothing to export: {'; '.join(why) or 'no episode files'}")
        report.notes = writer.close(report)
    except BaseException:
        if writer is not None:
            writer.abandon()
        raise
    return report


def _segments(
    files: Iterable[Path],
    report: ExportReport,
    contract: RobotContract | None,
    bridge: Bridge | None,
    on_file: Callable[[Path], None],
) -> Iterator[Segment]:
    """Those of all episodes that fit; the report counts files, and what is left out."""
    chosen, first = contract, ""
    seen: set[str] = set()
    for path in files:
        on_file(path)
        try:
            episode = read_episode(path, contract)
        except EpisodeError as error:
            report.unused[str(path)] = str(error).removeprefix(f"{path}: ")
            continue
        if chosen is None:
            chosen, first = episode.contract, str(path)
        wrong = DataSchema.of_contract(episode.contract).differences(DataSchema.of_contract(chosen))
        if wrong:
            raise EpisodeError(
                f"{path}: does not fit {first}: {'; '.join(wrong)}. One export holds one robot and task: name "
                "the files, or say which with --contract"
            )
        if episode.key in seen:
            report.unused[str(path)] = f"the same recording as another file ({episode.key})"
            continue
        used = used_periods(episode, bridge)
        report.left_out.update(used.skipped)
        if not len(used):
            report.unused[str(path)] = "nothing that may be learnt from: " + (", ".join(used.skipped) or "empty")
            continue
        seen.add(episode.key)
        report.files += 1
        report.bridged += used.bridged
        yield from segments(episode, used)
