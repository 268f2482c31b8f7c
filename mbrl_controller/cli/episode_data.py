# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""`mbrl episodes export`: data for other programs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import typer

from mbrl_controller.cli.console import episode_bar, say
from mbrl_controller.cli.errors import report_errors
from mbrl_controller.cli.options import ContractOption


@report_errors
def export(
    episodes: Annotated[list[Path], typer.Argument(help="files, or folders to search")],
    to: Annotated[Literal["lerobot", "minari", "parquet", "csv"], typer.Option("--to", help="format")],
    out: Annotated[Path, typer.Option("--out", help="folder to make")],
    contract: ContractOption = None,
    instruction: Annotated[str, typer.Option(help="the task in words, for LeRobot (default: its name)")] = "",
    without_goals: Annotated[
        bool, typer.Option("--without-goals", help="no goals and rewards: also periods for which none were logged")
    ] = False,
) -> None:
    """Write what may be learnt from episodes in the format of another library."""
    from mbrl_controller.contract.contract import load_contract
    from mbrl_controller.episodes.export import run
    from mbrl_controller.episodes.export_writer import ExportOptions
    from mbrl_controller.training.dataset import episode_files

    files = episode_files(episodes)
    with episode_bar(len(files)) as done:
        report = run(
            files,
            out,
            to,
            contract=None if contract is None else load_contract(contract),
            options=ExportOptions(instruction, goals=not without_goals),
            on_file=done,
        )
    say(f"{report.folder}: {report.frames} control periods of {report.files} files, in {report.segments} segments")
    say_left_out(report.left_out, report.unused)
    for note in report.notes:
        say(note)


def say_left_out(counts: Mapping[str, int], unused: Mapping[str, str]) -> None:
    """What is not in the result, and why."""
    for reason, count in sorted(counts.items(), key=lambda item: -item[1]):
        say(f"left out: {count}: {reason}")
    for path, reason in unused.items():
        say(f"not used: {path}: {reason}")
