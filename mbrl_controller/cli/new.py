# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""`mbrl new`: the files of a package for a hand of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mbrl_controller.cli.console import say
from mbrl_controller.cli.errors import report_errors, warn


@report_errors
def new(
    name: Annotated[str, typer.Argument(help="of the package, of the task and of the hand, such as my_hand")],
    mjcf: Annotated[Path | None, typer.Option(help="the hand's MJCF, with or without what it holds")] = None,
    urdf: Annotated[Path | None, typer.Option(help="the hand's URDF")] = None,
    directory: Annotated[Path, typer.Option("--dir", help="folder in which to write the package's folder")] = Path(),
) -> None:
    """Write a package for your hand from its model file: contract, simulated world, task, launch files and tests."""
    from mbrl_controller.scaffold import new_package as job

    if (mjcf is None) == (urdf is None):
        raise typer.BadParameter("give the hand's model as --mjcf FILE or as --urdf FILE")
    written = job.run(name, mjcf=mjcf, urdf=urdf, parent=directory)
    folder = written.folder
    if written.left_out:
        warn(
            f"{', '.join(written.left_out)}: not part of the task, because in the start pose it falls: let the model's "
            "first key pose hold it, and begin again"
        )
    say(f"{folder}: written; README.md in it says what to change. Next:")
    for line in (f"pip install -e {folder}", f"mbrl evaluate {name} --dynamics oracle", f"mbrl demo {name}"):
        say(f"    {line}")
