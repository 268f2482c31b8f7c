# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Every command of `mbrl`, as its help has it."""

from __future__ import annotations

import typer
from typer.cli import get_docs_for_click
from typer.main import get_command

from mbrl_controller.cli.command_group import fill_in_names
from mbrl_controller.cli.main import app


def markdown() -> str:
    """Usage, arguments and options of each command."""
    command = get_command(app)
    fill_in_names(command)
    text = get_docs_for_click(obj=command, ctx=typer.Context(command), name="mbrl", indent=1)
    lines = text.splitlines()
    return "\n".join(line for line in lines if "-completion" not in line) + "\n"
