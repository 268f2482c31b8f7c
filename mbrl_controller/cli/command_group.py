# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""How the command line is read: old names of options, decimal commas, and the names of what is installed in help."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from mbrl_controller.base.deprecated import with_new_flags
from mbrl_controller.base.errors import MbrlError
from mbrl_controller.base.overrides import COMMA_HINT, has_decimal_comma
from mbrl_controller.cli.options import PLANNERS, TASKS

RENAMED_FLAGS = {"--core-set": "--controller-set", "--points": "--env-steps", "--busy-cores": "--stress-cores"}
WORDS = "words"
HELP_FLAGS = {"-h", "--help"}


class CommandGroup(TyperGroup):
    """The root group, for all commands: takes old names of options, and hints at decimal commas in numbers."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Rename old options, and keep the words: click's errors do not always repeat the value they refuse."""
        try:
            ctx.meta[WORDS] = with_new_flags(args, RENAMED_FLAGS)
        except MbrlError as error:
            raise typer.BadParameter(str(error)) from error
        return super().parse_args(ctx, list(ctx.meta[WORDS]))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Fill the names of the catalogs into help texts, only where one is asked for: imports take time."""
        name, command, rest = super().resolve_command(ctx, args)
        if command is not None and HELP_FLAGS & set(rest):
            fill_in_names(command)
        return name, command, rest

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            if any(has_decimal_comma(word.rpartition("=")[2]) for word in ctx.meta[WORDS]):
                error.message = f"{error.message.rstrip('.')}; {COMMA_HINT}"
            raise


def fill_in_names(command: Any) -> None:
    """Replace the marks in the help texts of a command and of those below it."""
    from mbrl_controller.planning import catalog as planners
    from mbrl_controller.tasks import catalog as tasks

    for parameter in command.params:
        if text := getattr(parameter, "help", None):
            text = text.replace(TASKS, ", ".join(tasks.TASKS.names())).replace(
                PLANNERS, ", ".join(planners.PLANNERS.names())
            )
            parameter.help = text
    for child in getattr(command, "commands", {}).values():
        fill_in_names(child)
